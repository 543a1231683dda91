package main

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/redlock-go/redlock/clock"
	"github.com/redlock-go/redlock/cmd/redlock/internal/child"
)

// guard ends a command before its lock does: TERM when validity comes down to
// grace, KILL when it ends. It goes by the clock and what is left of validity,
// which extensions move, never by how an extension went: that may hang. It does
// not print either: stderr may be a pipe that nobody reads.
type guard struct {
	clock clock.Clock
	lock  held
	group signaller
	grace time.Duration

	lost    chan struct{} // closed when the command is told to end
	killed  chan struct{} // closed when the group was killed
	unwatch func() bool

	mu     sync.Mutex // guards the rest
	until  clock.Instant
	timer  clock.Timer
	ending bool          // no extension changes that any more
	taken  bool          // the lock ended before its validity would have
	killAt clock.Instant // when ending
	done   bool          // there is nothing left to do
	failed error         // of a signal that could not be sent
}

// held is what a guard needs of a lock.
type held interface {
	Validity() time.Duration
	Context() context.Context
}

// signaller is what a guard needs of a process group.
type signaller interface{ Signal(os.Signal) error }

// killLead is how long before the end of validity the group is killed: a timer
// may be late by a millisecond, and processes take some time to die.
const killLead = 5 * time.Millisecond

// watch starts a guard. It must be stopped.
func watch(c clock.Clock, lock held, group signaller, grace time.Duration) *guard {
	g := &guard{
		clock: c, lock: lock, group: group, grace: grace,
		lost: make(chan struct{}), killed: make(chan struct{}),
	}
	g.check()
	// A lock that is known to be lost, because it was taken away, ends before its
	// validity would have.
	g.unwatch = context.AfterFunc(lock.Context(), g.lockEnded)
	return g
}

// check looks at the time and does what is due.
func (g *guard) check() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.done {
		return
	}
	if g.ending {
		g.killWhenDue()
		return
	}
	left := g.lock.Validity()
	if g.lock.Context().Err() == nil {
		g.until = g.clock.Now().Add(left)
		if early := max(g.grace, killLead); left > early {
			g.after(left - early)
			return
		}
	}
	g.end()
}

func (g *guard) lockEnded() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.done && !g.ending {
		g.taken = true
		g.end()
	}
}

// ranOut reports whether the command was told to end because nothing extended the
// lock in time.
func (g *guard) ranOut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ending && !g.taken
}

// end tells the group to end, and has it killed after grace, or when validity
// ends, or would have, if that is earlier. The caller holds g.mu.
func (g *guard) end() {
	g.ending = true
	g.killAt = min(g.clock.Now().Add(g.grace), g.until).Add(-killLead)
	if g.killAt > g.clock.Now() {
		g.signal(syscall.SIGTERM)
		g.signal(child.Continue) // one that is stopped could not clean up
	}
	g.killWhenDue()
	close(g.lost)
}

// killWhenDue ends the group for certain. The caller holds g.mu.
func (g *guard) killWhenDue() {
	if left := g.killAt.Sub(g.clock.Now()); left > 0 {
		g.after(left)
		return
	}
	g.signal(syscall.SIGKILL)
	g.done = true
	close(g.killed)
}

// signal signals the group. The caller holds g.mu.
func (g *guard) signal(sig os.Signal) {
	if err := g.group.Signal(sig); err != nil && !errors.Is(err, child.ErrGone) {
		g.failed = err
	}
}

// after has the guard look again once d has passed. The caller holds g.mu.
func (g *guard) after(d time.Duration) {
	if g.timer != nil {
		g.timer.Stop()
	}
	g.timer = g.clock.AfterFunc(d, g.check)
}

// stop ends the guard once nobody of the group is left, and reports whether the
// lock was lost before: also where the guard had no time to act, as after a
// machine's suspend. The error is that of a signal that could not be sent.
func (g *guard) stop() (lost bool, failed error) {
	g.unwatch()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.done = true
	if g.timer != nil {
		g.timer.Stop()
	}
	return g.ending || g.lock.Validity() <= 0, g.failed
}
