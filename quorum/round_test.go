package quorum_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/quorum"
)

var errGone = errors.New("the caller is gone")

// newRound prepares a round whose votes the test hands in itself.
func newRound(nodes, q int) *quorum.Round[string] {
	r := quorum.NewRound[string](nodes, q)
	for i := range nodes {
		r.Set(i, quorum.Claim, "", nil, 0)
	}
	return r
}

func TestAWaiterWakesWithTheVoteThatItWaitsFor(t *testing.T) {
	t.Parallel()
	conditions := map[string]func(quorum.Tally) bool{
		"decided":  quorum.Tally.Decided,
		"settled":  quorum.Tally.Settled,
		"complete": quorum.Tally.Complete,
	}
	for _, row := range []struct {
		name          string
		nodes, quorum int
		votes         string
		wakes         map[string]int // at which vote
	}{
		{"won at once", 5, 3, "yyyyy", map[string]int{"decided": 3, "settled": 3, "complete": 5}},
		{"won by the last", 5, 3, "nuyyy", map[string]int{"decided": 5, "settled": 5, "complete": 5}},
		{"refused", 5, 3, "nnnuu", map[string]int{"decided": 3, "settled": 3, "complete": 5}},
		{"decided before it is settled", 5, 3, "nnuun", map[string]int{"decided": 3, "settled": 5, "complete": 5}},
		{"too few answers", 5, 3, "uuuyy", map[string]int{"decided": 3, "settled": 3, "complete": 5}},
		{"a single node", 1, 1, "y", map[string]int{"decided": 1, "settled": 1, "complete": 1}},
	} {
		for name, condition := range conditions {
			t.Run(row.name+", "+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					r := newRound(row.nodes, row.quorum)
					woken := false
					go func() {
						assert.NoError(t, r.Wait(t.Context(), condition))
						woken = true
					}()
					for i, v := range row.votes {
						synctest.Wait()
						require.Equal(t, i >= row.wakes[name], woken, "after %d votes of %s", i, row.votes)
						r.Settle(i, votes[v], nil)
					}
					synctest.Wait()
					require.True(t, woken, "all votes are in")
				})
			})
		}
	}
}

func TestAConditionThatHoldsAlreadyIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	dead, cancel := context.WithCancel(context.Background())
	cancel()
	r := newRound(3, 2)
	r.Settle(0, quorum.Yes, nil)
	r.Settle(2, quorum.Yes, nil)
	require.NoError(t, r.Wait(dead, quorum.Tally.Decided), "not even where the caller is gone")
	require.NoError(t, r.Wait(dead, quorum.Tally.Decided), "nor a second time")
}

func TestAWaitThatIsCutShortSaysWhyAndTakesNothingAlong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRound(3, 2)
		ctx, cancel := context.WithCancelCause(t.Context())
		first := make(chan error)
		go func() { first <- r.Wait(ctx, quorum.Tally.Decided) }()
		synctest.Wait()
		cancel(errGone)
		require.ErrorIs(t, <-first, errGone)

		// The round is decided while nobody waits: the news of it stays behind
		// for a waiter who has left.
		r.Settle(0, quorum.Yes, nil)
		r.Settle(1, quorum.Yes, nil)

		// The next waiter, who waits for more, is neither misled by that nor
		// deaf to its own news.
		second := false
		go func() {
			assert.NoError(t, r.Wait(t.Context(), quorum.Tally.Complete))
			second = true
		}()
		synctest.Wait()
		require.False(t, second, "one vote is still out")
		r.Settle(2, quorum.No, nil)
		synctest.Wait()
		require.True(t, second)
	})
}

func TestNoWaiterIsForgottenHoweverManyLeftBefore(t *testing.T) {
	t.Parallel()
	dead, cancel := context.WithCancel(context.Background())
	cancel()
	for range 500 {
		r := newRound(5, 3)
		var voters sync.WaitGroup
		for i := range 5 {
			voters.Go(func() { r.Settle(i, quorum.Yes, nil) })
		}
		for range 3 { // leaves at once, whatever the voters are at
			_ = r.Wait(dead, quorum.Tally.Decided)
		}
		require.NoError(t, r.Wait(t.Context(), quorum.Tally.Decided))
		_ = r.Wait(dead, quorum.Tally.Complete)
		require.NoError(t, r.Wait(t.Context(), quorum.Tally.Complete))
		voters.Wait()
	}
}

func TestVotesThatComeInAtOnceAreAllCounted(t *testing.T) {
	t.Parallel()
	const nodes = 9
	for range 300 {
		r := newRound(nodes, 5)
		var voters sync.WaitGroup
		for i := range nodes {
			voters.Go(func() {
				r.Settle(i, quorum.Vote(i%3), errGone)
				_ = r.Tally()
				_, _, in := r.Answer(i)
				assert.True(t, in)
			})
		}
		require.NoError(t, r.Wait(t.Context(), quorum.Tally.Decided))
		require.True(t, r.Tally().Decided())
		require.NoError(t, r.Wait(t.Context(), quorum.Tally.Complete))
		require.Equal(t, quorum.Tally{Nodes: nodes, Quorum: 5, Yes: 3, No: 3, Unknown: 3}, r.Tally())
		voters.Wait()
	}
}

func TestARoundKnowsWhatEachNodeHasSaid(t *testing.T) {
	t.Parallel()
	r := quorum.NewRound[string](3, 2)
	r.Set(0, quorum.Claim, "to the first", nil, 0)
	r.Set(1, quorum.Claim, "to the second", nil, 0)
	r.Set(2, quorum.Claim, "to the third", nil, 0)
	r.Settle(2, quorum.No, nil)
	r.Settle(0, quorum.Unknown, errGone)

	v, err, in := r.Answer(0)
	assert.True(t, in)
	assert.Equal(t, quorum.Unknown, v)
	assert.ErrorIs(t, err, errGone)
	v, err, in = r.Answer(1)
	assert.False(t, in, "it has not said anything, which is not the same as unknown")
	assert.Equal(t, quorum.Unknown, v)
	assert.NoError(t, err)
	v, err, in = r.Answer(2)
	assert.True(t, in)
	assert.Equal(t, quorum.No, v)
	assert.NoError(t, err)

	assert.Equal(t, "to the second", r.Command(1))
	assert.Equal(t, quorum.Tally{Nodes: 3, Quorum: 2, No: 1, Unknown: 1}, r.Tally())
}

// asked is a context that does something when it is asked for its channel, which
// a waiter does when it has made up its mind to wait and does not wait yet.
type asked struct {
	context.Context
	do func()
}

func (a asked) Done() <-chan struct{} {
	a.do()
	return a.Context.Done()
}

func TestAVoteThatComesInWhileTheWaiterLiesDownWakesIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		r := newRound(3, 2)
		r.Settle(0, quorum.Yes, nil)
		decide := sync.OnceFunc(func() { r.Settle(1, quorum.Yes, nil) })
		require.NoError(t, r.Wait(asked{ctx, decide}, quorum.Tally.Decided))
	})
}
