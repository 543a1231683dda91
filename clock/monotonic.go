package clock

import "time"

// origin anchors the runtime's monotonic clock, which Go only shows as the
// difference of two time.Time values. It lies half a century back, so that no
// reading is negative, not even in a synctest bubble, whose time begins in 2000.
var origin = time.Now().Add(-50 * 365 * 24 * time.Hour)

type monotonic struct{}

// Monotonic returns the Go runtime's monotonic clock. On Linux it stands still
// while the machine is suspended, so [System] is the better choice for a lock;
// inside a testing/synctest bubble this one follows the bubble's virtual time.
func Monotonic() Clock { return monotonic{} }

func (monotonic) Now() Instant { return Instant(time.Since(origin)) }

func (monotonic) AfterFunc(d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }

func (c monotonic) Time(i Instant) time.Time { return time.Now().Add(i.Sub(c.Now())) }
