package quorum_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/quorum"
)

// Many callers, five nodes that fail as they like, and lanes that are closed in
// the middle of it. In virtual time everything that can happen at one instant
// happens together, and a deadlock is noticed; in real time nothing waits for
// anything else.
func TestEveryCallIsSettledOnceWhateverTheNodesDo(t *testing.T) {
	t.Parallel()
	t.Run("in virtual time", func(t *testing.T) {
		virtually(t, func(t *testing.T) { soak(t, 12, 60, func(d time.Duration) { time.Sleep(d) }) })
	})
	t.Run("in real time", func(t *testing.T) {
		t.Parallel()
		soak(t, 12, 60, func(time.Duration) { runtime.Gosched() })
	})
}

// soakNode makes a node that answers, breaks, hangs and refuses at random.
func soakNode(t *testing.T, seed uint64) *node {
	chance := rand.New(rand.NewPCG(seed, 3)) // used under the node's mutex
	n := newNode(t)
	n.timeout = 5 * time.Millisecond
	n.roundTrip = time.Duration(seed) * 500 * time.Microsecond
	n.latency = func() time.Duration {
		switch p := chance.IntN(100); {
		case p < 3:
			n.breaks = append(n.breaks, io.EOF)
		case p < 5:
			n.breaks = append(n.breaks, os.ErrDeadlineExceeded)
		case p < 7:
			n.breaks, n.refuses = append(n.breaks, io.EOF), errRefused
		}
		return time.Duration(chance.IntN(200)) * time.Microsecond
	}
	n.vote = func(string) quorum.Vote { return quorum.Yes }
	n.lost = func(batch []string) int { return chance.IntN(len(batch) + 1) }
	return n
}

func soak(t *testing.T, callers, locks int, rest func(time.Duration)) {
	t.Helper()
	const nodes = 5
	var lanes []*lane
	sick := make([]*node, nodes)
	for i := range sick {
		sick[i] = soakNode(t, uint64(i))
		cfg := config()
		cfg.Timeout, cfg.Queue, cfg.Reconnect = sick[i].timeout, 8, every(time.Millisecond)
		lanes = append(lanes, quorum.NewLane(sick[i], cfg))
	}

	type submitted struct {
		round *round
		heard []int // how often each node's answer was told
	}
	rounds := make([][]*submitted, callers)
	slots := make([][]*[nodes]quorum.Slot, callers)
	var mu sync.Mutex // guards what is heard
	submitAll := func(kind quorum.Kind, command string, slots *[nodes]quorum.Slot, keep time.Duration) *submitted {
		s := &submitted{round: quorum.NewRound[string](nodes, 3), heard: make([]int, nodes)}
		for i := range nodes {
			s.round.Set(i, kind, command, &slots[i], now().Add(keep))
		}
		s.round.OnAnswer(func(node int) {
			mu.Lock()
			defer mu.Unlock()
			s.heard[node]++
		})
		quorum.Submit(lanes, s.round, now())
		return s
	}

	var working sync.WaitGroup
	for c := range callers {
		working.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(c), 4))
			for i := range locks {
				name := fmt.Sprintf("lock%d-%d", c, i)
				lock := new([nodes]quorum.Slot)
				slots[c] = append(slots[c], lock)
				number := 0
				do := func(kind quorum.Kind, verb string) *submitted {
					number++
					s := submitAll(kind, fmt.Sprintf("%s %s #%d", verb, name, number), lock, time.Duration(rng.IntN(20))*time.Millisecond)
					rounds[c] = append(rounds[c], s)
					return s
				}
				ctx, cancel := context.WithCancelCause(context.Background())
				if rng.IntN(4) == 0 {
					cancel(errGone)
				}
				err := do(quorum.Claim, "claim").round.Wait(ctx, quorum.Tally.Decided)
				assert.True(t, err == nil || errors.Is(err, errGone))
				for rng.IntN(3) == 0 {
					s := do(quorum.Ask, "extend")
					lanes[rng.IntN(nodes)].Send(quorum.Ask, "nobody counts this", nil, now(), 0)
					if rng.IntN(2) == 0 {
						_ = s.round.Wait(ctx, quorum.Tally.Settled)
					}
				}
				rest(time.Duration(rng.IntN(300)) * time.Microsecond)
				undo := do(quorum.Undo, "undo")
				if rng.IntN(3) == 0 {
					assert.NoError(t, undo.round.Wait(context.Background(), quorum.Tally.Complete))
				}
				if rng.IntN(10) == 0 {
					do(quorum.Undo, "undo") // once more
				}
				cancel(nil)
				for j, l := range lanes {
					assert.NoError(t, l.Books(), "lane %d", j)
					if rng.IntN(20) == 0 { // it recovers
						sick[j].set(func(n *node) { n.refuses = nil })
					}
				}
				if c == 0 && i == locks*3/4 {
					working.Go(func() { lanes[0].Close(context.Background()) })
					working.Go(func() { lanes[1].Close(gone()) })
				}
			}
		})
	}
	working.Wait()
	var closing sync.WaitGroup
	for i, l := range lanes {
		closing.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*2*time.Millisecond)
			defer cancel()
			l.Close(ctx)
		})
	}
	closing.Wait()

	for c := range callers {
		for i, s := range rounds[c] {
			tally := s.round.Tally()
			require.Equal(t, nodes, tally.Yes+tally.No+tally.Unknown, "votes of round %d of caller %d", i, c)
			for node := range nodes {
				_, _, in := s.round.Answer(node)
				require.True(t, in)
				require.LessOrEqual(t, s.heard[node], 1, "answers of node %d told in round %d of caller %d", node, i, c)
			}
		}
		for i, lock := range slots[c] {
			for node := range nodes {
				queued, inFlight := lock[node].InUse()
				require.Zero(t, queued, "calls of lock %d of caller %d on the books of node %d", i, c, node)
				require.Zero(t, inFlight, "calls of lock %d of caller %d in flight to node %d", i, c, node)
			}
		}
	}
	for i, l := range lanes {
		require.NoError(t, l.Books(), "lane %d", i)
		require.Zero(t, sick[i].flying(), "batches in flight to node %d", i)
		require.False(t, sick[i].connected(), "the connection of node %d", i)
	}
}

func (n *node) flying() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.inFlight
}

// A lane that nobody uses runs no timer, and looks for nothing.
func TestAnIdleLaneDoesNothing(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n)
		claimed(t, l, "claim")
		sent, looks := len(n.sent()), n.lookedAt()
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		require.Len(t, n.sent(), sent)
		require.Equal(t, looks, n.lookedAt())
		require.Len(t, n.tries(), 1)
	})
}

func TestAnIdleLaneKeepsNoLockAlive(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	l := quorum.NewLane(n, config())
	defer l.Close(t.Context())
	use := func() weak.Pointer[quorum.Slot] {
		slot := claimed(t, l, "claim")
		_, err := outcome(t, submit(l, quorum.Undo, "undo", slot))
		require.NoError(t, err)
		return weak.Make(slot)
	}
	slot := use()
	for range 1000 { // until the lane has put its hands in its pockets
		if runtime.GC(); slot.Value() == nil {
			return
		}
		runtime.Gosched()
	}
	t.Error("the lock is still there")
}
