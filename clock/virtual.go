package clock

import (
	"slices"
	"sync"
	"time"
)

// Virtual is a clock for tests: it stands still until [Virtual.Advance] moves
// it. Unlike the other clocks it calls a timer's function in the goroutine that
// advances the clock, so that a test knows that the calls have been made.
type Virtual struct {
	mu     sync.Mutex // guards now and timers; not held while a timer's function runs
	now    Instant
	timers []*virtualTimer // by due time, and among equals by age
}

// NewVirtual returns a virtual clock. It does not start at zero, so that a
// forgotten reading does not pass for a real one.
func NewVirtual() *Virtual { return &Virtual{now: Instant(time.Hour)} }

// Now returns the time that the clock was advanced to.
func (v *Virtual) Now() Instant {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now
}

// Time returns i as a wall clock that was at the Unix epoch when v was at zero.
func (v *Virtual) Time(i Instant) time.Time { return time.Unix(0, int64(i)).UTC() }

// AfterFunc arranges for f to be called by the [Virtual.Advance] that reaches
// d from now; d <= 0 by the next one, whatever its length.
func (v *Virtual) AfterFunc(d time.Duration, f func()) Timer {
	v.mu.Lock()
	defer v.mu.Unlock()
	t := &virtualTimer{clock: v, due: v.now.Add(max(d, 0)), f: f}
	at, _ := slices.BinarySearchFunc(v.timers, t.due, func(o *virtualTimer, due Instant) int {
		if o.due <= due {
			return -1
		}
		return 1
	})
	v.timers = slices.Insert(v.timers, at, t)
	return t
}

// Advance moves the clock by d, stopping at each timer on the way to call it,
// also those that are set meanwhile.
func (v *Virtual) Advance(d time.Duration) {
	v.mu.Lock()
	end := v.now.Add(d)
	for len(v.timers) > 0 && v.timers[0].due <= end {
		t := v.timers[0]
		v.timers = v.timers[1:]
		v.now = max(v.now, t.due)
		v.mu.Unlock()
		t.f()
		v.mu.Lock()
	}
	v.now = max(v.now, end)
	v.mu.Unlock()
}

// Timers returns how many calls are pending.
func (v *Virtual) Timers() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.timers)
}

type virtualTimer struct {
	clock *Virtual
	due   Instant
	f     func()
}

func (t *virtualTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	at := slices.Index(t.clock.timers, t)
	if at < 0 {
		return false
	}
	t.clock.timers = slices.Delete(t.clock.timers, at, at+1)
	return true
}
