package quorum_test

import (
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/clock"
	"github.com/redlock-go/redlock/quorum"
)

func TestWhatQueuesDuringABatchGoesOutAsOneBatchInOrder(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n)
		first := submit(l, quorum.Ask, "a", nil)
		synctest.Wait()
		var later []*round
		for _, command := range []string{"b", "c", "d", "e"} {
			later = append(later, submit(l, quorum.Ask, command, nil))
			synctest.Wait()
		}
		require.Equal(t, [][]string{{"a"}}, n.sent(), "one batch is in flight; the others wait")

		v, err := outcome(t, first)
		require.NoError(t, err)
		require.Equal(t, quorum.Yes, v)
		took := elapsed(func() {
			for _, r := range later {
				v, err := outcome(t, r)
				require.NoError(t, err)
				require.Equal(t, quorum.Yes, v)
			}
		})
		require.Equal(t, time.Millisecond, took, "one round trip for all of them")
		require.Equal(t, [][]string{{"a"}, {"b", "c", "d", "e"}}, n.sent())
		require.NoError(t, l.Books())
	})
}

func TestABatchIsBounded(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n, func(c *quorum.Config) { c.Queue = 3 * quorum.MaxBatch })
		submit(l, quorum.Ask, "first", nil)
		synctest.Wait()
		var last *round
		for i := range quorum.MaxBatch + 3 {
			last = submit(l, quorum.Ask, fmt.Sprint(i), nil)
		}
		_, err := outcome(t, last)
		require.NoError(t, err)
		sent := n.sent()
		require.Len(t, sent, 3)
		require.Len(t, sent[1], quorum.MaxBatch)
		require.Equal(t, fmt.Sprint(quorum.MaxBatch-1), sent[1][quorum.MaxBatch-1])
		require.Equal(t, []string{"1024", "1025", "1026"}, sent[2])
		require.NoError(t, l.Books())
	})
}

func TestTheVotesAreWhatTheNodeSaid(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		said := map[string]quorum.Vote{"a": quorum.Yes, "b": quorum.No, "c": quorum.Unknown}
		n.set(func(n *node) { n.vote = func(command string) quorum.Vote { return said[command] } })
		l := open(t, n)
		rounds := map[string]*round{}
		for command := range said {
			rounds[command] = submit(l, quorum.Ask, command, nil)
		}
		for command, r := range rounds {
			v, err := outcome(t, r)
			require.NoError(t, err)
			require.Equal(t, said[command], v)
		}
	})
}

func TestACommandWhoseVoteNobodyCountsIsSentToo(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n)
		slot := new(quorum.Slot)
		l.Send(quorum.Ask, "ask", nil, now(), 0)
		l.Send(quorum.Claim, "claim", slot, now(), forever)
		synctest.Wait() // they are on their way
		l.Send(quorum.Undo, "undo", slot, now(), forever)
		require.NoError(t, l.Books())
		time.Sleep(timeout)
		require.Equal(t, []string{"ask", "claim", "undo"}, n.did())
		require.NoError(t, l.Books())
	})
}

func TestOneListensToEveryAnswerOfARoundAlsoAfterItWasDecided(t *testing.T) {
	virtually(t, func(t *testing.T) {
		const nodes = 3
		var lanes []*lane
		answers := make(chan int, nodes+1)
		r := quorum.NewRound[string](nodes, 2)
		for i := range nodes {
			n := newNode(t)
			n.set(func(n *node) {
				n.latency = func() time.Duration { return time.Duration(i+1) * time.Millisecond }
			})
			lanes = append(lanes, open(t, n))
			r.Set(i, quorum.Ask, "a", nil, 0)
		}
		r.OnAnswer(func(node int) {
			_, _, in := r.Answer(node)
			assert.True(t, in, "the vote is counted before it is told")
			answers <- node
		})
		quorum.Submit(lanes, r, now())
		require.NoError(t, r.Wait(t.Context(), quorum.Tally.Decided))
		for want := range nodes {
			require.Equal(t, want, <-answers)
		}
		synctest.Wait()
		require.Empty(t, answers, "one answer a node")
	})
}

// inFlight returns how many batches the lane lets be in flight at once, by
// submitting more calls than it can have.
func inFlight(t *testing.T, l *lane, n *node) int {
	t.Helper()
	var slow func() time.Duration
	n.set(func(n *node) {
		n.most = 0
		slow, n.latency = n.latency, func() time.Duration { return 10 * time.Millisecond }
	})
	var rounds []*round
	for range quorum.MaxInFlight + 4 {
		rounds = append(rounds, submit(l, quorum.Ask, "a", nil))
		synctest.Wait()
	}
	for _, r := range rounds {
		_, err := outcome(t, r)
		require.NoError(t, err)
	}
	require.NoError(t, l.Books())
	n.set(func(n *node) { n.latency = slow })
	return n.together()
}

func TestTheNumberOfBatchesInFlightFollowsTheRoundTrip(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		roundTrip time.Duration
		want      int
	}{
		{0, 1},
		{100 * time.Microsecond, 1},
		{300 * time.Microsecond, 1},
		{301 * time.Microsecond, 2},
		{time.Millisecond, 4},
		{2600 * time.Microsecond, 8},
		{time.Second, 8},
		{time.Hour, 8},
	} {
		t.Run(row.roundTrip.String(), func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				n := newNode(t)
				n.set(func(n *node) { n.roundTrip = row.roundTrip })
				l := open(t, n)
				require.Equal(t, row.want, inFlight(t, l, n))
			})
		})
	}
}

func TestANewConnectionMeasuresAnew(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n)
		for _, row := range []struct {
			roundTrip time.Duration
			want      int
		}{{2600 * time.Microsecond, 8}, {100 * time.Microsecond, 1}, {900 * time.Microsecond, 3}} {
			n.set(func(n *node) { n.roundTrip, n.breaks = row.roundTrip, []error{io.EOF} })
			_, err := outcome(t, submit(l, quorum.Ask, "breaks the connection", nil))
			require.ErrorIs(t, err, io.EOF)
			require.Equal(t, row.want, inFlight(t, l, n), "round trip %v", row.roundTrip)
		}
	})
}

func TestAFasterAnswerLowersTheNumberInFlightAndASlowerOneDoesNotRaiseIt(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		n.set(func(n *node) { n.roundTrip = 2600 * time.Microsecond })
		l := open(t, n)
		answers := func(d time.Duration) {
			n.set(func(n *node) { n.latency = func() time.Duration { return d } })
			_, err := outcome(t, submit(l, quorum.Ask, "a", nil))
			require.NoError(t, err)
		}
		answers(time.Second / 20)
		require.Equal(t, 8, inFlight(t, l, n), "a slow answer tells of load")
		answers(1100 * time.Microsecond)
		require.Equal(t, 4, inFlight(t, l, n))
		answers(2 * time.Millisecond)
		require.Equal(t, 4, inFlight(t, l, n))
		answers(200 * time.Microsecond)
		require.Equal(t, 1, inFlight(t, l, n))
		answers(2 * time.Millisecond)
		require.Equal(t, 1, inFlight(t, l, n), "until it connects again")
	})
}

// The node checks that a batch that is said to travel alone does so.
func TestWhenTheNumberInFlightFallsWhatIsInFlightIsWaitedFor(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		n.set(func(n *node) { n.roundTrip = 2600 * time.Microsecond })
		l := open(t, n)
		takes := 20 * time.Millisecond
		n.set(func(n *node) { n.latency = func() time.Duration { return takes } })
		var slow []*round
		for range quorum.MaxInFlight - 1 {
			slow = append(slow, submit(l, quorum.Ask, "slow", nil))
			synctest.Wait()
		}
		n.set(func(*node) { takes = 50 * time.Microsecond })
		_, err := outcome(t, submit(l, quorum.Ask, "fast", nil))
		require.NoError(t, err)
		next := submit(l, quorum.Ask, "next", nil)
		synctest.Wait()
		require.Len(t, n.sent(), quorum.MaxInFlight, "seven batches are still in flight, one is allowed")
		for _, r := range slow {
			_, err := outcome(t, r)
			require.NoError(t, err)
		}
		_, err = outcome(t, next)
		require.NoError(t, err)
	})
}

func TestTheQueueIsBounded(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n)
		first := submit(l, quorum.Ask, "in flight", nil)
		synctest.Wait()
		var waiting []*round
		for range room {
			waiting = append(waiting, submit(l, quorum.Claim, "waits", new(quorum.Slot)))
		}
		v, err := atOnce(t, submit(l, quorum.Claim, "too many", new(quorum.Slot)))
		require.ErrorIs(t, err, quorum.ErrQueueFull)
		require.Equal(t, quorum.Unknown, v)
		require.NoError(t, l.Books())

		_, err = outcome(t, first)
		require.NoError(t, err)
		synctest.Wait() // the queue has gone out
		later := submit(l, quorum.Ask, "there is room again", nil)
		for _, r := range append(waiting, later) {
			_, err := outcome(t, r)
			require.NoError(t, err)
		}
		require.NotContains(t, n.did(), "too many")
	})
}

func TestALockThatIsGivenBackMakesRoomInTheQueue(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n)
		submit(l, quorum.Ask, "in flight", nil)
		synctest.Wait()
		slots := make([]quorum.Slot, room)
		for i := range slots {
			submit(l, quorum.Claim, "withdrawn", &slots[i])
		}
		_, err := atOnce(t, submit(l, quorum.Ask, "too many", nil))
		require.ErrorIs(t, err, quorum.ErrQueueFull)

		var undone []*round
		for i := range slots {
			undone = append(undone, submit(l, quorum.Undo, "never sent", &slots[i]))
			require.NoError(t, l.Books())
		}
		for _, r := range undone {
			v, err := atOnce(t, r)
			require.NoError(t, err)
			require.Equal(t, quorum.Yes, v, "the node has never heard of it")
		}
		var waiting []*round
		for range room {
			waiting = append(waiting, submit(l, quorum.Ask, "has room", nil))
		}
		_, err = atOnce(t, submit(l, quorum.Ask, "too many", nil))
		require.ErrorIs(t, err, quorum.ErrQueueFull)
		for _, r := range waiting {
			_, err := outcome(t, r)
			require.NoError(t, err)
		}
		require.Len(t, n.sent(), 2)
		require.NotContains(t, n.did(), "withdrawn")
		require.NotContains(t, n.did(), "never sent")
		require.NoError(t, l.Books())
	})
}

func TestLocksThatComeAndGoBehindAHungBatchDoNotPileUp(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n)
		n.set(func(n *node) { n.hung = true })
		submit(l, quorum.Ask, "in flight", nil)
		synctest.Wait()
		stay := submit(l, quorum.Claim, "stays", new(quorum.Slot))
		for i := range 100 * room {
			slot := new(quorum.Slot)
			r := submit(l, quorum.Claim, "comes and goes", slot)
			_, _, in := r.Answer(0)
			require.False(t, in, "there is always room for claim %d", i)
			v, err := atOnce(t, submit(l, quorum.Undo, "never sent", slot))
			require.NoError(t, err)
			require.Equal(t, quorum.Yes, v)
			require.NoError(t, l.Books()) // which bounds what is kept
		}
		v, err := outcome(t, stay)
		require.ErrorIs(t, err, errHung)
		require.Equal(t, quorum.Unknown, v)
		require.Len(t, n.sent(), 1)
	})
}

func TestAnUndoHasMoreRoomThanAClaim(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n, func(c *quorum.Config) { c.Queue = 2 })
		var slots []*quorum.Slot
		for i := range 6 {
			slots = append(slots, claimed(t, l, fmt.Sprint("claim ", i)))
		}
		submit(l, quorum.Ask, "in flight", nil)
		synctest.Wait()
		var waiting []*round
		for i := range 4 {
			waiting = append(waiting, submit(l, quorum.Undo, fmt.Sprint("undo ", i), slots[i]))
		}
		_, err := atOnce(t, submit(l, quorum.Ask, "too many", nil))
		require.ErrorIs(t, err, quorum.ErrQueueFull)
		for i := 4; i < 6; i++ { // beyond it the caller does not wait, but the node is told
			v, err := atOnce(t, submit(l, quorum.Undo, fmt.Sprint("undo ", i), slots[i]))
			require.ErrorIs(t, err, quorum.ErrQueueFull)
			require.Equal(t, quorum.Unknown, v)
			require.NoError(t, l.Books())
		}
		for _, r := range waiting {
			_, err := outcome(t, r)
			require.NoError(t, err)
		}
		synctest.Wait()
		for i := range 6 {
			require.Equal(t, 1, n.count(fmt.Sprint("undo ", i)))
		}
		require.NoError(t, l.Books())
	})
}

func TestACallThatWaitedTooLongIsNotSent(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n)
		kept := claimed(t, l, "claim kept")
		n.set(func(n *node) { n.latency = func() time.Duration { return timeout } })
		submit(l, quorum.Ask, "slow but sure", nil)
		synctest.Wait()
		fits := submit(l, quorum.Claim, "just fits", new(quorum.Slot))

		old, oldSlot := quorum.NewRound[string](1, 1), new(quorum.Slot)
		old.Set(0, quorum.Claim, "too old", oldSlot, 0)
		quorum.Submit([]*lane{l}, old, now()-1)
		release := quorum.NewRound[string](1, 1)
		release.Set(0, quorum.Undo, "undo kept", kept, forever)
		quorum.Submit([]*lane{l}, release, now()-clock.Instant(time.Hour))

		v, err := outcome(t, old)
		require.ErrorIs(t, err, quorum.ErrTooOld)
		require.ErrorContains(t, err, "100ms")
		require.Equal(t, quorum.Unknown, v)
		for _, r := range []*round{fits, release} {
			v, err = outcome(t, r)
			require.NoError(t, err)
			require.Equal(t, quorum.Yes, v, "an undo does not grow too old")
		}
		v, err = atOnce(t, submit(l, quorum.Undo, "undo too old", oldSlot))
		require.NoError(t, err)
		require.Equal(t, quorum.Yes, v, "it was never sent, so there is nothing to undo")
		require.NotContains(t, n.did(), "too old")
		require.NoError(t, l.Books())
	})
}
