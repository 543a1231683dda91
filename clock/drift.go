package clock

import (
	"fmt"
	"math"
	"time"
)

// Drift bounds how far the clock of a node and the clock of a holder run apart
// while a key lives: by Factor of its time to live, plus Floor for what does not
// grow with it (Redis keeps expiry in whole milliseconds and judges it by a
// clock that it reads once per command).
//
// Redis's document on distributed locks calls it CLOCK_DRIFT, in the section
// "The Redlock Algorithm".
type Drift struct {
	Factor float64       // a share of the time to live: 0.01 is one per cent
	Floor  time.Duration // added whatever the time to live is
}

// DefaultDrift is one per cent and two milliseconds. Oscillators of servers
// differ by less than 0.02 %, and NTP slews by at most 0.05 %, so the factor is
// dominated by what virtual machines do to their clocks.
var DefaultDrift = Drift{Factor: 0.01, Floor: 2 * time.Millisecond}

// Check reports a drift that no lock can be held under: a factor that is
// negative, not a number, or takes the whole time to live, or a negative floor.
func (d Drift) Check() error {
	if !(d.Factor >= 0 && d.Factor < 1) {
		return fmt.Errorf("drift factor %v: must be at least 0 and below 1 (0.01 is one per cent)", d.Factor)
	}
	if d.Floor < 0 {
		return fmt.Errorf("drift floor %v: must not be negative", d.Floor)
	}
	return nil
}

// Of returns the drift over ttl, rounded up to the nanosecond.
func (d Drift) Of(ttl time.Duration) time.Duration {
	if d.Factor == 0 || ttl <= 0 {
		return d.Floor
	}
	// A product of floats can lie below the true one; its successor cannot.
	grow := math.Ceil(math.Nextafter(float64(ttl)*d.Factor, math.Inf(1)))
	// Above 2^53 ns (104 days) float64 does not hold every nanosecond, and ttl
	// itself may have been rounded down on the way in, by less than 2^10 ns.
	if ttl > 1<<53 {
		grow += 1 << 10
	}
	if grow >= float64(math.MaxInt64-d.Floor) {
		return math.MaxInt64 // too long to count; no ttl survives it
	}
	return time.Duration(grow) + d.Floor
}

// Validity returns how long a holder may rely on a key that was set with ttl,
// when elapsed has passed since before the command was sent: what is left when
// both the time spent and the drift over the whole ttl are taken off. A result
// <= 0 says that the key must not be relied on at all.
//
// It is never longer than the key's life on any node whose clock is within the
// drift, for the time that [Millis] of the same ttl asks the node for.
func (d Drift) Validity(ttl, elapsed time.Duration) time.Duration {
	return ttl - max(elapsed, 0) - d.Of(ttl)
}

// Millis returns ttl in the whole milliseconds that Redis keeps expiry in,
// rounded up: a key may outlive its holder's claim, never the other way round.
func Millis(ttl time.Duration) int64 {
	ms := int64(ttl / time.Millisecond)
	if ttl%time.Millisecond > 0 {
		ms++
	}
	return ms
}
