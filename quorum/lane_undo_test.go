package quorum_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/quorum"
)

func TestAClaimThatWasNotSentIsDroppedWithItsUndo(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n)
		inFlight := submit(l, quorum.Ask, "in flight", nil)
		synctest.Wait()
		slot := new(quorum.Slot)
		claim, extend := submit(l, quorum.Claim, "claim", slot), submit(l, quorum.Ask, "extend", slot)
		v, err := atOnce(t, submit(l, quorum.Undo, "undo", slot))
		require.NoError(t, err)
		require.Equal(t, quorum.Yes, v)
		for _, r := range []*round{claim, extend} {
			v, err = outcome(t, r)
			require.ErrorIs(t, err, quorum.ErrWithdrawn)
			require.Equal(t, quorum.Unknown, v)
		}
		_, err = outcome(t, inFlight)
		require.NoError(t, err)
		require.Equal(t, []string{"in flight"}, n.did())
		require.NoError(t, l.Books())
	})
}

func TestAfterItsUndoALockClaimsNothingAnyMore(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n)
		slot := claimed(t, l, "claim")
		undo := submit(l, quorum.Undo, "undo", slot)
		for _, kind := range []quorum.Kind{quorum.Claim, quorum.Ask} {
			v, err := atOnce(t, submit(l, kind, "too late", slot))
			require.ErrorIs(t, err, quorum.ErrWithdrawn)
			require.Equal(t, quorum.Unknown, v)
			_, err = outcome(t, undo)
			require.NoError(t, err)
		}
		_, err := outcome(t, submit(l, quorum.Undo, "undo", slot))
		require.NoError(t, err)
		require.Equal(t, []string{"claim", "undo", "undo"}, n.did(), "undoing it once more is allowed")
	})
}

func TestAnUndoWaitsForItsClaimThatIsInFlight(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		n.set(func(n *node) { n.roundTrip = 2600 * time.Microsecond })
		l := open(t, n)
		slot := new(quorum.Slot)
		claim := submit(l, quorum.Claim, "claim", slot)
		synctest.Wait()
		undo := submit(l, quorum.Undo, "undo", slot)
		synctest.Wait()
		other := submit(l, quorum.Ask, "another lock's", nil)
		synctest.Wait()
		require.Equal(t, [][]string{{"claim"}, {"another lock's"}}, n.sent(), "only the undo waits")
		for _, r := range []*round{claim, undo, other} {
			_, err := outcome(t, r)
			require.NoError(t, err)
		}
		require.Equal(t, 1, n.count("undo"))
		require.NoError(t, l.Books())
	})
}

func TestTheCallsOfOneLockTravelInOneBatchOrOneAfterAnother(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		n.set(func(n *node) { n.roundTrip = 600 * time.Microsecond }) // two in flight
		l := open(t, n)
		filler := submit(l, quorum.Ask, "fills", nil)
		synctest.Wait()
		slot := new(quorum.Slot)
		a := submit(l, quorum.Claim, "claim x #1", slot)
		synctest.Wait() // two are in flight
		b := submit(l, quorum.Ask, "extend x #2", slot)
		c := submit(l, quorum.Claim, "repair x #3", slot)
		d := submit(l, quorum.Ask, "another lock's", nil)
		for _, r := range []*round{filler, a, b, c, d} {
			_, err := outcome(t, r)
			require.NoError(t, err)
		}
		require.Equal(t, [][]string{{"fills"}, {"claim x #1"}}, n.sent()[:2])
		together := slices.ContainsFunc(n.sent(), func(batch []string) bool {
			return strings.Contains(strings.Join(batch, ", "), "extend x #2, repair x #3")
		})
		require.True(t, together, "what waited for the claim goes with one batch: %q", n.sent())
	})
}

func TestALockThatWasClaimedElsewhereIsUndoneAllTheSame(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n)
		slot := new(quorum.Slot)
		slot.Assume()
		v, err := outcome(t, submit(l, quorum.Undo, "undo", slot))
		require.NoError(t, err)
		require.Equal(t, quorum.Yes, v)
		require.Equal(t, []string{"undo"}, n.did())
	})
}

// An undo that the node could not be told is delivered when the node is back,
// whenever it was that the node went away.
func TestAnUndoOfWhatWasSentIsDeliveredWhenTheNodeIsBack(t *testing.T) {
	t.Parallel()
	away := map[string]func(n *node){
		"it hangs":                 func(n *node) { n.hung = true },
		"it breaks and is refused": func(n *node) { n.breaks, n.refuses = []error{io.EOF}, errRefused },
	}
	moments := map[string]func(t *testing.T, l *lane, goAway func(), slot *quorum.Slot) *round{
		"with the claim": func(t *testing.T, l *lane, goAway func(), slot *quorum.Slot) *round {
			goAway()
			_, err := outcome(t, submit(l, quorum.Claim, "claim", slot))
			require.Error(t, err)
			return submit(l, quorum.Undo, "undo", slot)
		},
		"with the claim, the undo waiting": func(t *testing.T, l *lane, goAway func(), slot *quorum.Slot) *round {
			goAway()
			submit(l, quorum.Claim, "claim", slot)
			synctest.Wait()
			return submit(l, quorum.Undo, "undo", slot)
		},
		"before the undo": func(t *testing.T, l *lane, goAway func(), slot *quorum.Slot) *round {
			_, err := outcome(t, submit(l, quorum.Claim, "claim", slot))
			require.NoError(t, err)
			goAway()
			_, err = outcome(t, submit(l, quorum.Ask, "hits upon it", nil))
			require.Error(t, err)
			return submit(l, quorum.Undo, "undo", slot)
		},
		"with the undo": func(t *testing.T, l *lane, goAway func(), slot *quorum.Slot) *round {
			_, err := outcome(t, submit(l, quorum.Claim, "claim", slot))
			require.NoError(t, err)
			goAway()
			return submit(l, quorum.Undo, "undo", slot)
		},
	}
	for how, goAway := range away {
		for when, play := range moments {
			t.Run(how+" "+when, func(t *testing.T) {
				virtually(t, func(t *testing.T) {
					n := newNode(t)
					l := open(t, n)
					slot := new(quorum.Slot)
					undo := play(t, l, func() { n.set(goAway) }, slot)
					v, err := outcome(t, undo)
					require.Error(t, err)
					require.Equal(t, quorum.Unknown, v, "nobody waits until the node is back")
					require.NoError(t, l.Books())
					time.Sleep(10 * time.Second)
					require.Zero(t, n.count("undo"))

					n.set(func(n *node) { n.hung, n.refuses = false, nil })
					time.Sleep(time.Second)
					require.Equal(t, 1, n.count("undo"), "once")
					require.True(t, l.Idle())
					require.NoError(t, l.Books())
				})
			})
		}
	}
}

func TestAnUndoWhoseConnectionBreaksIsSentAgainAtOnce(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n)
		slot := claimed(t, l, "claim")
		n.set(func(n *node) {
			n.breaks = []error{io.EOF}
			n.lost = func(batch []string) int { return len(batch) } // the node did it; its answer got lost
		})
		v, err := outcome(t, submit(l, quorum.Undo, "undo", slot))
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, quorum.Unknown, v)
		time.Sleep(10 * time.Millisecond)
		require.Equal(t, []string{"claim", "undo", "undo"}, n.did())
		require.NoError(t, l.Books())
	})
}

func TestAnUndoThatWasAnsweredBeforeTheConnectionBrokeIsNotSentAgain(t *testing.T) {
	virtually(t, func(t *testing.T) {
		c := &halfway{node: newNode(t)}
		l := quorum.NewLane(c, config())
		defer l.Close(t.Context())
		slot := new(quorum.Slot)
		slot.Assume()
		v, err := outcome(t, submit(l, quorum.Undo, "undo", slot))
		require.NoError(t, err)
		require.Equal(t, quorum.Yes, v)
		synctest.Wait()
		require.True(t, l.Idle())
		require.NoError(t, l.Books())
	})
}

func TestAnUndoThatHasBecomeNeedlessIsNotDelivered(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n)
		short, long := claimed(t, l, "claim short"), claimed(t, l, "claim long")
		n.set(func(n *node) { n.hung = true })
		_, err := outcome(t, submit(l, quorum.Ask, "hits upon it", nil))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		submitUntil(l, quorum.Undo, "undo short", short, now().Add(time.Second))
		submitUntil(l, quorum.Undo, "undo long", long, now().Add(time.Minute))
		time.Sleep(2 * time.Second)
		n.set(func(n *node) { n.hung = false })
		time.Sleep(time.Second)
		require.Equal(t, []string{"claim short", "claim long", "undo long"}, n.did())
		require.True(t, l.Idle())
		require.NoError(t, l.Books())
	})
}

func TestAnUndoIsDeliveredUntilTheVeryInstantItBecomesNeedless(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		n.set(func(n *node) { n.refuses = errRefused })
		l := open(t, n)
		back := now().Add(pause)
		slots := make([]quorum.Slot, 2)
		slots[0].Assume()
		slots[1].Assume()
		submitUntil(l, quorum.Undo, "in time", &slots[0], back)
		submitUntil(l, quorum.Undo, "too late", &slots[1], back-1)
		n.set(func(n *node) { n.refuses = nil })
		time.Sleep(time.Second)
		require.Equal(t, []string{"in time"}, n.did())
	})
}

func TestUndosThatWaitForANodeToComeBackAreBounded(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n)
		var slots []*quorum.Slot
		for i := range 3 * room {
			slots = append(slots, claimed(t, l, fmt.Sprint("claim ", i)))
		}
		n.set(func(n *node) { n.hung = true })
		submit(l, quorum.Ask, "hits upon it", nil)
		synctest.Wait()
		for i, slot := range slots {
			if i == 2*room { // as many as may wait in the queue fall down with the node
				time.Sleep(timeout)
			}
			submit(l, quorum.Undo, fmt.Sprint("undo ", i), slot)
			require.NoError(t, l.Books())
		}
		n.set(func(n *node) { n.hung = false })
		time.Sleep(time.Second)
		undone := 0
		for _, command := range n.did() {
			if strings.HasPrefix(command, "undo") {
				undone++
			}
		}
		require.Equal(t, room, undone)
		require.NoError(t, l.Books())
		for range room { // and they take nobody's place
			submit(l, quorum.Ask, "a", nil)
		}
		_, err := outcome(t, submit(l, quorum.Ask, "a", nil))
		require.ErrorIs(t, err, quorum.ErrQueueFull)
	})
}

// Many locks come and go over one lane with up to eight batches in flight, whose
// answers come in any order. The node checks the order of the calls of each lock
// (see checkOrder); connections break and hang at random, and what was in flight
// then was executed in part, in full or not at all. In the end the node must not
// carry a lock.
func TestTheCallsOfALockStayInOrderWhateverHappens(t *testing.T) {
	t.Parallel()
	weathers := []struct {
		name          string
		breaks, hangs float64
	}{{"fair", 0, 0}, {"breaking", 0.05, 0}, {"hanging", 0, 0.05}, {"foul", 0.1, 0.05}}
	for seed := range uint64(40) {
		weather := weathers[seed%4]
		t.Run(fmt.Sprintf("%s weather, seed %d", weather.name, seed), func(t *testing.T) {
			virtually(t, func(t *testing.T) { liveThrough(t, seed, weather.breaks, weather.hangs) })
		})
	}
}

func liveThrough(t *testing.T, seed uint64, breaks, hangs float64) {
	t.Helper()
	const steps, held = 400, 12
	rng := rand.New(rand.NewPCG(seed, 1))    // what the callers do
	chance := rand.New(rand.NewPCG(seed, 2)) // what the node does; used under its mutex
	micros := func(r *rand.Rand, most int64) time.Duration {
		return time.Duration(r.Int64N(most)) * time.Microsecond
	}
	n := newNode(t)
	n.set(func(n *node) {
		n.roundTrip = micros(rng, 3000)
		n.latency = func() time.Duration {
			switch p := chance.Float64(); {
			case p < breaks:
				n.breaks = append(n.breaks, io.EOF)
			case p < breaks+hangs:
				n.breaks = append(n.breaks, os.ErrDeadlineExceeded)
			}
			return micros(chance, 4000)
		}
		n.lost = func(batch []string) int { return chance.IntN(len(batch) + 1) }
	})
	l := open(t, n, func(c *quorum.Config) { c.Queue = steps })

	type lock struct {
		name string
		slot quorum.Slot
	}
	var rounds []*round
	var locks []*lock
	number := 0
	do := func(kind quorum.Kind, verb string, k *lock) {
		number++
		rounds = append(rounds, submit(l, kind, fmt.Sprintf("%s %s #%d", verb, k.name, number), &k.slot))
	}
	for step := range steps {
		switch pick := rng.IntN(10); {
		case len(locks) == 0 || pick < 4 && len(locks) < held:
			k := &lock{name: fmt.Sprint("lock", step)}
			locks = append(locks, k)
			do(quorum.Claim, "claim", k)
		case pick < 6:
			do(quorum.Claim, "repair", locks[rng.IntN(len(locks))])
		case pick < 7:
			do(quorum.Ask, "extend", locks[rng.IntN(len(locks))])
		default:
			i := rng.IntN(len(locks))
			do(quorum.Undo, "undo", locks[i])
			if rng.IntN(4) == 0 {
				do(quorum.Claim, "claim", locks[i]) // which comes too late
			}
			locks = append(locks[:i], locks[i+1:]...)
		}
		if rng.IntN(3) == 0 {
			time.Sleep(micros(rng, 1000))
		}
		if rng.IntN(100) == 0 {
			time.Sleep(2 * timeout)
		}
		require.NoError(t, l.Books())
	}
	for _, k := range locks {
		do(quorum.Undo, "undo", k)
	}
	n.set(func(n *node) { breaks, hangs = 0, 0 })
	time.Sleep(time.Minute)

	for i, r := range rounds {
		tally := r.Tally()
		require.Equal(t, 1, tally.Yes+tally.No+tally.Unknown, "votes of call %d", i)
	}
	require.True(t, l.Idle())
	require.NoError(t, l.Books())
	carries := map[string]bool{}
	for _, command := range n.did() {
		parts := strings.Fields(command)
		switch parts[0] {
		case "claim", "repair":
			carries[parts[1]] = true
		case "undo":
			delete(carries, parts[1])
		}
	}
	require.Empty(t, carries, "locks that the node still carries")
}
