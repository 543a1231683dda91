package redlock_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/redlock"
)

func TestExtendMovesTheEndAndNeverBack(t *testing.T) {
	t.Parallel()
	c, nodes := five(t)
	l := acquire(t, c, "k", time.Minute)
	require.NoError(t, l.Extend(context.Background(), time.Hour))
	require.Greater(t, l.Validity(), 50*time.Minute)
	require.NoError(t, l.Extend(context.Background(), time.Second))
	require.Greater(t, l.Validity(), 50*time.Minute, "a shorter extension shortened the lock")
	for _, n := range nodes.Nodes() {
		if left, ok := n.PTTL("k"); ok {
			require.Greater(t, left, 50*time.Minute)
		}
	}
	require.Equal(t, time.Hour, l.Handle().TTL, "a shorter extension changes what the lock rests on")
	command(t, nodes.Node(0), "DEL", "k")
	require.NoError(t, l.Extend(context.Background(), 50*time.Millisecond))
	eventually(t, func() bool { left, ok := nodes.Node(0).PTTL("k"); return ok && left > 50*time.Minute }, "a node is mended for less than the lock rests on")
	require.ErrorContains(t, l.Extend(context.Background(), 0), "redlock: ttl 0s")
	require.NoError(t, l.Release(context.Background()))
}

func TestALockThatWasTakenAwayIsLostAtOnce(t *testing.T) {
	t.Parallel()
	told := make(chan redlock.LostEvent, 1)
	var l *redlock.Lock
	c, nodes := five(t, redlock.WithObserver(redlock.Observer{Lost: func(e redlock.LostEvent) {
		_ = l.Validity() // the observer may look at the lock
		told <- e
	}}))
	l = acquire(t, c, "k", time.Hour)
	for i := range 3 {
		eventually(t, func() bool { _, ok := nodes.Node(i).Get("k"); return ok }, "node %d never had the key", i)
		command(t, nodes.Node(i), "DEL", "k")
	}
	err := l.Extend(context.Background(), time.Hour)
	require.ErrorIs(t, err, redlock.ErrLost)
	require.ErrorIs(t, err, redlock.ErrNotHeld)
	dead, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, l.Extend(dead, time.Hour), redlock.ErrLost, "a dead context hides the loss")
	require.ErrorIs(t, ended(t, l.Context()), redlock.ErrLost)
	require.ErrorIs(t, (<-told).Cause, redlock.ErrLost)
	require.LessOrEqual(t, l.Validity(), time.Duration(0))
}

func TestAnExtensionObeysItsContextAndLeavesTheLock(t *testing.T) {
	t.Parallel()
	c, nodes := five(t, redlock.WithNodeTimeout(20*time.Millisecond))
	l := acquire(t, c, "k", time.Hour)
	for i := range 3 {
		nodes.Node(i).Kill()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	err := l.Extend(ctx, time.Hour)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, redlock.ErrLost)
	require.Greater(t, l.Validity(), 50*time.Minute)
	require.NoError(t, l.Context().Err())
}

func TestManyExtendAtOnce(t *testing.T) {
	t.Parallel()
	c, _ := five(t)
	l := acquire(t, c, "k", time.Minute)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() { assert.NoError(t, l.Extend(context.Background(), time.Minute)) })
	}
	wg.Wait()
	require.NoError(t, l.Release(context.Background()))
}

func TestAnAutomaticExtensionKeepsTheLockAndEndsWithIt(t *testing.T) {
	t.Parallel()
	c, nodes := five(t)
	l := acquire(t, c, "k", 2*time.Second, redlock.AutoExtend(true))
	first := l.Until()
	eventually(t, func() bool { return l.Until().Sub(first) > 2*time.Second }, "it is not extended")
	require.NoError(t, l.Context().Err())
	require.NoError(t, l.Release(context.Background()))
	eventually(t, noKeys(nodes), "released, and still there")
}
