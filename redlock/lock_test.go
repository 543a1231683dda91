package redlock_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlock/redistest"
)

func TestALockIsPlainRedlockOnTheWire(t *testing.T) {
	t.Parallel()
	c, nodes := five(t)
	l := acquire(t, c, "import:lock:customers", time.Minute)
	eventually(t, func() bool { return carriers(nodes, "import:lock:customers") == 5 }, "a won round cancelled the late ones")
	for _, n := range nodes.Nodes() {
		token, _ := n.Get("import:lock:customers")
		require.Equal(t, l.Token(), token)
		left, ok := n.PTTL("import:lock:customers")
		require.True(t, ok)
		require.InDelta(t, time.Minute, left, float64(10*time.Second))
		require.Equal(t, []string{"import:lock:customers"}, n.Keys(), "there is more on the node than the lock")
	}
	require.Len(t, l.Token(), 32, "128 bits in hex")
	require.Equal(t, "import:lock:customers", l.Key())
	require.Greater(t, l.Validity(), 50*time.Second)
	require.LessOrEqual(t, l.Validity(), time.Minute-602*time.Millisecond, "the drift is not taken off")
	require.WithinDuration(t, time.Now().Add(l.Validity()), l.Until(), time.Second)

	// A holder of another library excludes this one, and is left alone.
	require.NoError(t, l.Release(context.Background()))
	eventually(t, noKeys(nodes), "released, and still there")
	for _, n := range nodes.Nodes() {
		n.Set("import:lock:customers", "node-redlock's token", time.Minute)
	}
	_, err := c.TryAcquire(context.Background(), "import:lock:customers", time.Minute)
	require.ErrorIs(t, err, redlock.ErrHeld)
}

func TestANamespaceGoesBeforeTheKey(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 1)
	c, other := dial(t, nodes.Addrs(), redlock.WithNamespace("app:")), dial(t, nodes.Addrs())
	l := acquire(t, c, "k", time.Minute)
	require.Equal(t, []string{"app:k"}, nodes.Node(0).Keys())
	require.Equal(t, "k", l.Key())
	_, err := other.TryAcquire(context.Background(), "app:k", time.Minute)
	require.ErrorIs(t, err, redlock.ErrHeld)
	attached, err := c.Attach(context.Background(), l.Handle())
	require.NoError(t, err)
	require.NoError(t, attached.Release(context.Background()))
}

func TestReleaseWorksWithADeadContextAndTwice(t *testing.T) {
	t.Parallel()
	c, nodes := five(t)
	l := acquire(t, c, "k", time.Hour)
	dead, cancel := context.WithCancel(context.Background())
	cancel()
	require.NoError(t, l.Release(dead))
	eventually(t, noKeys(nodes), "a dead context kept the keys")
	require.NoError(t, l.Release(context.Background()))
	require.ErrorIs(t, context.Cause(l.Context()), redlock.ErrNotHeld)
	require.NotErrorIs(t, context.Cause(l.Context()), redlock.ErrLost, "a release is no loss")
	require.LessOrEqual(t, l.Validity(), time.Duration(0))
	require.ErrorIs(t, l.Extend(context.Background(), time.Minute), redlock.ErrNotHeld)
	require.NotErrorIs(t, l.Extend(context.Background(), time.Minute), redlock.ErrLost)
	require.True(t, noKeys(nodes)(), "an extension revived a released lock")
}

func TestManyReleaseAtOnce(t *testing.T) {
	t.Parallel()
	c, nodes := five(t, redlock.WithNodeTimeout(time.Minute))
	for range 20 {
		l := acquire(t, c, "k", time.Hour)
		for i := range 3 {
			nodes.Node(i).Pause()
		}
		var releases sync.WaitGroup
		for range 4 {
			releases.Go(func() { assert.NoError(t, l.Release(context.Background())) })
		}
		time.Sleep(time.Millisecond) // that some wait before there are answers
		for i := range 3 {
			nodes.Node(i).Resume()
		}
		done := make(chan struct{})
		go func() { releases.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(patience):
			t.Fatal("a release waits for ever")
		}
	}
}

func TestAReleaseObeysItsContextAndGoesOn(t *testing.T) {
	t.Parallel()
	c, nodes := five(t, redlock.WithNodeTimeout(time.Minute))
	l := acquire(t, c, "k", time.Hour)
	eventually(t, func() bool { return carriers(nodes, "k") == 5 }, "the late votes did not arrive")
	for i := range 3 {
		nodes.Node(i).Pause()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	err := l.Release(ctx)
	require.ErrorIs(t, err, redlock.ErrNoQuorum)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	for i := range 3 {
		nodes.Node(i).Resume()
	}
	eventually(t, noKeys(nodes), "the release ended with its caller")
}
