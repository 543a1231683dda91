//go:build unix

package child

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/redlock-go/redlock/clock"
)

// Job does what is to be done when the command was stopped by sig.
//
// A command that was stopped because it is in the background and wanted the
// terminal gets it, if it is ours to give. It is not given before it is wanted:
// in `redlock run KEY -- make | less` it is less that needs it.
//
// Otherwise, as by Ctrl-Z, the whole job is to stop, and we with it, so that the
// shell takes over. A lock is not extended by a process that does not run, so
// first everybody in the group is stopped for certain. When we are continued,
// check is called before the group goes on: the lock may be lost.
//
// A command that was sent STOP stays stopped until it is sent CONT, by whoever
// wanted that.
func (g *Group) Job(sig os.Signal, check func()) {
	switch sig {
	case syscall.SIGTTIN, syscall.SIGTTOU:
		if g.giveTerminal() {
			_ = g.Signal(syscall.SIGCONT)
			return
		}
	case syscall.SIGTSTP:
	default:
		return
	}

	had := g.takeTerminal()
	_ = g.Signal(syscall.SIGSTOP)
	g.stopJob()
	check()
	if had {
		g.giveTerminal()
	}
	_ = g.Signal(syscall.SIGCONT)
}

// stopJob stops this process, and with it the others of the job that the shell
// knows, as Ctrl-Z would. It returns when it has been continued, or soon where
// nobody could do that, since the kernel does not stop a job without a shell.
func (g *Group) stopJob() {
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, Continue)
	defer signal.Stop(continued)

	// Not TSTP: the Go runtime goes on catching that once it was asked to.
	_ = unix.Kill(0, syscall.SIGTTIN)
	// The signal may take effect a moment after it was sent.
	const moment = 100 * time.Millisecond
	passed := make(chan struct{})
	defer clock.System().AfterFunc(moment, func() { close(passed) }).Stop()
	select {
	case <-continued:
	case <-passed:
	}
}

// TakeTerminal gives the terminal back to us if the command has it, and unless the
// command has ended by itself, in the modes that it was in before.
func (g *Group) TakeTerminal() {
	if g.takeTerminal() && !g.endedByItself() {
		g.terminal.restore()
	}
}

func (g *Group) endedByItself() bool {
	select {
	case <-g.exited:
		return !g.signalled
	default:
		return false
	}
}

func (g *Group) giveTerminal() bool { return g.terminal.give(g.id) }

func (g *Group) takeTerminal() bool { return g.terminal.take(g.id) }
