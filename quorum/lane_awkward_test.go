package quorum_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/quorum"
)

func TestCloseWhileAConnectionIsLookedAtReturns(t *testing.T) {
	virtually(t, func(t *testing.T) {
		a := &awkward{node: newNode(t)}
		l := openAwkward(t, a)
		claimed(t, l, "claim")
		a.alive = func() bool { time.Sleep(time.Microsecond); return true }
		time.Sleep(rested)
		r := submit(l, quorum.Ask, "a", nil)
		synctest.Wait() // the connection is being looked at
		assert.True(t, within(time.Hour, background(func() { l.Close(gone()) })), "Close does not return")
		_, err := atOnce(t, r)
		require.ErrorIs(t, err, quorum.ErrClosed)
	})
}

func TestWhileAConnectionIsLookedAtNobodyUsesIt(t *testing.T) {
	virtually(t, func(t *testing.T) {
		a := &awkward{node: newNode(t)}
		a.roundTrip = 2600 * time.Microsecond
		l := openAwkward(t, a)
		claimed(t, l, "claim")
		a.alive = func() bool { time.Sleep(time.Microsecond); return a.node.Alive() }
		a.hangUp()
		time.Sleep(rested)
		var rounds []*round
		for i := range 4 {
			rounds = append(rounds, submit(l, quorum.Claim, fmt.Sprint(i), new(quorum.Slot)))
			synctest.Wait()
		}
		for i, r := range rounds {
			v, err := outcome(t, r)
			assert.NoError(t, err, "call %d was sent over a connection that was dead already", i)
			assert.Equal(t, quorum.Yes, v)
		}
	})
}

func TestWhatGoesWrongWhileAConnectionIsLookedAtIsNoticed(t *testing.T) {
	virtually(t, func(t *testing.T) {
		a := &awkward{node: newNode(t)}
		a.roundTrip = 2600 * time.Microsecond
		l := openAwkward(t, a)
		claimed(t, l, "claim")
		a.latency = func() time.Duration { return 0 }
		looks := make(chan bool)
		a.alive = func() bool { return <-looks }
		time.Sleep(rested)
		a.set(func(n *node) { n.breaks = []error{io.EOF} })
		first := submit(l, quorum.Ask, "first", nil)
		synctest.Wait() // the connection is being looked at
		second := submit(l, quorum.Ask, "second", nil)
		synctest.Wait()
		third := submit(l, quorum.Ask, "third", nil)
		synctest.Wait()
		looks <- true
		failed := 0
		for _, r := range []*round{first, second, third} {
			require.NoError(t, r.Wait(t.Context(), quorum.Tally.Complete))
			if _, err, _ := r.Answer(0); err != nil {
				assert.ErrorIs(t, err, io.EOF)
				failed++
			}
		}
		// All in one batch, or each in its own: what was in the queue when the
		// connection broke waits for the next one.
		sent := a.sent()
		assert.Equal(t, len(sent[1]), failed, "calls that failed with the batch that broke, of %q", sent)
	})
}

func TestAConnectionThatAlwaysSeemsDeadIsNotMadeOverAndOver(t *testing.T) {
	virtually(t, func(t *testing.T) {
		a := &awkward{node: newNode(t)}
		l := openAwkward(t, a)
		claimed(t, l, "claim")
		a.connect = func(ctx context.Context) (time.Duration, error) {
			time.Sleep(time.Millisecond)
			return a.node.Connect(ctx)
		}
		a.alive = func() bool { return false }
		time.Sleep(rested)
		r := submit(l, quorum.Ask, "a", nil)
		time.Sleep(10 * time.Second)
		_, _, in := r.Answer(0)
		assert.True(t, in, "a call that waits is settled")
		assert.Less(t, len(a.tries()), int(10*time.Second/pause)+10)
	})
}

// A node that takes connections and then breaks them at every undo: what is owed
// must not make the lane connect as fast as it can.
func TestAnUndoThatAlwaysBreaksTheConnectionIsRetriedWithPauses(t *testing.T) {
	virtually(t, func(t *testing.T) {
		a := &awkward{node: newNode(t)}
		a.connect = func(ctx context.Context) (time.Duration, error) {
			time.Sleep(time.Millisecond)
			return a.node.Connect(ctx)
		}
		l := openAwkward(t, a)
		slot := claimed(t, l, "claim")
		a.set(func(n *node) {
			n.latency = func() time.Duration {
				n.breaks = []error{io.EOF}
				return time.Millisecond
			}
		})
		submit(l, quorum.Undo, "undo", slot)
		time.Sleep(10 * time.Second)
		tries := len(a.tries())
		assert.Less(t, tries, int(10*time.Second/pause)+10)
		assert.Greater(t, tries, 10, "but it is retried")
		a.set(func(n *node) { n.latency, n.breaks = func() time.Duration { return time.Millisecond }, nil })
		time.Sleep(time.Second)
		assert.Equal(t, 1, a.count("undo"))
	})
}

func TestWhoClosesLongerIsNotForgottenByWhoClosesSooner(t *testing.T) {
	virtually(t, func(t *testing.T) {
		for i := range 20 {
			n := newNode(t)
			n.timeout = 24 * time.Hour
			cfg := config()
			cfg.Timeout = n.timeout
			l := quorum.NewLane(n, cfg)
			<-l.Tried()
			n.set(func(n *node) { n.hung = true })
			submit(l, quorum.Claim, "hangs", new(quorum.Slot))
			synctest.Wait()

			var closing sync.WaitGroup
			took := make([]time.Duration, 2)
			for j := range took {
				bound := time.Second
				if j == i%2 {
					bound = time.Hour
				}
				closing.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), bound)
					defer cancel()
					took[j] = elapsed(func() { l.Close(ctx) })
				})
				synctest.Wait()
			}
			closing.Wait()
			if !assert.Equal(t, []time.Duration{time.Second, time.Second}, took, "the lane was closed after a second") {
				return
			}
		}
	})
}

func TestWhoClosesLongerIsNotForgottenWhileNothingIsInFlight(t *testing.T) {
	virtually(t, func(t *testing.T) {
		for i := range 20 {
			n := newNode(t)
			n.set(func(n *node) { n.hung = true })
			cfg := config()
			cfg.Timeout = 24 * time.Hour
			l := quorum.NewLane(n, cfg)
			slot := new(quorum.Slot)
			slot.Assume()
			undo := submit(l, quorum.Undo, "waits for a connection", slot)
			synctest.Wait()

			var closing sync.WaitGroup
			took := make([]time.Duration, 2)
			for j := range took {
				bound := time.Second
				if j == i%2 {
					bound = time.Hour
				}
				closing.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), bound)
					defer cancel()
					took[j] = elapsed(func() { l.Close(ctx) })
				})
				synctest.Wait()
			}
			closing.Wait()
			_, err := atOnce(t, undo)
			require.ErrorIs(t, err, quorum.ErrClosed)
			if !assert.Equal(t, []time.Duration{time.Second, time.Second}, took, "the lane was closed after a second") {
				return
			}
		}
	})
}

func TestAConnectionThatIsMadeWhileTheLaneClosesIsClosed(t *testing.T) {
	virtually(t, func(t *testing.T) {
		a := &awkward{node: newNode(t)}
		a.connect = func(ctx context.Context) (time.Duration, error) {
			<-ctx.Done() // in this very moment it succeeds
			time.Sleep(time.Millisecond)
			return a.node.Connect(context.WithoutCancel(ctx))
		}
		l := quorum.NewLane(a, config())
		synctest.Wait()
		l.Close(t.Context())
		assert.False(t, a.connected(), "the lane is closed and its connection is not")
	})
}

func TestALaneThatIsClosedAtOnceHasTried(t *testing.T) {
	virtually(t, func(t *testing.T) {
		for range 100 {
			l := quorum.NewLane(newNode(t), config())
			l.Close(gone())
			select {
			case <-l.Tried():
			default:
				t.Error("whoever waits for the first attempt waits for ever")
				return
			}
		}
	})
}

func TestABacklogFillsAllTheBatchesThatMayBeInFlight(t *testing.T) {
	virtually(t, func(t *testing.T) {
		a := &awkward{node: newNode(t)}
		a.connect = func(ctx context.Context) (time.Duration, error) {
			time.Sleep(time.Millisecond)
			return a.node.Connect(ctx)
		}
		a.roundTrip = 2600 * time.Microsecond
		cfg := config()
		cfg.Queue = 4 * quorum.MaxBatch
		l := quorum.NewLane(a, cfg)
		defer l.Close(t.Context())
		var last *round
		for range 3*quorum.MaxBatch + 1 {
			last = submit(l, quorum.Ask, "a", nil)
		}
		took := elapsed(func() {
			_, err := outcome(t, last)
			require.NoError(t, err)
		})
		assert.Equal(t, 4, a.together())
		assert.Equal(t, 2*time.Millisecond, took, "to connect, and for all four batches together")
	})
}

func TestCloseTriesOnceMoreToSendAnUndoWhoseConnectionBroke(t *testing.T) {
	virtually(t, func(t *testing.T) {
		a := &awkward{node: newNode(t)}
		a.roundTrip = 2600 * time.Microsecond
		a.connect = func(ctx context.Context) (time.Duration, error) {
			time.Sleep(time.Millisecond)
			return a.node.Connect(ctx)
		}
		l := openAwkward(t, a)
		var rounds []*round
		for i := range quorum.MaxInFlight { // so that there are idle workers
			rounds = append(rounds, submit(l, quorum.Ask, fmt.Sprint(i), nil))
			synctest.Wait()
		}
		for _, r := range rounds {
			_, err := outcome(t, r)
			require.NoError(t, err)
		}
		slot := claimed(t, l, "claim")
		a.set(func(n *node) { n.breaks = []error{io.EOF} })
		submit(l, quorum.Undo, "undo", slot)
		synctest.Wait()
		l.Close(t.Context())
		assert.Equal(t, 1, a.count("undo"), "the node answers, and keeps the lock until it expires")
	})
}

func TestCloseDoesNotWaitForAConnectionThatNobodyNeeds(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n)
		n.set(func(n *node) { n.breaks = []error{io.EOF} })
		submit(l, quorum.Ask, "in flight", nil)
		synctest.Wait()
		n.set(func(n *node) { n.hung = true }) // to whoever connects
		assert.Equal(t, time.Millisecond, elapsed(func() { l.Close(t.Context()) }))
	})
}

func TestAConnectionThatIsSlowToCloseHoldsBackNoVote(t *testing.T) {
	virtually(t, func(t *testing.T) {
		a := &awkward{node: newNode(t)}
		l := openAwkward(t, a)
		a.close = func() { time.Sleep(time.Second) }
		a.set(func(n *node) { n.hung = true })
		r := submit(l, quorum.Claim, "hangs", new(quorum.Slot))
		took := elapsed(func() {
			_, err := outcome(t, r)
			require.Error(t, err)
		})
		assert.Equal(t, timeout, took)
	})
}

func TestDebtsThatHaveRunOutMakeRoomForOthers(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		n.set(func(n *node) { n.refuses = errRefused })
		l := open(t, n)
		slots := make([]quorum.Slot, 2*room)
		owe := func(i int, keep time.Duration) {
			slots[i].Assume()
			submitUntil(l, quorum.Undo, fmt.Sprint("undo ", i), &slots[i], now().Add(keep))
		}
		for i := range room {
			owe(i, time.Second)
		}
		time.Sleep(time.Minute)
		for i := range room {
			owe(room+i, time.Minute)
		}
		n.set(func(n *node) { n.refuses = nil })
		time.Sleep(time.Second)
		for i := range slots {
			want := 0
			if i >= room {
				want = 1
			}
			assert.Equal(t, want, n.count(fmt.Sprint("undo ", i)), "undo %d", i)
		}
		require.NoError(t, l.Books())
	})
}

// In real time: a panic inside leaves the lane's mutex locked.
func TestAnUndoOfNoSlotIsSent(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	l := quorum.NewLane(n, config())
	<-l.Tried()
	if assert.NotPanics(t, func() { _, _ = outcome(t, submit(l, quorum.Undo, "undo", nil)) }) {
		assert.Equal(t, 1, n.count("undo"))
		l.Close(t.Context())
	}
}

func TestACallWaitsForAConnectionNoLongerThanForAnAnswer(t *testing.T) {
	virtually(t, func(t *testing.T) {
		a := &awkward{node: newNode(t)}
		a.connect = func(ctx context.Context) (time.Duration, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}
		l := quorum.NewLane(a, config())
		defer l.Close(gone())
		r := submit(l, quorum.Claim, "claim", new(quorum.Slot))
		took := elapsed(func() {
			_, err := outcome(t, r)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		})
		require.Equal(t, timeout, took)
	})
}

func TestWhatIsOwedGoesBeforeWhatWaits(t *testing.T) {
	virtually(t, func(t *testing.T) {
		a := &awkward{node: newNode(t)}
		l := openAwkward(t, a)
		slot := claimed(t, l, "claim")
		a.set(func(n *node) { n.breaks = []error{io.EOF} })
		submit(l, quorum.Undo, "undo", slot)
		synctest.Wait()
		next := submit(l, quorum.Claim, "next", new(quorum.Slot))
		_, err := outcome(t, next)
		require.NoError(t, err)
		require.Equal(t, []string{"claim", "undo", "next"}, a.did())
	})
}
