package redlock_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/clock"
	"github.com/redlock-go/redlock/quorum"
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
	c, _ := five(t)
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
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Millisecond)
		busily := redlock.Retry(func() backoff.BackOff { return backoff.NewConstantBackOff(100 * time.Microsecond) })
		_, err := c.Acquire(ctx, "k", time.Minute, busily)
		require.ErrorIs(t, err, redlock.ErrHeld, "why it waited is lost")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		cancel()
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

func TestAnotherClientCanAttach(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 5)
	a, b := dial(t, nodes.Addrs()), dial(t, nodes.Addrs())
	l := acquire(t, a, "k", time.Minute)

	text, err := json.Marshal(l.Handle())
	require.NoError(t, err)
	var h redlock.Handle
	require.NoError(t, json.Unmarshal(text, &h))
	require.Equal(t, l.Handle(), h)
	for _, shown := range []string{fmt.Sprint(h), fmt.Sprintf("%+v %#v %q", h, h, h)} {
		require.NotContains(t, shown, l.Token())
	}

	same, err := b.Attach(context.Background(), h)
	require.NoError(t, err)
	require.Equal(t, l.Token(), same.Token())
	require.LessOrEqual(t, same.Validity(), time.Minute)
	require.Greater(t, same.Validity(), 50*time.Second)
	require.NoError(t, same.Extend(context.Background(), time.Hour))
	require.NoError(t, same.Release(context.Background()))
	eventually(t, noKeys(nodes), "an attached lock was not given back")

	_, err = b.Attach(context.Background(), h)
	require.ErrorIs(t, err, redlock.ErrNotHeld)
	for i := range 3 {
		nodes.Node(i).Kill()
	}
	_, err = b.Attach(context.Background(), h)
	require.ErrorIs(t, err, redlock.ErrNoQuorum)
}

func TestAnAttachedLockIsWorthWhatAQuorumCarries(t *testing.T) {
	t.Parallel()
	c, nodes := five(t)
	for i, left := range []time.Duration{time.Hour, 30 * time.Minute, 10 * time.Minute, time.Minute, time.Second} {
		nodes.Node(i).Set("k", "token", left)
	}
	l, err := c.Attach(context.Background(), redlock.Handle{Key: "k", Token: "token", TTL: time.Minute})
	require.NoError(t, err)
	require.LessOrEqual(t, l.Validity(), 10*time.Minute, "no more than the third of them carries it")
}

func TestInspectShowsEveryNode(t *testing.T) {
	t.Parallel()
	c, nodes := five(t)
	seen, err := c.Inspect(context.Background(), "k")
	require.NoError(t, err)
	require.False(t, seen.Held)

	l := acquire(t, c, "k", time.Minute)
	eventually(t, func() bool { return carriers(nodes, "k") == 5 }, "the late votes did not arrive")
	nodes.Node(0).Set("k", "another", time.Hour)
	command(t, nodes.Node(1), "DEL", "k")
	nodes.Node(4).Kill()
	command(t, nodes.Node(3), "PERSIST", "k")
	seen, err = c.Inspect(context.Background(), "k")
	require.NoError(t, err)
	require.False(t, seen.Held, "two of five are no quorum")

	nodes.Node(1).Set("k", l.Token(), 20*time.Second)
	nodes.Node(3).Set("k", l.Token(), time.Minute)
	seen, err = c.Inspect(context.Background(), "k")
	require.NoError(t, err)
	require.True(t, seen.Held)
	require.Equal(t, redlock.Fingerprint(l.Token()), seen.Owner)
	require.InDelta(t, 20*time.Second, seen.Remaining, float64(10*time.Second))
	require.Equal(t, redlock.Fingerprint("another"), seen.Nodes[0].Owner)
	require.Error(t, seen.Nodes[4].Err)
	require.Equal(t, nodes.Node(4).Addr(), seen.Nodes[4].Node)
	require.NotContains(t, fmt.Sprintf("%+v", seen), l.Token())

	nodes.Node(2).Kill()
	nodes.Node(3).Kill()
	seen, err = c.Inspect(context.Background(), "k")
	require.ErrorIs(t, err, redlock.ErrNoQuorum)
	require.Len(t, seen.Nodes, 5, "what is known is not shown")
}

func TestCallersOwnClientsCanBeUsed(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 3)
	var clients []rueidis.Client
	for _, addr := range nodes.Addrs() {
		// As people make them: several connections, which a lane must not spread over.
		client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, ForceSingleClient: true, DisableCache: true})
		require.NoError(t, err)
		t.Cleanup(client.Close)
		clients = append(clients, client)
	}
	c, err := redlock.New(clients)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 100 {
				l, err := c.TryAcquire(context.Background(), strconv.Itoa(i), time.Minute)
				if assert.NoError(t, err) {
					assert.NoError(t, l.Extend(context.Background(), time.Minute))
					assert.NoError(t, l.Release(context.Background()))
				}
			}
		})
	}
	wg.Wait()
	nodes.Node(0).Restart()
	l := acquire(t, c, "k", time.Minute)
	require.NoError(t, l.Release(context.Background()))
	eventually(t, noKeys(nodes), "keys were left behind")
	_, err = c.TryAcquire(context.Background(), "k", -1)
	require.Error(t, err)
	require.NoError(t, c.Close())
	require.NoError(t, clients[2].Do(context.Background(), clients[2].B().Ping().Build()).Error(), "a client that is not ours was closed")

	nodes.Node(1).Kill()
	_, err = c.TryAcquire(context.Background(), "k", time.Minute)
	require.ErrorIs(t, err, redlock.ErrClosed)
}

func TestCloseSendsWhatIsOwedAndEndsWhatIsHeld(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 3)
	c := dial(t, nodes.Addrs())
	kept := acquire(t, c, "kept", time.Hour, redlock.AutoExtend(true))
	var wg sync.WaitGroup
	for i := range 50 {
		l := acquire(t, c, strconv.Itoa(i), time.Hour)
		ctx, cancel := context.WithCancel(context.Background())
		wg.Go(func() { _ = l.Release(ctx); cancel() })
	}
	wg.Wait()
	require.NoError(t, c.Close())
	require.ErrorIs(t, c.Close(), redlock.ErrClosed)

	cause := context.Cause(kept.Context())
	require.ErrorIs(t, cause, redlock.ErrClosed)
	require.ErrorIs(t, cause, redlock.ErrLost)
	require.ErrorIs(t, kept.Extend(context.Background(), time.Hour), redlock.ErrLost)
	require.ErrorIs(t, kept.Release(context.Background()), redlock.ErrClosed)
	for _, n := range nodes.Nodes() {
		require.Subset(t, []string{"kept"}, n.Keys(), "a release did not go out")
	}
	_, err := c.Acquire(context.Background(), "k", time.Minute)
	require.ErrorIs(t, err, redlock.ErrClosed)
	_, err = c.Attach(context.Background(), kept.Handle())
	require.ErrorIs(t, err, redlock.ErrClosed)
	_, err = c.Inspect(context.Background(), "k")
	require.ErrorIs(t, err, redlock.ErrClosed)
}

func TestCloseDuringAcquisitionsLeavesNoKey(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 5)
	for round := range 20 {
		c := dial(t, nodes.Addrs())
		var workers sync.WaitGroup
		kept := make([]string, 16) // of locks that Close came before the release of
		for i := range kept {
			workers.Go(func() {
				for n := 0; ; n++ {
					key := fmt.Sprint(round, " ", i, " ", n)
					l, err := c.TryAcquire(context.Background(), key, time.Hour)
					if err != nil {
						return
					}
					if l.Release(context.Background()) != nil {
						kept[i] = key
						return
					}
				}
			})
		}
		time.Sleep(time.Duration(round%5) * time.Millisecond) // somewhere in the middle of it
		require.NoError(t, c.Close())
		workers.Wait()
		for _, n := range nodes.Nodes() {
			for _, key := range n.Keys() {
				require.Contains(t, kept, key, "an acquisition that failed left a key for an hour")
				command(t, n, "DEL", key)
			}
		}
	}
}

func TestCloseIsBoundedWhileAllNodesHang(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 3)
	c := dial(t, nodes.Addrs(), redlock.WithNodeTimeout(time.Second))
	l := acquire(t, c, "k", time.Hour)
	waiting := make(chan error, 1)
	for _, n := range nodes.Nodes() {
		n.Pause()
	}
	go func() { waiting <- l.Release(context.Background()) }()
	go func() { _, _ = c.Acquire(context.Background(), "other", time.Hour, redlock.UntilDone()) }()
	closed := make(chan struct{})
	go func() { _ = c.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(patience):
		t.Fatal("Close hangs with its nodes")
	}
	if err := <-waiting; !errors.Is(err, redlock.ErrClosed) { // the release came first
		require.ErrorIs(t, err, redlock.ErrNoQuorum)
	}
}

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

func TestTheObserverAndTheLogAreToldAndNoSecretsAreIn(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 3, redistest.Password("correct horse"))
	var mu sync.Mutex
	var log bytes.Buffer
	ops := map[string]quorum.Outcome{}
	var seen []redlock.NodeEvent
	urls := make([]string, 0, 3)
	for _, n := range nodes.Nodes() {
		urls = append(urls, n.URL())
	}
	c := dial(t, urls,
		redlock.WithLogger(slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, nil))),
		redlock.WithObserver(redlock.Observer{
			Round: func(e redlock.RoundEvent) {
				mu.Lock()
				defer mu.Unlock()
				assert.Equal(t, "k", e.Key)
				assert.Equal(t, e.Err == nil, e.Tally.Outcome() == quorum.Won, "%+v", e)
				ops[e.Op] = e.Tally.Outcome()
			},
			Node: func(e redlock.NodeEvent) {
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, e)
			},
		}))
	l := acquire(t, c, "k", time.Minute)
	require.NoError(t, l.Extend(context.Background(), time.Minute))
	_, err := c.Attach(context.Background(), l.Handle())
	require.NoError(t, err)
	require.NoError(t, l.Release(context.Background()))
	nodes.Node(0).Kill()
	nodes.Node(1).Kill()
	_, err = c.TryAcquire(context.Background(), "k", time.Minute)
	require.ErrorIs(t, err, redlock.ErrNoQuorum)
	nodes.Node(0).Restart()
	eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		last := seen[len(seen)-1]
		return last.Node == nodes.Node(0).Addr() && last.Err == nil
	}, "nobody was told that the node is back")

	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, map[string]quorum.Outcome{"acquire": quorum.Lost, "extend": quorum.Won, "attach": quorum.Won, "release": quorum.Won}, ops)
	require.Contains(t, log.String(), "redlock: node cannot be reached")
	require.Contains(t, log.String(), "redlock: node can be reached")
	for _, secret := range []string{l.Token(), "correct", "horse"} {
		require.NotContains(t, log.String()+err.Error(), secret)
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	b  *bytes.Buffer
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func TestAQuorumErrorHoldsTheNumbers(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 5)
	c := dial(t, nodes.Addrs())
	for i := range 3 {
		nodes.Node(i).Kill()
	}
	_, err := c.TryAcquire(context.Background(), "k", time.Minute)
	require.Regexp(t, `^acquire "k": too few nodes answered \(yes \d, no 0, unknown \d of 5\) in [0-9.]+(µs|ms|s): node `, err.Error())
	var failed *redlock.QuorumError
	require.ErrorAs(t, err, &failed)
	require.Len(t, failed.Votes, 5)
	require.Equal(t, "acquire", failed.Op)
	require.Equal(t, "k", failed.Key)
	require.Positive(t, failed.Elapsed)
	require.Equal(t, nodes.Node(0).Addr(), failed.Votes[0].Node)
	require.Error(t, failed.Votes[0].Err)
}
