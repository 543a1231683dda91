//go:build !unix

package child

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// Group is a command in a process group of its own, which this operating system
// does not have.
type Group struct{}

// ErrGone says that nobody of the group is left.
var ErrGone = errors.New("the command and all that it started have ended")

var errUnsupported = errors.New("running a command under a lock takes process groups and signals, which this operating system does not have: use the library")

// Start returns an error.
func Start(string, []string, []string, chan<- os.Signal) (*Group, error) { return nil, errUnsupported }

// The rest is never called.

func (*Group) ID() int                   { return 0 }
func (*Group) Stopped() <-chan os.Signal { return nil }
func (*Group) Exited() <-chan struct{}   { return nil }
func (*Group) Gone() <-chan struct{}     { return nil }
func (*Group) Code() int                 { return 0 }
func (*Group) Signal(os.Signal) error    { return ErrGone }
func (*Group) Job(os.Signal, func())     {}
func (*Group) TakeTerminal()             {}

// Continue is no signal here.
const Continue = syscall.Signal(-1)

// Notify sends nothing to c but Ctrl-C.
func Notify(c chan<- os.Signal) { signal.Notify(c, os.Interrupt) }
