package redlock_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/redlock"
)

func TestWithLockHoldsWhileItRunsAndReleases(t *testing.T) {
	t.Parallel()
	type key struct{}
	c, nodes := five(t)
	ctx := context.WithValue(context.Background(), key{}, "value")
	failed := errors.New("the job's own error")
	err := c.WithLock(ctx, "k", 300*time.Millisecond, func(ctx context.Context) error {
		assert.Equal(t, "value", ctx.Value(key{}))
		_, err := c.TryAcquire(ctx, "k", time.Minute)
		assert.ErrorIs(t, err, redlock.ErrHeld)
		select {
		case <-ctx.Done():
			t.Error("the lock was not extended: ", context.Cause(ctx))
		case <-time.After(time.Second): // longer than the ttl
		}
		return failed
	})
	require.ErrorIs(t, err, failed)
	require.NotErrorIs(t, err, redlock.ErrLost)
	eventually(t, noKeys(nodes), "an error kept the lock")

	n, err := redlock.Run(ctx, c, "k", time.Minute, func(context.Context) (int, error) { return 42, nil })
	require.NoError(t, err)
	require.Equal(t, 42, n)
}

func TestWithLockReleasesOnPanicAndExitAndDeadContext(t *testing.T) {
	t.Parallel()
	c, nodes := five(t)
	require.PanicsWithValue(t, "boom", func() {
		_ = c.WithLock(context.Background(), "k", time.Hour, func(context.Context) error { panic("boom") })
	})
	eventually(t, noKeys(nodes), "a panic kept the lock")

	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = c.WithLock(context.Background(), "k", time.Hour, func(context.Context) error { runtime.Goexit(); return nil })
	}()
	<-exited
	eventually(t, noKeys(nodes), "an exit kept the lock")

	ctx, cancel := context.WithCancel(context.Background())
	err := c.WithLock(ctx, "k", time.Hour, func(ctx context.Context) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	})
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, redlock.ErrLost)
	eventually(t, noKeys(nodes), "a dead context kept the lock")
}

func TestALossIsToldEvenWhereTheJobDidNotNotice(t *testing.T) {
	t.Parallel()
	c, nodes := five(t)
	value, err := redlock.Run(context.Background(), c, "k", 300*time.Millisecond, func(ctx context.Context) (int, error) {
		for _, n := range nodes.Nodes() {
			command(t, n, "FLUSHALL")
		}
		assert.ErrorIs(t, ended(t, ctx), redlock.ErrLost)
		return 42, nil
	})
	require.ErrorIs(t, err, redlock.ErrLost)
	require.Equal(t, 42, value)
}

func TestRunImportTellsHowItWent(t *testing.T) {
	t.Parallel()
	c, nodes := five(t)
	ctx := context.Background()
	one := redlock.Retry(func() backoff.BackOff { return &backoff.StopBackOff{} })

	var second redlock.Result[int]
	first := redlock.RunImport(ctx, c, "customers", func(ctx context.Context) (int, error) {
		eventually(t, func() bool { return carriers(nodes, "import:lock:customers") == 5 }, "the key is another")
		left, _ := nodes.Node(0).PTTL("import:lock:customers")
		assert.InDelta(t, redlock.TTLMedium, left, float64(10*time.Second))
		second = redlock.RunImport(ctx, c, "customers", func(context.Context) (int, error) {
			t.Error("two imports at once")
			return 0, nil
		}, one)
		return 7, nil
	})
	require.NoError(t, first.Err)
	require.NoError(t, first.ReleaseErr)
	require.True(t, first.Acquired)
	require.Equal(t, 7, first.Value)
	require.Equal(t, 1, first.Attempts)
	require.Positive(t, first.Waited)
	require.Positive(t, first.Held)
	require.False(t, second.Acquired)
	require.ErrorIs(t, second.Err, redlock.ErrHeld)
	require.Zero(t, second.Held)

	// A release that fails does not fail what is done.
	done := redlock.RunImport(ctx, c, "products", func(context.Context) (int, error) {
		for i := range 3 {
			nodes.Node(i).Kill()
		}
		return 8, nil
	}, redlock.ImportTTL(time.Hour))
	require.NoError(t, done.Err)
	require.Equal(t, 8, done.Value)
	require.ErrorIs(t, done.ReleaseErr, redlock.ErrNoQuorum)

	down := redlock.RunImport(ctx, c, "orders", func(context.Context) (int, error) { return 0, nil }, one)
	require.False(t, down.Acquired)
	require.ErrorIs(t, down.Err, redlock.ErrNoQuorum)
}
