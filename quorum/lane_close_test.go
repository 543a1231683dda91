package quorum_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/quorum"
)

// closes closes the lane and returns how long that took.
func closes(ctx context.Context, t *testing.T, l *lane, n *node) time.Duration {
	t.Helper()
	took := elapsed(func() { l.Close(ctx) })
	require.False(t, n.connected(), "the connection is closed")
	require.ErrorIs(t, l.Err(), quorum.ErrClosed)
	return took
}

func gone() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestAClosedLaneAnswersThatItIs(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n)
		slot := claimed(t, l, "claim")
		require.Zero(t, closes(t.Context(), t, l, n))
		for name, r := range map[string]*round{
			"a claim":           submit(l, quorum.Claim, "too late", new(quorum.Slot)),
			"a question":        submit(l, quorum.Ask, "too late", nil),
			"an undo":           submit(l, quorum.Undo, "too late", slot),
			"an undo once more": submit(l, quorum.Undo, "too late", slot),
		} {
			v, err := atOnce(t, r)
			require.ErrorIs(t, err, quorum.ErrClosed, name)
			require.Equal(t, quorum.Unknown, v, name)
		}
		v, err := atOnce(t, submit(l, quorum.Undo, "too late", new(quorum.Slot)))
		require.NoError(t, err)
		require.Equal(t, quorum.Yes, v, "the node has never heard of this one, closed or not")
		l.Send(quorum.Ask, "too late", nil, now(), 0)
		require.Equal(t, []string{"claim"}, n.did())
	})
}

func TestCloseSendsTheUndosThatWaitAndNothingElse(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		n.set(func(n *node) { n.latency = func() time.Duration { return 10 * time.Millisecond } })
		l := open(t, n)
		slots := []*quorum.Slot{claimed(t, l, "claim 0"), claimed(t, l, "claim 1")}
		inFlight, undone := new(quorum.Slot), make([]*round, 3)
		last := submit(l, quorum.Claim, "claim 2", inFlight)
		synctest.Wait()
		claim := submit(l, quorum.Claim, "not sent", new(quorum.Slot))
		for i, slot := range append(slots, inFlight) {
			undone[i] = submit(l, quorum.Undo, fmt.Sprint("undo ", i), slot)
		}
		ask := submit(l, quorum.Ask, "not sent", nil)

		require.Equal(t, 20*time.Millisecond, closes(t.Context(), t, l, n), "the claim in flight, and the undos")
		for _, r := range append(undone, last) {
			v, err := atOnce(t, r)
			require.NoError(t, err)
			require.Equal(t, quorum.Yes, v)
		}
		for _, r := range []*round{claim, ask} {
			v, err := atOnce(t, r)
			require.ErrorIs(t, err, quorum.ErrClosed)
			require.Equal(t, quorum.Unknown, v)
		}
		require.Equal(t, []string{"claim 0", "claim 1", "claim 2", "undo 0", "undo 1", "undo 2"}, n.did())
	})
}

func TestWhileALaneClosesUndosAreTakenAndClaimsAreNot(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		n.set(func(n *node) { n.latency = func() time.Duration { return 10 * time.Millisecond } })
		l := open(t, n)
		slot := new(quorum.Slot)
		submit(l, quorum.Claim, "claim", slot)
		synctest.Wait()
		var closing sync.WaitGroup
		closing.Go(func() { l.Close(t.Context()) })
		synctest.Wait()
		_, err := atOnce(t, submit(l, quorum.Claim, "too late", new(quorum.Slot)))
		require.ErrorIs(t, err, quorum.ErrClosed)
		_, err = outcome(t, submit(l, quorum.Undo, "undo", slot))
		require.NoError(t, err)
		closing.Wait()
		require.Equal(t, []string{"claim", "undo"}, n.did())
	})
}

func TestCloseIsBoundedByItsContextWhenTheNodeHangs(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		n.set(func(n *node) { n.roundTrip = 2600 * time.Microsecond })
		l := open(t, n)
		slot := claimed(t, l, "claim")
		n.set(func(n *node) { n.hung = true })
		inFlight := []*round{submit(l, quorum.Claim, "hangs", new(quorum.Slot))}
		synctest.Wait()
		inFlight = append(inFlight, submit(l, quorum.Undo, "undo", slot))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), timeout/4)
		defer cancel()
		require.Equal(t, timeout/4, closes(ctx, t, l, n))
		for _, r := range inFlight {
			v, err := atOnce(t, r)
			require.Error(t, err)
			require.Equal(t, quorum.Unknown, v)
		}
	})
}

func TestCloseWithoutABoundWaitsNoLongerThanTheNodesTimeout(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n)
		slot := claimed(t, l, "claim")
		n.set(func(n *node) { n.hung = true })
		hangs := submit(l, quorum.Claim, "hangs", new(quorum.Slot))
		synctest.Wait()
		waits := submit(l, quorum.Undo, "undo", slot)
		require.Equal(t, timeout, closes(context.Background(), t, l, n))
		for _, r := range []*round{hangs, waits} {
			v, err := atOnce(t, r)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.Equal(t, quorum.Unknown, v)
		}
	})
}

func TestCloseWithADeadContextDoesNotWait(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n)
		inFlight := submit(l, quorum.Claim, "in flight", new(quorum.Slot))
		synctest.Wait()
		require.Zero(t, closes(gone(), t, l, n))
		v, err := atOnce(t, inFlight)
		require.Error(t, err)
		require.Equal(t, quorum.Unknown, v)
	})
}

func TestANodeThatCannotBeReachedDoesNotHoldUpClose(t *testing.T) {
	t.Parallel()
	for name, sick := range map[string]func(n *node){
		"it hangs, between two attempts": func(n *node) { n.hung = true },
		"it refuses":                     func(n *node) { n.refuses = errRefused },
	} {
		t.Run(name, func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				n := newNode(t)
				n.set(sick)
				l := open(t, n)
				slot := new(quorum.Slot)
				slot.Assume()
				submit(l, quorum.Undo, "owed", slot)
				require.Zero(t, closes(context.Background(), t, l, n))
				require.Empty(t, n.did())
			})
		})
	}
	t.Run("it hangs while it is connected to", func(t *testing.T) {
		virtually(t, func(t *testing.T) {
			n := newNode(t)
			n.set(func(n *node) { n.hung = true })
			l := quorum.NewLane(n, config())
			r := submit(l, quorum.Claim, "waits", new(quorum.Slot))
			synctest.Wait()
			require.Zero(t, closes(context.Background(), t, l, n))
			v, err := atOnce(t, r)
			require.ErrorIs(t, err, quorum.ErrClosed)
			require.Equal(t, quorum.Unknown, v)
			require.Len(t, n.tries(), 1)
		})
	})
}

func TestClosingTwiceOrTogetherIsClosingOnce(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n)
		slot := claimed(t, l, "claim")
		undo := submit(l, quorum.Undo, "undo", slot)
		var closing sync.WaitGroup
		for range 5 {
			closing.Go(func() { l.Close(context.Background()) })
		}
		closing.Wait()
		_, err := atOnce(t, undo)
		require.NoError(t, err)
		require.Zero(t, closes(gone(), t, l, n))
		require.Zero(t, closes(context.Background(), t, l, n))
	})
}

// In real time, so that the goroutines of the lane are caught at whatever they
// are at. Nothing here waits for time to pass.
func TestCloseCatchesTheLaneAtAnything(t *testing.T) {
	t.Parallel()
	for i := range 2000 {
		n := newNode(t)
		n.latency = func() time.Duration { return 0 }
		if i%2 == 0 {
			n.roundTrip = time.Second // as many in flight as may be
		}
		l := quorum.NewLane(n, config())
		if i%4 < 2 {
			<-l.Tried()
		}
		var all sync.WaitGroup
		rounds := make([][]*round, 4)
		for g := range rounds {
			all.Go(func() {
				for range 5 {
					slot := new(quorum.Slot)
					rounds[g] = append(rounds[g], submit(l, quorum.Claim, "claim", slot), submit(l, quorum.Undo, "undo", slot))
					runtime.Gosched()
				}
			})
		}
		all.Go(func() {
			for range i % 8 {
				runtime.Gosched()
			}
			l.Close(gone())
		})
		require.True(t, within(20*time.Second, background(all.Wait)), "Close does not return")
		for _, submitted := range rounds {
			for _, r := range submitted {
				assert.True(t, r.Tally().Complete(), "every call is settled")
			}
		}
	}
}
