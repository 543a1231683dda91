package redlock_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/clock"
	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlock/redistest"
)

func TestLateVotesStrengthenALock(t *testing.T) {
	t.Parallel()
	c, nodes := five(t, redlock.WithNodeTimeout(time.Minute))
	nodes.Node(4).Pause()
	l := acquire(t, c, "k", time.Hour)
	nodes.Node(4).Resume()
	eventually(t, func() bool { return carriers(nodes, "k") == 5 }, "the slow node's vote was cancelled")
	require.NoError(t, l.Release(context.Background()))
}

// Rule 5: what has not been sent is dropped, not sent and undone.
func TestAHungNodeIsSparedWhatIsNoLongerWanted(t *testing.T) {
	t.Parallel()
	c, nodes := five(t, redlock.WithNodeTimeout(time.Minute))
	hung := nodes.Node(0)
	hung.Pause()
	for range 300 {
		require.NoError(t, acquire(t, c, "k", time.Hour).Release(context.Background()))
	}
	hung.Resume()
	eventually(t, func() bool {
		require.NoError(t, acquire(t, c, "another", time.Hour).Release(context.Background()))
		return strings.HasPrefix(hung.Info("commandstats")["cmdstat_set"], "calls=") && noKeys(nodes)()
	}, "keys stay on the node that was hung")
	calls, _, _ := strings.Cut(strings.TrimPrefix(hung.Info("commandstats")["cmdstat_set"], "calls="), ",")
	n, err := strconv.Atoi(calls)
	require.NoError(t, err)
	require.Less(t, n, 100, "the node was sent what nobody wanted any more")
}

func TestARoundThatTookTooLongIsNotALock(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 3)
	leaping := &leapingClock{Clock: clock.System()}
	c := dial(t, nodes.Addrs(), redlock.WithClock(leaping))
	leaping.leap.Store(int64(time.Hour))
	_, err := c.TryAcquire(context.Background(), "k", time.Minute)
	require.ErrorIs(t, err, redlock.ErrNoQuorum)
	leaping.leap.Store(0)
	eventually(t, noKeys(nodes), "a round that was too late left keys behind")
}

// leapingClock goes ahead by leap at every reading.
type leapingClock struct {
	clock.Clock
	leap, ahead atomic.Int64
}

func (c *leapingClock) Now() clock.Instant {
	return c.Clock.Now().Add(time.Duration(c.ahead.Add(c.leap.Load())))
}

func TestALargerQuorumNeedsMoreNodes(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 5)
	c := dial(t, nodes.Addrs(), redlock.WithQuorum(4))
	nodes.Node(0).Kill()
	require.NoError(t, acquire(t, c, "k", time.Minute).Release(context.Background()))
	nodes.Node(1).Kill()
	_, err := c.TryAcquire(context.Background(), "k", time.Minute)
	require.ErrorIs(t, err, redlock.ErrNoQuorum)
}

func TestEveryAttemptHasATokenOfItsOwn(t *testing.T) {
	t.Parallel()
	c, _ := five(t)
	seen := map[string]bool{}
	for range 100 {
		l := acquire(t, c, "k", time.Minute)
		require.False(t, seen[l.Token()])
		seen[l.Token()] = true
		require.NoError(t, l.Release(context.Background()))
	}
}

func TestAcquireGivesUpWithItsPolicyAndCountsItsAttempts(t *testing.T) {
	t.Parallel()
	var refused atomic.Bool
	c, _ := five(t, redlock.WithObserver(redlock.Observer{Round: func(e redlock.RoundEvent) {
		if errors.Is(e.Err, redlock.ErrHeld) {
			refused.Store(true)
		}
	}}))
	holder := acquire(t, c, "k", time.Hour)
	for want, opts := range map[int][]redlock.AcquireOption{
		4: nil, // the guide's three retries
		1: {redlock.Retry(func() backoff.BackOff { return &backoff.StopBackOff{} })},
		6: {redlock.Retry(func() backoff.BackOff { return backoff.WithMaxRetries(&backoff.ZeroBackOff{}, 5) })},
	} {
		_, err := c.Acquire(context.Background(), "k", time.Minute, opts...)
		require.ErrorIs(t, err, redlock.ErrHeld)
		var failed *redlock.QuorumError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, want, failed.Attempts)
	}

	for range 100 { // now and then ctx ends in the middle of a round
		refused.Store(false)
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Millisecond)
		busily := redlock.Retry(func() backoff.BackOff { return backoff.NewConstantBackOff(100 * time.Microsecond) })
		_, err := c.Acquire(ctx, "k", time.Minute, busily)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		if refused.Load() { // else a busy machine let no round end
			require.ErrorIs(t, err, redlock.ErrHeld, "why it waited is lost")
		}
	}
	require.NoError(t, holder.Release(context.Background()))
}

func TestADeadContextSendsNothing(t *testing.T) {
	t.Parallel()
	c, nodes := five(t)
	gone := errors.New("the caller is gone")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(gone)
	_, err := c.Acquire(ctx, "k", time.Minute)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, gone)
	require.Empty(t, nodes.Node(0).Info("commandstats")["cmdstat_set"])
	_, err = c.Attach(ctx, redlock.Handle{Key: "k", Token: "t", TTL: time.Minute})
	require.ErrorIs(t, err, context.Canceled)
	_, err = c.Inspect(ctx, "k")
	require.ErrorIs(t, err, context.Canceled)
}
