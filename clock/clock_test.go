package clock_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/clock"
)

var real = map[string]clock.Clock{"system": clock.System(), "monotonic": clock.Monotonic()}

func TestAClockNeverGoesBack(t *testing.T) {
	t.Parallel()
	for name, c := range real {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			last := c.Now()
			for range 100_000 {
				now := c.Now()
				require.GreaterOrEqual(t, now, last)
				last = now
			}
		})
	}
}

func TestATimerIsNeverEarly(t *testing.T) {
	t.Parallel()
	for name, c := range real {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The last one is longer than a slice of the system clock's timers.
			for _, d := range []time.Duration{-1, 0, time.Microsecond, 3 * time.Millisecond, 1100 * time.Millisecond} {
				start, fired := c.Now(), make(chan clock.Instant, 1)
				c.AfterFunc(d, func() { fired <- c.Now() })
				select {
				case at := <-fired:
					assert.GreaterOrEqual(t, at.Sub(start), d)
				case <-time.After(10 * time.Second):
					t.Fatalf("a timer of %v did not fire within 10 s", d)
				}
			}
		})
	}
}

func TestAStoppedTimerDoesNotFire(t *testing.T) {
	t.Parallel()
	for name, c := range real {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stopped := c.AfterFunc(20*time.Millisecond, func() { t.Error("a stopped timer fired") })
			require.True(t, stopped.Stop())
			require.False(t, stopped.Stop(), "a second Stop has nothing to stop")

			later := make(chan struct{})
			fired := c.AfterFunc(60*time.Millisecond, func() { close(later) })
			<-later
			require.False(t, fired.Stop(), "a timer that fired cannot be stopped")
		})
	}
}

func TestTimeShowsAWallClock(t *testing.T) {
	t.Parallel()
	for name, c := range real {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.WithinDuration(t, time.Now().Add(time.Hour), c.Time(c.Now().Add(time.Hour)), time.Second)
		})
	}
}

func TestMonotonicFollowsVirtualTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := clock.Monotonic()
		start := c.Now()
		require.NoError(t, clock.Sleep(t.Context(), c, time.Hour))
		require.Equal(t, time.Hour, c.Now().Sub(start))
	})
}

func TestSleepEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := clock.System()
	gone := errors.New("the caller is gone")
	ctx, cancel := context.WithCancelCause(context.Background())
	time.AfterFunc(10*time.Millisecond, func() { cancel(gone) })
	require.ErrorIs(t, clock.Sleep(ctx, c, time.Hour), gone)
	require.ErrorIs(t, clock.Sleep(ctx, c, 0), gone, "a dead context is told even when there is nothing to wait for")
	require.NoError(t, clock.Sleep(context.Background(), c, time.Millisecond))
	require.NoError(t, clock.Sleep(context.Background(), c, -1))
}

func TestAVirtualClockCallsInOrder(t *testing.T) {
	t.Parallel()
	v := clock.NewVirtual()
	start := v.Now()
	var calls []string
	call := func(name string) func() {
		return func() { calls = append(calls, name+"@"+v.Now().Sub(start).String()) }
	}
	v.AfterFunc(3*time.Second, call("c"))
	v.AfterFunc(time.Second, func() {
		call("a")()
		v.AfterFunc(time.Second, call("b, set by a"))
		v.AfterFunc(time.Hour, call("too late"))
	})
	v.AfterFunc(3*time.Second, call("d, set after c"))
	stopped := v.AfterFunc(time.Second, call("stopped"))
	require.True(t, stopped.Stop())
	require.False(t, stopped.Stop())

	v.Advance(999 * time.Millisecond)
	require.Empty(t, calls)
	v.Advance(9 * time.Second)
	require.Equal(t, []string{"a@1s", "b, set by a@2s", "c@3s", "d, set after c@3s"}, calls)
	require.Equal(t, 9999*time.Millisecond, v.Now().Sub(start))
	require.Equal(t, 1, v.Timers())
	require.Equal(t, time.Unix(3600, 0).UTC(), v.Time(start))
}
