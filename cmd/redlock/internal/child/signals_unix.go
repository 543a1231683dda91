//go:build unix

package child

import (
	"os"
	"os/signal"
	"syscall"
)

// Continue is the signal that lets a stopped process go on.
const Continue = syscall.SIGCONT

// forwarded are the signals by which people and supervisors tell a command to
// end, or something that only the command knows.
var forwarded = []os.Signal{
	syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2,
}

// Notify has the signals sent to c that are meant for the command. A signal that
// this process was started to ignore stays ignored, by the command too, which is
// what nohup is for.
func Notify(c chan<- os.Signal) { notify(c, forwarded...) }

func notify(c chan<- os.Signal, signals ...os.Signal) {
	for _, sig := range signals {
		if !signal.Ignored(sig) {
			signal.Notify(c, sig)
		}
	}
}

// shield keeps this process from being stopped (TTOU) or ended (PIPE) by writing
// a message to a terminal or pipe that is not its to write to at the moment: the
// command would run on with nobody to watch its lock. To be called once the
// command has been started, which would ignore the signals too otherwise.
func shield() { signal.Ignore(syscall.SIGTTOU, syscall.SIGPIPE) }
