package redlock

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/redlock-go/redlock/clock"
)

// lossLead is how long before the end of validity its timer goes off. A timer of
// the runtime is late by up to a millisecond, and by what the scheduler adds; a
// holder is to be told before another can have the lock, not just after.
const lossLead = 3 * time.Millisecond

var (
	errRanOut            = fmt.Errorf("%w: its validity ended without renewal", ErrLost)
	errNotReleasedInTime = fmt.Errorf("%w: its validity ended before it was released", ErrLost)
	errClosedWhileHeld   = fmt.Errorf("%w: %w while the lock was held", ErrLost, ErrClosed)
	errTaken             = fmt.Errorf("%w: a quorum of nodes no longer carries it", ErrLost)
)

// watch makes the lock's context and sets the timer that ends it. Loss is told by
// this timer and by nothing that can hang: no answer of a node delays it. The
// caller holds l.mu.
//
// A lock that nobody watches has neither, and is none the less lost on time:
// Validity and Extend read the clock.
func (l *Lock) watch() {
	l.ctx, l.cancel = context.WithCancelCause(context.WithoutCancel(l.base))
	if l.state != stateHeld {
		l.cancel(l.cause)
		return
	}
	l.leave = context.AfterFunc(l.client.ctx, func() { l.lose(forever, errClosedWhileHeld) })
	l.arm()
}

// arm sets the timer to the end of validity. The caller holds l.mu.
func (l *Lock) arm() {
	left := l.until.Sub(l.client.clock.Now())
	l.timer = l.client.clock.AfterFunc(left-min(lossLead, left/4), l.expire)
}

// expire is the timer. An extension does not touch the timer; it is set anew
// here when there is validity left.
func (l *Lock) expire() {
	soon := l.client.clock.Now().Add(lossLead)
	l.mu.Lock()
	if l.state == stateHeld && l.until > soon {
		l.arm()
	}
	l.mu.Unlock()
	l.lose(soon, errRanOut)
}

// forever is later than the end of any lock.
const forever = clock.Instant(math.MaxInt64)

// lose ends a held lock, as lost, if its validity has ended at now.
func (l *Lock) lose(now clock.Instant, cause error) {
	l.mu.Lock()
	if l.state != stateHeld || l.until > now {
		l.mu.Unlock()
		return
	}
	l.end(stateLost, cause)
	l.mu.Unlock()

	// Without the mutex: the observer may look at the lock.
	c := l.client
	c.log.Warn("redlock: lock lost", "key", l.key, "cause", cause)
	if c.observer.Lost != nil {
		c.observer.Lost(LostEvent{Key: l.key, Cause: cause})
	}
}

// end takes a held lock out of use and tells whoever watches. The caller holds
// l.mu.
func (l *Lock) end(state lockState, cause error) {
	l.state, l.cause = state, cause
	if l.ctx != nil {
		l.cancel(cause)
		l.timer.Stop()
		l.leave()
	}
}
