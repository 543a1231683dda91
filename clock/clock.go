package clock

import (
	"context"
	"time"
)

// Instant is a reading of a [Clock] in nanoseconds since an origin of that
// clock's own choosing. Only the difference of two readings of the same clock
// means anything.
type Instant int64

// Add returns the instant d after i.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d) }

// Sub returns the time from j to i, negative when j is the later one.
func (i Instant) Sub(j Instant) time.Duration { return time.Duration(i - j) }

// Clock reads time and calls back when some of it has passed. All methods are
// safe for concurrent use.
type Clock interface {
	// Now reads the clock. It never goes back.
	Now() Instant
	// AfterFunc calls f in a goroutine of its own once at least d has passed
	// on this clock; never earlier. d <= 0 calls at once.
	AfterFunc(d time.Duration, f func()) Timer
	// Time says what a wall clock shows, or will show, at i. It is for people
	// to read; nothing may be decided by it.
	Time(i Instant) time.Time
}

// Timer is a pending call of [Clock.AfterFunc].
type Timer interface {
	// Stop prevents the call and reports whether it did: false says that the
	// call has been made or the timer was stopped before. It does not wait
	// for a call that is running.
	Stop() bool
}

// Sleep waits until d has passed on c or ctx ends, whichever is first, and
// returns ctx's cause in the latter case. d <= 0 returns at once, with the
// cause of a ctx that has ended already.
func Sleep(ctx context.Context, c Clock, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if d <= 0 {
		return nil
	}
	done := make(chan struct{})
	t := c.AfterFunc(d, func() { close(done) })
	defer t.Stop()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
