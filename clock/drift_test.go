package clock_test

import (
	"fmt"
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/clock"
)

func TestValidityIsWhatTimeAndDriftLeave(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name         string
		drift        clock.Drift
		ttl, elapsed time.Duration
		want         time.Duration
	}{
		{"the default at 30 s", clock.DefaultDrift, 30 * time.Second, 10 * time.Millisecond, 29688 * time.Millisecond},
		{"no drift at all", clock.Drift{}, time.Second, 0, time.Second},
		{"a factor rounds up", clock.Drift{Factor: 0.5}, 3, 0, 1},
		{"a floor alone", clock.Drift{Floor: 2}, 10, 3, 5},
		{"all of it used up", clock.Drift{}, time.Second, time.Second, 0},
		{"granted too late", clock.Drift{Floor: time.Millisecond}, time.Second, time.Second, -time.Millisecond},
		{"a ttl that drift eats", clock.DefaultDrift, 2 * time.Millisecond, 0, -20 * time.Microsecond},
		{"time that ran backwards gives nothing", clock.Drift{}, time.Second, -time.Minute, time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got := row.drift.Validity(row.ttl, row.elapsed)
			// Rounding is to the holder's disadvantage, by a nanosecond or two.
			assert.LessOrEqual(t, got, row.want)
			assert.InDelta(t, row.want, got, 2)
		})
	}
}

func TestTheLongestDurationDoesNotOverflow(t *testing.T) {
	t.Parallel()
	assert.Positive(t, clock.Millis(math.MaxInt64))
	assert.LessOrEqual(t, clock.Drift{Factor: 0.999, Floor: math.MaxInt64 / 2}.Validity(math.MaxInt64, 0), time.Duration(0))
	assert.LessOrEqual(t, clock.DefaultDrift.Validity(math.MaxInt64, 0), time.Duration(math.MaxInt64))
}

func TestMillisRoundsUp(t *testing.T) {
	t.Parallel()
	for ttl, want := range map[time.Duration]int64{
		0: 0, 1: 1, time.Millisecond: 1, time.Millisecond + 1: 2, 1500 * time.Microsecond: 2, 30 * time.Second: 30000,
	} {
		assert.Equal(t, want, clock.Millis(ttl), "%d ns", ttl)
	}
}

func TestADriftThatLeavesNothingIsRefused(t *testing.T) {
	t.Parallel()
	for _, good := range []clock.Drift{{}, clock.DefaultDrift, {Factor: 0.99}, {Floor: time.Hour}} {
		require.NoError(t, good.Check(), "%+v", good)
	}
	for _, bad := range []clock.Drift{{Factor: 1}, {Factor: -0.01}, {Factor: math.NaN()}, {Factor: math.Inf(1)}, {Floor: -1}} {
		require.ErrorContains(t, bad.Check(), "drift", "%+v", bad)
	}
}

// A node counts whole milliseconds of its own clock, which runs faster than the
// holder's by anything up to the drift factor, and reads it late by anything up
// to the floor. Whatever that makes of the key's life, the holder's validity
// ends no later. Computed in exact fractions, so that it is not the arithmetic
// under test that judges itself.
func FuzzValidityNeverOutlivesTheKey(f *testing.F) {
	f.Add(int64(30*time.Second), int64(time.Millisecond), 0.01, int64(2*time.Millisecond), 1.0, int64(0), 1.0)
	f.Add(int64(1500*time.Microsecond), int64(0), 0.0, int64(0), 1.0, int64(999_999), 0.0)
	f.Add(int64(math.MaxInt64/2), int64(0), 0.3, int64(1), 1.0, int64(1), 1.0)
	f.Add(int64(1<<53+1), int64(7), 0.01, int64(0), 1.0, int64(500_000), 1.0)
	f.Fuzz(func(t *testing.T, ttl, elapsed int64, factor float64, floor int64, fast float64, phase int64, stale float64) {
		drift := clock.Drift{Factor: factor, Floor: time.Duration(floor)}
		if drift.Check() != nil || ttl <= 0 || elapsed < 0 || elapsed > ttl || floor > math.MaxInt64/4 ||
			!(fast >= 0 && fast <= 1) || !(stale >= 0 && stale <= 1) || phase < 0 || phase >= int64(time.Millisecond) {
			return // not a drift, a round or a node
		}

		// The node's clock reads phase past a whole millisecond when it sets
		// the key, less what its reading is stale by; it drops the key when its
		// milliseconds exceed those of the reading by more than the PX.
		reading := new(big.Rat).Sub(rat(phase), mul(rat(floor), ratf(stale)))
		wholeReading := floorMillis(reading)
		gone := mul(rat(1e6), new(big.Rat).Add(wholeReading, rat(clock.Millis(time.Duration(ttl))+1)))
		lifeOnNode := new(big.Rat).Sub(gone, rat(phase))
		// A node as fast as the drift allows counts 1/(1-factor) seconds in one
		// of the holder's.
		slow := new(big.Rat).Sub(rat(1), mul(ratf(factor), ratf(fast)))
		life := mul(lifeOnNode, slow)

		claim := rat(elapsed + int64(drift.Validity(time.Duration(ttl), time.Duration(elapsed))))
		if claim.Cmp(life) > 0 {
			t.Fatalf("%+v: the holder relies on a ttl of %v for %s ns, the key lives %s ns", drift, time.Duration(ttl), claim.FloatString(3), life.FloatString(3))
		}
	})
}

func rat(i int64) *big.Rat       { return new(big.Rat).SetInt64(i) }
func ratf(f float64) *big.Rat    { return new(big.Rat).SetFloat64(f) }
func mul(a, b *big.Rat) *big.Rat { return new(big.Rat).Mul(a, b) }
func floorMillis(ns *big.Rat) *big.Rat {
	ms := new(big.Rat).Quo(ns, rat(1e6))
	// Euclidean division rounds down for a positive divisor, below zero too.
	return new(big.Rat).SetInt(new(big.Int).Div(ms.Num(), ms.Denom()))
}

func ExampleDrift_Validity() {
	fmt.Println(clock.DefaultDrift.Validity(30*time.Second, 12*time.Millisecond).Round(time.Millisecond))
	// Output: 29.686s
}
