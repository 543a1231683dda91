package clock

import (
	"context"
	"sync"
	"time"
)

// Deadline is a context that ends after some time and can be started again, for
// loops that would otherwise make a context for every pass. It carries no values
// and no cancellation. One goroutine uses it at a time.
type Deadline struct {
	timer *time.Timer

	mu    sync.Mutex // guards the rest
	at    time.Time
	done  chan struct{}
	ended bool
}

var _ context.Context = (*Deadline)(nil)

// Start begins a new deadline, after from now. The one before must have been
// stopped.
func (d *Deadline) Start(after time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = time.Now().Add(after)
	if d.done == nil || d.ended {
		d.done, d.ended = make(chan struct{}), false
	}
	if d.timer == nil {
		d.timer = time.AfterFunc(after, d.end)
		return
	}
	d.timer.Reset(after)
}

// Stop ends the use of the deadline without ending the context, so that nobody
// who still holds it is told that it ran out.
func (d *Deadline) Stop() { d.timer.Stop() }

func (d *Deadline) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	// A timer that fired just before it was stopped and started again must not
	// end the deadline that is running now.
	if !d.ended && !time.Now().Before(d.at) {
		d.ended = true
		close(d.done)
	}
}

// Deadline implements [context.Context].
func (d *Deadline) Deadline() (time.Time, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.at, true
}

// Done implements [context.Context].
func (d *Deadline) Done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.done
}

// Err implements [context.Context].
func (d *Deadline) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		return context.DeadlineExceeded
	}
	return nil
}

// Value implements [context.Context]; there are no values.
func (d *Deadline) Value(any) any { return nil }
