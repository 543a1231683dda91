package redlock_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/clock"
	"github.com/redlock-go/redlock/quorum"
	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlock/redistest"
)

// What an answer is worth that comes late.

func TestAQuorumThatGrantedTooLateIsNotALock(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 1)
	leaping := &leapingClock{Clock: clock.System()}
	c := dial(t, nodes.Addrs(), redlock.WithClock(leaping), redlock.WithNodeTimeout(time.Minute))
	eventually(t, func() bool {
		nodes.Node(0).Pause()
		failed := make(chan error, 1)
		go func() {
			l, err := c.TryAcquire(context.Background(), "k", time.Hour)
			if err == nil {
				_ = l.Release(context.Background())
			}
			failed <- err
		}()
		time.Sleep(5 * time.Millisecond) // mostly enough for it to have been sent; else once more
		leaping.ahead.Add(int64(2 * time.Hour))
		nodes.Node(0).Resume()
		err := <-failed
		if err == nil {
			return false
		}
		var votes *redlock.QuorumError
		require.ErrorIs(t, err, redlock.ErrNoQuorum)
		require.ErrorAs(t, err, &votes)
		return votes.Late && votes.Tally.Outcome() == quorum.Won
	}, "a lock without validity was handed out")
	eventually(t, noKeys(nodes), "a round that was won too late left its keys")
}

func TestAnExtensionWonAfterTheEndIsRefused(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 1)
	leaping := &leapingClock{Clock: clock.System()}
	c := dial(t, nodes.Addrs(), redlock.WithClock(leaping), redlock.WithNodeTimeout(time.Minute))
	l := acquire(t, c, "k", time.Hour)
	nodes.Node(0).Pause()
	extended := make(chan error, 1)
	go func() { extended <- l.Extend(context.Background(), 10*time.Hour) }()
	time.Sleep(20 * time.Millisecond) // either it is on its way, or it finds the end itself
	leaping.ahead.Add(int64(2 * time.Hour))
	nodes.Node(0).Resume()
	require.ErrorIs(t, <-extended, redlock.ErrLost)
	require.LessOrEqual(t, l.Validity(), time.Duration(0), "revived")
	require.NoError(t, l.Release(context.Background()))
	eventually(t, noKeys(nodes), "the extension left its key")
}

// slowly lets three nodes answer only after d.
func slowly(nodes *redistest.Cluster, d time.Duration) {
	for i := range 3 {
		nodes.Node(i).Pause()
	}
	for i := range 3 { // from when all are paused, however long that took
		time.AfterFunc(d, nodes.Node(i).Resume)
	}
}

func TestASlowRoundShortensTheLock(t *testing.T) {
	t.Parallel()
	c, nodes := five(t, redlock.WithNodeTimeout(time.Minute))
	const slow = time.Second
	slowly(nodes, slow)
	start := time.Now()
	l := acquire(t, c, "k", time.Minute)
	require.GreaterOrEqual(t, time.Since(start), slow/2, "the nodes were not slow")
	require.WithinRange(t, l.Until(), start, start.Add(clock.DefaultDrift.Validity(time.Minute, 0)+slow/2), "validity is counted from the answers")

	slowly(nodes, slow)
	start = time.Now()
	require.NoError(t, l.Extend(context.Background(), time.Hour))
	require.WithinRange(t, l.Until(), start, start.Add(clock.DefaultDrift.Validity(time.Hour, 0)+slow/2), "an extension is counted from the answers")
	require.NoError(t, l.Release(context.Background()))
}

func TestASlowAttachShortensTheLock(t *testing.T) {
	t.Parallel()
	c, nodes := five(t, redlock.WithNodeTimeout(time.Minute))
	l := acquire(t, c, "k", time.Hour)
	const slow = time.Second
	slowly(nodes, slow)
	same, err := c.Attach(context.Background(), l.Handle())
	require.NoError(t, err)
	require.True(t, same.Until().Before(l.Until().Add(-slow/2)), "counted from the answers: %v", same.Until().Sub(l.Until()))
}

func TestAnExtensionMovesTheEndOfTheContextToo(t *testing.T) {
	t.Parallel()
	c, _ := five(t)
	l := acquire(t, c, "k", 400*time.Millisecond)
	first := l.Context()
	require.NoError(t, l.Extend(context.Background(), 2*time.Second))
	require.ErrorIs(t, ended(t, first), redlock.ErrLost)
	require.LessOrEqual(t, time.Until(l.Until()), 10*time.Millisecond, "the context ended as if nothing had been extended")
	require.Equal(t, first, l.Context())
}

// A node that is asked to take a key long after it was worth anything.
func TestAShortRoundDoesNotWaitForItsNodes(t *testing.T) {
	t.Parallel()
	c, nodes := five(t, redlock.WithNodeTimeout(time.Minute))
	for i := range 3 {
		nodes.Node(i).Pause()
		t.Cleanup(nodes.Node(i).Resume)
	}
	start := time.Now()
	_, err := c.TryAcquire(context.Background(), "k", 200*time.Millisecond)
	require.ErrorIs(t, err, redlock.ErrNoQuorum)
	require.Less(t, time.Since(start), patience, "it waits beyond its own validity")
}
