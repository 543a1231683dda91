package redlock_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlock/redistest"
)

// What other libraries get wrong, each as seen in use or in a tracker, and each a
// behaviour that this one must not have. The last of them, about the lock
// command, is tested in cmd/redlock.

// redsync acquires in 0.5 to 5 s then and releases in 4.5 s, redlock-universal in
// 5 s each.
func TestOnePausedNodeOfFiveHoldsUpNothing(t *testing.T) {
	t.Parallel()
	const timeout = time.Minute // whoever waits for the node runs into patience
	c, nodes := five(t, redlock.WithNodeTimeout(timeout))
	nodes.Node(2).Pause()
	t.Cleanup(nodes.Node(2).Resume)
	goroutines := runtime.NumGoroutine()

	start := time.Now()
	for range 200 {
		l, err := c.TryAcquire(context.Background(), "k", time.Minute)
		require.NoError(t, err)
		require.NoError(t, l.Extend(context.Background(), time.Minute))
		require.NoError(t, l.Release(context.Background()))
	}
	assert.Less(t, time.Since(start), patience)
	assert.Less(t, runtime.NumGoroutine(), goroutines+100, "goroutines pile up behind the paused node (other tests run meanwhile)")
}

// redlock-universal times its renewal from after a slow acquire, and tells its
// holder seconds after another has the lock.
func TestAHolderIsToldBeforeAnotherGetsTheLock(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 5)
	urls := make([]string, 0, 5)
	for _, n := range nodes.Nodes() {
		command(t, n, "ACL", "SETUSER", "a", "on", ">secret", "~*", "+@all")
		urls = append(urls, "redis://a:secret@"+n.Addr())
	}
	a, b := dial(t, urls), dial(t, nodes.Addrs())

	first := acquire(t, a, "k", 1500*time.Millisecond, redlock.AutoExtend(true))
	for _, n := range nodes.Nodes() { // from here on a cannot extend, and b can do as it likes
		command(t, n, "ACL", "SETUSER", "a", "-eval", "-evalsha")
	}
	second := acquire(t, b, "k", time.Minute, redlock.UntilDone())
	require.ErrorIs(t, context.Cause(first.Context()), redlock.ErrLost, "two hold the lock")
	require.NoError(t, second.Release(context.Background()))
}

// rueidislock tells 1 s after the lock can expire when the server hangs.
func TestLossIsToldInTimeWhileTheServersHang(t *testing.T) {
	t.Parallel()
	c, nodes := five(t, redlock.WithNodeTimeout(30*time.Second)) // no answer comes to the rescue
	l := acquire(t, c, "k", time.Second, redlock.AutoExtend(true))
	for i := range 3 {
		nodes.Node(i).Pause()
		t.Cleanup(nodes.Node(i).Resume)
	}
	require.ErrorIs(t, ended(t, l.Context()), redlock.ErrLost)
	early := time.Until(l.Until())
	assert.Less(t, early, 5*time.Millisecond, "told while there was validity to use")
	// Late only by what a busy machine does to any goroutine.
	assert.Greater(t, early, -500*time.Millisecond)
	assert.LessOrEqual(t, l.Validity(), time.Duration(0))
}

// redsync leaves keys on all nodes until they expire.
func TestACancelledAcquireLeavesNoKey(t *testing.T) {
	t.Parallel()
	c, nodes := five(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(600))*time.Microsecond)
				l, err := c.TryAcquire(ctx, "k"+string(rune('a'+rand.IntN(20))), time.Hour)
				if err == nil {
					err = l.Release(ctx)
				}
				if err != nil && !errors.Is(err, redlock.ErrHeld) {
					assert.ErrorIs(t, err, context.DeadlineExceeded)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	eventually(t, noKeys(nodes), "keys were left behind")
}

// redlock-universal leaves keys on 3 of 5 nodes, and then blocks itself.
func TestAFailedAcquireLeavesNoGhosts(t *testing.T) {
	t.Parallel()
	c, nodes := five(t)
	for i := range 3 {
		nodes.Node(i).Set("k", "a rival", time.Hour)
	}
	_, err := c.TryAcquire(context.Background(), "k", time.Hour)
	require.ErrorIs(t, err, redlock.ErrHeld)
	eventually(t, func() bool { return carriers(nodes, "k") == 3 }, "the nodes that granted still carry the key")

	for i := range 3 {
		owner, _ := nodes.Node(i).Get("k")
		require.Equal(t, "a rival", owner, "cleaning up took another's key")
		command(t, nodes.Node(i), "DEL", "k")
	}
	l, err := c.TryAcquire(context.Background(), "k", time.Minute)
	require.NoError(t, err, "the library blocks itself")
	require.NoError(t, l.Release(context.Background()))
}

// redsync sends EVALSHA, and nobody waits for the EVAL.
func TestAReleaseIsNotLostToAForgottenScript(t *testing.T) {
	t.Parallel()
	c, nodes := five(t)
	l := acquire(t, c, "k", time.Hour)
	eventually(t, func() bool { return carriers(nodes, "k") == 5 }, "the late votes did not arrive")
	for _, n := range nodes.Nodes() {
		command(t, n, "SCRIPT", "FLUSH")
	}
	require.NoError(t, l.Release(context.Background()))
	eventually(t, noKeys(nodes), "a release was lost")
}

func TestAReleaseReachesANodeThatWasDown(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 5, redistest.AOF())
	c := dial(t, nodes.Addrs())
	l := acquire(t, c, "k", time.Hour)
	eventually(t, func() bool { return carriers(nodes, "k") == 5 }, "the late votes did not arrive")
	nodes.Node(4).Kill()
	require.NoError(t, l.Release(context.Background()))
	nodes.Node(4).Restart() // with its data, and so with the key
	eventually(t, noKeys(nodes), "the node that was down keeps the key for an hour")
}

// Nor where the lock was extended by less than it had.
func TestAReleaseIsOwedForAsLongAsAnyNodeMayCarryTheKey(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 3, redistest.AOF())
	c := dial(t, nodes.Addrs(), redlock.WithNodeTimeout(50*time.Millisecond))
	l := acquire(t, c, "k", time.Hour)
	eventually(t, func() bool { return carriers(nodes, "k") == 3 }, "the late vote did not arrive")
	nodes.Node(2).Kill()
	require.NoError(t, l.Extend(context.Background(), 100*time.Millisecond))
	require.NoError(t, l.Release(context.Background()))
	time.Sleep(300 * time.Millisecond) // longer than the extension, far shorter than the key
	nodes.Node(2).Restart()
	eventually(t, noKeys(nodes), "the node keeps the key for an hour")
}

// redsync #186.
func TestALockDoesNotErodeNodeByNode(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 5)
	c, rival := dial(t, nodes.Addrs()), dial(t, nodes.Addrs())
	nodes.Node(3).Kill()
	nodes.Node(4).Kill()
	l := acquire(t, c, "k", time.Hour)
	nodes.Node(3).Restart()
	nodes.Node(4).Restart()
	require.Equal(t, 3, carriers(nodes, "k"))

	eventually(t, func() bool {
		require.NoError(t, l.Extend(context.Background(), time.Hour))
		return carriers(nodes, "k") == 5
	}, "an extension does not give the key back to nodes that lack it")

	// Now the nodes that granted it at first lose it one after the other.
	for i := range 2 {
		nodes.Node(i).Restart()
		_, err := rival.Acquire(context.Background(), "k", time.Minute)
		require.ErrorIs(t, err, redlock.ErrHeld)
	}
	require.NoError(t, l.Extend(context.Background(), time.Hour))
	require.NoError(t, l.Release(context.Background()))
}

// The remedy of others, which silently makes an expired lock anew.
func TestExtendAfterExpiryIsRefused(t *testing.T) {
	t.Parallel()
	c, nodes := five(t)
	l := acquire(t, c, "k", 50*time.Millisecond)
	eventually(t, func() bool { return l.Validity() <= 0 && noKeys(nodes)() }, "the lock did not run out")
	err := l.Extend(context.Background(), time.Hour)
	require.ErrorIs(t, err, redlock.ErrLost)
	require.ErrorIs(t, err, redlock.ErrNotHeld)
	require.ErrorIs(t, context.Cause(l.Context()), redlock.ErrLost)
	require.True(t, noKeys(nodes)(), "an expired lock was made anew")
}

// node-redlock #168, #169, #282: a 409 in an outage.
func TestAnOutageIsNotToldAsHeld(t *testing.T) {
	t.Parallel()
	c, nodes := five(t)
	l := acquire(t, c, "held", time.Hour)

	nodes.Node(0).Kill()
	_, err := c.TryAcquire(context.Background(), "held", time.Minute)
	require.ErrorIs(t, err, redlock.ErrHeld, "four nodes say that it is held, whatever the fifth would say")
	require.NotErrorIs(t, err, redlock.ErrNoQuorum)

	nodes.Node(1).Kill()
	nodes.Node(2).Kill()
	_, err = c.TryAcquire(context.Background(), "free", time.Minute)
	require.ErrorIs(t, err, redlock.ErrNoQuorum)
	require.NotErrorIs(t, err, redlock.ErrHeld)
	_, err = c.TryAcquire(context.Background(), "held", time.Minute)
	require.ErrorIs(t, err, redlock.ErrNoQuorum, "two refusals of five do not tell")

	var votes *redlock.QuorumError
	require.ErrorAs(t, err, &votes)
	require.Zero(t, votes.Tally.Yes)
	require.Len(t, votes.Votes, 5)
	require.ErrorIs(t, l.Release(context.Background()), redlock.ErrNoQuorum)
}

// node-redlock #65, #309, #362: it throws, masks the job's own error, or retries
// for ever.
func TestReleasingALockThatRanOutMasksNothing(t *testing.T) {
	t.Parallel()
	c, _ := five(t)
	l := acquire(t, c, "k", 30*time.Millisecond)
	eventually(t, func() bool { return l.Validity() <= 0 }, "the lock did not run out")
	require.NoError(t, l.Release(context.Background()))
	require.NoError(t, l.Release(context.Background()))

	failed := errors.New("the job's own error")
	err := c.WithLock(context.Background(), "k", 30*time.Millisecond, func(ctx context.Context) error {
		<-ctx.Done()
		assert.ErrorIs(t, context.Cause(ctx), redlock.ErrLost)
		return failed
	}, redlock.AutoExtend(false))
	require.ErrorIs(t, err, failed)
	require.ErrorIs(t, err, redlock.ErrLost)
}

// redlock-universal calls 2 700 times in 3 s at a ttl of 1.25 s.
func TestAShortTTLDoesNotSpin(t *testing.T) { // not parallel: a lock this short needs its processor
	var rounds atomic.Int64
	c, nodes := five(t, redlock.WithObserver(redlock.Observer{Round: func(e redlock.RoundEvent) {
		if e.Op == "extend" {
			rounds.Add(1)
		}
	}}))
	const ttl, long = 300 * time.Millisecond, 3 * time.Second
	l := acquire(t, c, "k", ttl, redlock.AutoExtend(true))
	select {
	case <-l.Context().Done():
		t.Fatal(context.Cause(l.Context()))
	case <-time.After(long):
	}
	// Every third of its validity, a tenth earlier at the most; 98 ms or so.
	assert.LessOrEqual(t, rounds.Load(), int64(45))
	assert.GreaterOrEqual(t, rounds.Load(), int64(long/ttl), "it is not extended at all")

	// Nor when the rounds fail.
	rounds.Store(0)
	for i := range 3 {
		nodes.Node(i).Kill()
	}
	require.ErrorIs(t, ended(t, l.Context()), redlock.ErrLost)
	assert.LessOrEqual(t, rounds.Load(), int64(100))
}

// redlock-universal gives up with most of the ttl left.
func TestOneFailedRenewalDoesNotEndTheLock(t *testing.T) {
	t.Parallel()
	failures := make(chan struct{}, 100)
	c, nodes := five(t, redlock.WithNodeTimeout(50*time.Millisecond), redlock.WithObserver(redlock.Observer{Round: func(e redlock.RoundEvent) {
		if e.Op == "extend" && e.Err != nil {
			failures <- struct{}{}
		}
	}}))
	l := acquire(t, c, "k", 3*time.Second, redlock.AutoExtend(true))
	before := l.Until()
	for i := range 3 {
		nodes.Node(i).Pause()
	}
	<-failures
	for i := range 3 {
		nodes.Node(i).Resume()
	}
	eventually(t, func() bool { return l.Until().Sub(before) > time.Second || l.Context().Err() != nil }, "no later renewal was won")
	require.NoError(t, l.Context().Err(), "one failed renewal ended the lock: %v", context.Cause(l.Context()))
	require.NoError(t, l.Release(context.Background()))
}

// node-redlock, with four nodes and two contenders, splits for ever.
func TestASplitVoteEnds(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 4)
	clients := []*redlock.Client{dial(t, nodes.Addrs()), dial(t, nodes.Addrs())}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() {
			for range 50 {
				l, err := c.Acquire(ctx, "k", time.Minute, redlock.UntilDone())
				if assert.NoError(t, err) {
					assert.NoError(t, l.Release(ctx))
				}
			}
		})
	}
	wg.Wait()
}

func TestANodeThatHangsAtTheStartIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 5)
	nodes.Node(0).Pause()
	start := time.Now()
	c := dial(t, nodes.Addrs(), redlock.WithNodeTimeout(time.Minute))
	require.NoError(t, acquire(t, c, "k", time.Minute).Release(context.Background()))
	require.Less(t, time.Since(start), patience, "the start waits for the node that hangs")
}

func TestANodeThatIsDownAtTheStartIsNoError(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 3)
	nodes.Node(0).Kill()
	c := dial(t, nodes.Addrs())
	l := acquire(t, c, "k", time.Hour)
	require.NoError(t, l.Release(context.Background()))

	nodes.Node(0).Restart()
	nodes.Node(1).Kill()
	// It counts as soon as it is up: without it there is no quorum now.
	l = acquire(t, c, "k", time.Hour, redlock.UntilDone())
	require.NoError(t, l.Release(context.Background()))
}
