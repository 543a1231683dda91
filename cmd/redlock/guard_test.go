package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/clock"
)

// fakeLock has as much validity as a test says.
type fakeLock struct {
	clock  *clock.Virtual
	until  clock.Instant
	ctx    context.Context
	cancel context.CancelFunc
}

func (l *fakeLock) Validity() time.Duration {
	if l.ctx.Err() != nil {
		return 0
	}
	return l.until.Sub(l.clock.Now())
}

func (l *fakeLock) Context() context.Context { return l.ctx }

func (l *fakeLock) extend(d time.Duration) { l.until = l.clock.Now().Add(d) }

// fakeGroup writes down what it is sent, and when.
type fakeGroup struct {
	clock *clock.Virtual
	start clock.Instant
	err   error

	mu  sync.Mutex // guards got
	got []string
}

func (g *fakeGroup) Signal(sig os.Signal) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if sig == syscall.SIGCONT {
		g.got[len(g.got)-1] += ", continued" // one that is stopped cannot end by itself
	} else {
		g.got = append(g.got, fmt.Sprintf("%v at %v", sig, g.clock.Now().Sub(g.start)))
	}
	return g.err
}

func (g *fakeGroup) signals() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.got
}

func guarded(t *testing.T, validity, grace time.Duration) (*clock.Virtual, *fakeLock, *fakeGroup, *guard) {
	t.Helper()
	c := clock.NewVirtual()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	lock := &fakeLock{clock: c, ctx: ctx, cancel: cancel}
	lock.extend(validity)
	group := &fakeGroup{clock: c, start: c.Now()}
	return c, lock, group, watch(c, lock, group, grace)
}

func TestGuardTellsToEndAtGraceAndKillsBeforeValidityEnds(t *testing.T) {
	c, _, group, g := guarded(t, 10*time.Second, 2*time.Second)

	c.Advance(8*time.Second - 1)
	assert.Empty(t, group.signals())
	c.Advance(time.Minute)

	assert.Equal(t, []string{"terminated at 8s, continued", "killed at 9.995s"}, group.signals())
	lost, failed := g.stop()
	assert.True(t, lost)
	assert.NoError(t, failed)
}

func TestGuardFollowsExtensions(t *testing.T) {
	c, lock, group, g := guarded(t, 10*time.Second, 2*time.Second)

	for range 100 {
		c.Advance(7 * time.Second)
		lock.extend(10 * time.Second)
	}
	assert.Empty(t, group.signals())
	assert.LessOrEqual(t, c.Timers(), 1)

	lost, _ := g.stop()
	assert.False(t, lost)
	assert.Zero(t, c.Timers())
}

func TestExtensionThatComesAfterTheCommandWasToldToEndChangesNothing(t *testing.T) {
	c, lock, group, g := guarded(t, 10*time.Second, 2*time.Second)
	c.Advance(8 * time.Second)
	lock.extend(10 * time.Second)
	g.check()
	c.Advance(time.Minute)

	assert.Equal(t, []string{"terminated at 8s, continued", "killed at 9.995s"}, group.signals())
}

func TestGuardOfALockThatIsTakenAway(t *testing.T) {
	for name, tc := range map[string]struct {
		grace time.Duration
		want  []string
	}{
		"gives the grace": {2 * time.Second, []string{"terminated at 3s, continued", "killed at 4.995s"}},
		"without grace":   {0, []string{"killed at 3s"}},
	} {
		t.Run(name, func(t *testing.T) {
			c, lock, group, g := guarded(t, 10*time.Second, tc.grace)
			c.Advance(3 * time.Second)
			lock.cancel()
			eventually(t, "the guard has noticed", func() bool {
				select {
				case <-g.lost:
					return true
				default:
					return false
				}
			})
			c.Advance(time.Minute)
			assert.Equal(t, tc.want, group.signals())
		})
	}
}

func TestGuardWithoutGraceKillsBeforeValidityEnds(t *testing.T) {
	c, _, group, _ := guarded(t, 10*time.Second, 0)
	c.Advance(time.Minute)
	assert.Equal(t, []string{"killed at 9.995s"}, group.signals())
}

func TestGuardThatLooksTooLateKillsAtOnce(t *testing.T) {
	c, lock, group, g := guarded(t, 10*time.Second, 2*time.Second)
	lock.extend(-time.Second) // as if the timers had stood still
	g.check()
	assert.Equal(t, []string{"killed at 0s"}, group.signals())
	c.Advance(time.Minute)
	assert.Len(t, group.signals(), 1)
}

func TestGuardKillsWhenItIsDueEvenIfTheTimerIsLate(t *testing.T) {
	c, _, group, g := guarded(t, 10*time.Second, 2*time.Second)
	c.Advance(8 * time.Second)
	require.Len(t, group.signals(), 1)
	g.killAt = c.Now() // the clock has jumped, the timer has not noticed
	g.check()
	assert.Equal(t, []string{"terminated at 8s, continued", "killed at 8s"}, group.signals())
}

func TestStoppedGuardSignalsNobody(t *testing.T) {
	c, lock, group, g := guarded(t, 10*time.Second, 2*time.Second)
	lost, _ := g.stop()
	assert.False(t, lost)

	c.Advance(time.Minute)
	lock.cancel()
	g.check()
	g.lockEnded()
	assert.Empty(t, group.signals())
}

func TestCommandThatOutlivedTheLockUnnoticedCountsAsLost(t *testing.T) {
	_, lock, _, g := guarded(t, 10*time.Second, 2*time.Second)
	lock.extend(-time.Millisecond) // the machine slept until the command had ended
	lost, _ := g.stop()
	assert.True(t, lost)
}

func TestGuardTellsOfSignalsThatCouldNotBeSent(t *testing.T) {
	c, _, group, g := guarded(t, 10*time.Second, 2*time.Second)
	group.err = errors.New("operation not permitted")
	c.Advance(time.Minute)
	_, failed := g.stop()
	assert.ErrorContains(t, failed, "operation not permitted")
}
