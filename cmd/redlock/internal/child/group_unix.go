//go:build unix

package child

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/redlock-go/redlock/clock"
)

// Group is a command that was started, and whatever it starts itself.
//
// Its id is the process id of the command. The kernel gives that to no other
// process or group while the command has not been waited for or anybody of the
// group is left. After that a signal could reach a stranger only if all other ids
// were handed out, which happens in a circle, before [Group] has looked again.
type Group struct {
	id      int
	started chan error
	stopped chan os.Signal
	exited  chan struct{}
	gone    chan struct{}

	// How the command ended; to be read after exited.
	code      int
	signalled bool

	mu    sync.Mutex // makes signals and the end one at a time
	ended bool       // nobody is left to be signalled

	terminal terminal // used by one goroutine, the caller's
}

// ErrGone says that nobody of the group is left.
var ErrGone = errors.New("the command and all that it started have ended")

// Start starts the program at path with this process' stdin, stdout and stderr.
// The error is the operating system's. From here on TSTP (Ctrl-Z), too, is sent to
// signals, to be forwarded.
func Start(path string, args, env []string, signals chan<- os.Signal) (*Group, error) {
	g := &Group{
		started: make(chan error, 1),
		stopped: make(chan os.Signal, 1),
		exited:  make(chan struct{}),
		gone:    make(chan struct{}),
	}
	notify(signals, syscall.SIGTSTP)
	go g.run(path, args, env)
	if err := <-g.started; err != nil {
		return nil, err
	}
	shield()
	return g, nil
}

// ID returns the id of the group, which is the process id of the command.
func (g *Group) ID() int { return g.id }

// Stopped tells when the command was stopped, and by which signal. See
// [Group.Job].
func (g *Group) Stopped() <-chan os.Signal { return g.stopped }

// Exited is closed when the command itself has ended.
func (g *Group) Exited() <-chan struct{} { return g.exited }

// Gone is closed when nobody of the group is left.
func (g *Group) Gone() <-chan struct{} { return g.gone }

// Code returns the exit code of the command as a shell has it: 128 and the
// signal's number when a signal ended it. It may be called after Exited.
func (g *Group) Code() int { return g.code }

// Signal sends a signal to everybody in the group.
func (g *Group) Signal(sig os.Signal) error {
	s, ok := sig.(syscall.Signal)
	if !ok {
		return errors.ErrUnsupported
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended {
		return ErrGone
	}
	err := unix.Kill(-g.id, s)
	if errors.Is(err, unix.ESRCH) {
		return ErrGone
	}
	return err
}

// run starts the command and waits for it and for the rest of its group.
//
// Linux kills a child along with its parent when the thread ends that started
// it, not the process (PR_SET_PDEATHSIG in prctl(2)), and Go ends threads as it
// likes. So this goroutine keeps its thread until the command has ended.
func (g *Group) run(path string, args, env []string) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p, err := os.StartProcess(path, args, &os.ProcAttr{
		Env:   env,
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Sys:   attributes(),
	})
	if err != nil {
		g.started <- err
		return
	}
	g.id = p.Pid
	_ = p.Release() // it is waited for here, since os.Process does not tell of stops
	g.started <- nil

	g.await()
	close(g.exited)
	g.awaitRest()
	close(g.gone)
}

// await returns when the command has ended.
func (g *Group) await() {
	for {
		var status unix.WaitStatus
		_, err := unix.Wait4(g.id, &status, unix.WUNTRACED, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			// It is not there to be waited for. Nobody else waits for children
			// here, so that cannot be.
			g.code = 255
			return
		case status.Exited():
			g.code = status.ExitStatus()
			return
		case status.Signaled():
			g.code, g.signalled = 128+int(status.Signal()), true
			return
		case status.Stopped():
			select {
			case g.stopped <- status.StopSignal():
			default: // one is enough to know that it is stopped
			}
		}
	}
}

// awaitRest returns when nobody of the group is left.
func (g *Group) awaitRest() {
	const longest = 50 * time.Millisecond
	for pause := time.Millisecond; !g.end(); pause = min(2*pause, longest) {
		_ = clock.Sleep(context.Background(), clock.System(), pause)
	}
}

// end takes the group out of use if nobody is left in it, and tells whether so.
func (g *Group) end() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	// Orphans become ours where this is process 1, as in a container.
	for {
		if pid, err := unix.Wait4(-g.id, nil, unix.WNOHANG, nil); err != nil || pid <= 0 {
			break
		}
	}
	g.ended = !populated(g.id)
	return g.ended
}
