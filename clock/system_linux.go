package clock

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// System returns the clock that locks are judged by. On Linux it reads
// CLOCK_BOOTTIME, which counts on while the machine is suspended.
func System() Clock {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		// Linux has had this clock since 2.6.39; a sandbox that refuses it
		// still gets a clock that is right except across suspend.
		return Monotonic()
	}
	return boottime{}
}

type boottime struct{}

func (boottime) Now() Instant {
	var ts unix.Timespec
	// System has read this clock before it handed it out, and the call has no
	// other way to fail than a clock that does not exist.
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return Instant(ts.Nano())
}

func (c boottime) Time(i Instant) time.Time { return time.Now().Add(i.Sub(c.Now())) }

// slice is how long a timer sleeps at the most before it reads the clock again.
// The runtime's timers stand still while the machine is suspended and so would
// fire late by the whole time of the suspend; sliced, they are late by no more
// than this after the machine resumed.
const slice = time.Second

func (c boottime) AfterFunc(d time.Duration, f func()) Timer {
	t := &slicedTimer{clock: c, due: c.Now().Add(d), f: f}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer = time.AfterFunc(min(d, slice), t.wake)
	return t
}

type slicedTimer struct {
	clock boottime
	due   Instant
	f     func()

	mu    sync.Mutex // guards timer and done; not held while f runs
	timer *time.Timer
	done  bool
}

func (t *slicedTimer) wake() {
	t.mu.Lock()
	if t.done {
		t.mu.Unlock()
		return
	}
	if left := t.due.Sub(t.clock.Now()); left > 0 {
		t.timer.Reset(min(left, slice))
		t.mu.Unlock()
		return
	}
	t.done = true
	t.mu.Unlock()
	t.f()
}

func (t *slicedTimer) Stop() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done {
		return false
	}
	t.done = true
	t.timer.Stop()
	return true
}
