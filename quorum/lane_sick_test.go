package quorum_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/clock"
	"github.com/redlock-go/redlock/quorum"
)

func TestAHungNodeIsWaitedForOnceAndThenUnknownAtOnce(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n)
		n.set(func(n *node) { n.hung = true })
		first := submit(l, quorum.Claim, "hangs", new(quorum.Slot))
		synctest.Wait()
		behind := submit(l, quorum.Claim, "waits behind", new(quorum.Slot))
		took := elapsed(func() {
			for _, r := range []*round{first, behind} {
				v, err := outcome(t, r)
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				require.Equal(t, quorum.Unknown, v)
			}
		})
		require.Equal(t, timeout, took)
		require.ErrorIs(t, l.Err(), os.ErrDeadlineExceeded)

		took = elapsed(func() {
			for range 1000 {
				v, err := atOnce(t, submit(l, quorum.Claim, "not sent", new(quorum.Slot)))
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				require.Equal(t, quorum.Unknown, v)
			}
			time.Sleep(time.Minute) // long after the first attempts to connect
			_, err := atOnce(t, submit(l, quorum.Claim, "not sent", new(quorum.Slot)))
			require.ErrorIs(t, err, context.DeadlineExceeded)
		})
		require.Equal(t, time.Minute, took)
		require.Equal(t, [][]string{{"hangs"}}, n.sent())
		require.NoError(t, l.Books())

		n.set(func(n *node) { n.hung = false })
		time.Sleep(time.Second)
		require.NoError(t, l.Err())
		v, err := outcome(t, submit(l, quorum.Ask, "is back", nil))
		require.NoError(t, err)
		require.Equal(t, quorum.Yes, v)
	})
}

func TestEveryBatchInFlightToAHungNodeComesBackWithTheFirst(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		n.set(func(n *node) { n.roundTrip = 2600 * time.Microsecond })
		l := open(t, n)
		n.set(func(n *node) { n.hung = true })
		var rounds []*round
		took := elapsed(func() {
			for i := range quorum.MaxInFlight + 2 {
				rounds = append(rounds, submit(l, quorum.Claim, fmt.Sprint(i), new(quorum.Slot)))
				time.Sleep(timeout / 20)
			}
			for _, r := range rounds {
				v, err := outcome(t, r)
				require.Error(t, err)
				require.Equal(t, quorum.Unknown, v)
			}
		})
		require.Equal(t, timeout, took)
		require.Equal(t, quorum.MaxInFlight, n.together())
		require.NoError(t, l.Books())
	})
}

func TestWhatAConnectionAnsweredBeforeItBrokeCounts(t *testing.T) {
	virtually(t, func(t *testing.T) {
		c := &halfway{node: newNode(t)}
		cfg := config()
		l := quorum.NewLane(c, cfg)
		defer l.Close(t.Context())
		a := submit(l, quorum.Ask, "a", nil)
		b := submit(l, quorum.Ask, "b", nil)
		v, err := outcome(t, a)
		require.NoError(t, err)
		require.Equal(t, quorum.Yes, v)
		v, err = outcome(t, b)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Equal(t, quorum.Unknown, v)
	})
}

// halfway answers the first call of a batch and breaks.
type halfway struct{ *node }

func (h *halfway) Send(batch []*call, _ bool) error {
	batch[0].Vote = quorum.Yes
	return io.ErrUnexpectedEOF
}

func TestCallsWaitForOneAttemptToMakeABrokenConnectionAgain(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n)
		n.set(func(n *node) { n.breaks = []error{io.EOF} })
		broken := submit(l, quorum.Claim, "broken", new(quorum.Slot))
		synctest.Wait()
		waits := submit(l, quorum.Claim, "waits", new(quorum.Slot))
		v, err := outcome(t, broken)
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, quorum.Unknown, v, "it may have been executed, so it is not sent again")
		v, err = outcome(t, waits)
		require.NoError(t, err)
		require.Equal(t, quorum.Yes, v)
		require.Len(t, n.tries(), 2)
		require.Equal(t, [][]string{{"broken"}, {"waits"}}, n.sent())
		require.NoError(t, l.Err())
	})
}

func TestWhenABrokenConnectionCannotBeMadeAgainVotesAreUnknown(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n)
		n.set(func(n *node) { n.breaks, n.refuses = []error{io.EOF}, errRefused })
		broken := submit(l, quorum.Claim, "broken", new(quorum.Slot))
		synctest.Wait()
		waits := submit(l, quorum.Claim, "waits", new(quorum.Slot))
		took := elapsed(func() {
			_, err := outcome(t, broken)
			require.ErrorIs(t, err, io.EOF)
			v, err := outcome(t, waits)
			require.ErrorIs(t, err, errRefused)
			require.ErrorContains(t, err, "EOF", "both the refusal and what was before it are told")
			require.Equal(t, quorum.Unknown, v)
		})
		require.Equal(t, time.Millisecond, took)
		v, err := atOnce(t, submit(l, quorum.Claim, "too late", new(quorum.Slot)))
		require.ErrorIs(t, err, errRefused)
		require.Equal(t, quorum.Unknown, v)
		require.NoError(t, l.Books())
	})
}

func TestANodeThatTakesConnectionsOnlyToBreakThemIsUnknownAtOnce(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n)
		n.set(func(n *node) { n.breaks = []error{io.EOF, io.EOF, io.EOF} })
		for range 2 { // the one that there was, and the one that was made after it
			_, err := outcome(t, submit(l, quorum.Claim, "broken", new(quorum.Slot)))
			require.ErrorIs(t, err, io.EOF)
		}
		require.Zero(t, elapsed(func() {
			v, err := outcome(t, submit(l, quorum.Claim, "not sent", new(quorum.Slot)))
			require.ErrorIs(t, err, io.EOF)
			require.Equal(t, quorum.Unknown, v)
		}))
		time.Sleep(2 * pause)
		_, err := outcome(t, submit(l, quorum.Claim, "broken", new(quorum.Slot)))
		require.ErrorIs(t, err, io.EOF)
		time.Sleep(2 * pause)
		_, err = outcome(t, submit(l, quorum.Claim, "a", new(quorum.Slot)))
		require.NoError(t, err)
		require.NotContains(t, n.did(), "not sent")

		n.set(func(n *node) { n.breaks = []error{io.EOF} })
		_, err = outcome(t, submit(l, quorum.Claim, "broken", new(quorum.Slot)))
		require.ErrorIs(t, err, io.EOF)
		_, err = outcome(t, submit(l, quorum.Claim, "b", new(quorum.Slot)))
		require.NoError(t, err, "one that has been of use is made again at once")
	})
}

func TestANodeThatIsDownFromTheStartIsUnknownAtOnce(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		n.set(func(n *node) { n.refuses = errRefused })
		l := open(t, n)
		took := elapsed(func() {
			v, err := atOnce(t, submit(l, quorum.Claim, "a", new(quorum.Slot)))
			require.ErrorIs(t, err, errRefused)
			require.Equal(t, quorum.Unknown, v)
		})
		require.Zero(t, took)
		require.ErrorIs(t, l.Err(), errRefused)
		require.Empty(t, n.sent())
	})
}

func TestCallsWaitForTheFirstConnection(t *testing.T) {
	virtually(t, func(t *testing.T) {
		for _, refuses := range []error{nil, errRefused} {
			slow := &slowToConnect{node: newNode(t), takes: 10 * time.Millisecond}
			slow.set(func(n *node) { n.refuses = refuses })
			l := quorum.NewLane(slow, config())
			r := submit(l, quorum.Claim, "early", new(quorum.Slot))
			took := elapsed(func() {
				_, err := outcome(t, r)
				require.ErrorIs(t, err, refuses)
			})
			if refuses == nil {
				require.Equal(t, slow.takes+time.Millisecond, took)
			} else {
				require.Equal(t, slow.takes, took)
			}
			<-l.Tried()
			l.Close(t.Context())
		}
	})
}

// slowToConnect takes its time to connect.
type slowToConnect struct {
	*node
	takes time.Duration
}

func (s *slowToConnect) Connect(ctx context.Context) (time.Duration, error) {
	if err := clock.Sleep(ctx, clock.Monotonic(), s.takes); err != nil {
		return 0, err
	}
	return s.node.Connect(ctx)
}

// steps waits a little longer each time.
type steps struct{ next time.Duration }

func (s *steps) Reset() { s.next = 10 * time.Millisecond }

func (s *steps) NextBackOff() time.Duration {
	defer func() { s.next *= 2 }()
	return s.next
}

func TestANodeThatIsDownIsTriedAgainWithPausesThatGrow(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		n.set(func(n *node) { n.refuses = errRefused })
		var changed []string
		start := time.Now()
		l := open(t, n, func(c *quorum.Config) {
			c.Reconnect = func() backoff.BackOff { return new(steps) }
			c.Changed = func(err error) { changed = append(changed, fmt.Sprintf("%v at %v", err, time.Since(start))) }
		})
		time.Sleep(100 * time.Millisecond)
		var at []time.Duration
		for _, tried := range n.tries() {
			at = append(at, tried.Sub(start))
		}
		ms := time.Millisecond
		require.Equal(t, []time.Duration{0, 10 * ms, 30 * ms, 70 * ms}, at)
		require.ErrorIs(t, l.Err(), errRefused)

		n.set(func(n *node) { n.refuses = nil })
		time.Sleep(100 * time.Millisecond)
		require.Len(t, n.tries(), 5)
		require.NoError(t, l.Err())
		_, err := outcome(t, submit(l, quorum.Ask, "a", nil))
		require.NoError(t, err)
		require.Equal(t, []string{"connection refused at 0s", "<nil> at 150ms"}, changed)
	})
}

func TestWhetherANodeCanBeReachedIsToldWhenItChanges(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		var changed []string
		start := time.Now()
		told := func() []string {
			defer func() { changed = nil }()
			synctest.Wait()
			return changed
		}
		l := open(t, n, func(c *quorum.Config) {
			c.Changed = func(err error) { changed = append(changed, fmt.Sprintf("%v at %v", err, time.Since(start))) }
		})
		require.Equal(t, []string{"<nil> at 0s"}, told())

		n.set(func(n *node) { n.breaks = []error{io.EOF} })
		_, err := outcome(t, submit(l, quorum.Ask, "breaks", nil))
		require.ErrorIs(t, err, io.EOF)
		require.Empty(t, told(), "the connection was made again at once, and no vote was lost that was not sent")

		n.set(func(n *node) { n.breaks = []error{nil, os.ErrDeadlineExceeded} })
		for range 2 {
			_, err = outcome(t, submit(l, quorum.Ask, "hangs", nil))
		}
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, []string{errHung.Error() + " at 102ms", "<nil> at 102ms"}, told(), "it came back at once, but it was away")

		n.set(func(n *node) { n.breaks, n.refuses = []error{nil, io.EOF}, errRefused })
		for range 2 {
			_, err = outcome(t, submit(l, quorum.Ask, "breaks", nil))
		}
		require.ErrorIs(t, err, io.EOF)
		time.Sleep(10 * pause)
		require.Equal(t, []string{"connection refused (after: EOF) at 104ms"}, told(), "once")
	})
}

// Five nodes answer after a millisecond each, or four do. Whatever is wrong with
// the fifth, from the start or later, a round takes a millisecond.
func TestASickNodeOfFiveCostsTheOthersNothing(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		sick  func(n *node)
		later bool
	}{
		{"none is", func(*node) {}, false},
		{"it hangs", func(n *node) { n.hung = true }, false},
		{"it hangs all of a sudden", func(n *node) { n.hung = true }, true},
		{"it refuses", func(n *node) { n.refuses = errRefused }, false},
		{"it breaks and refuses", func(n *node) { n.breaks, n.refuses = []error{io.EOF}, errRefused }, true},
		{"it breaks and comes back", func(n *node) { n.breaks = []error{nil, io.EOF, nil, nil, io.EOF} }, true},
		{"it is slow", func(n *node) { n.latency = func() time.Duration { return timeout - 1 } }, true},
		{"it says no", func(n *node) { n.vote = func(string) quorum.Vote { return quorum.No } }, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				const nodes = 5
				lanes, sick := make([]*lane, nodes), newNode(t)
				if !row.later {
					sick.set(row.sick)
				}
				for i := range lanes {
					n := newNode(t)
					if i == 2 {
						n = sick
					}
					lanes[i] = quorum.NewLane(n, config())
					defer lanes[i].Close(t.Context())
				}
				synctest.Wait()
				for i := range 200 {
					if i == 20 && row.later {
						sick.set(row.sick)
					}
					var slots [nodes]quorum.Slot
					for _, kind := range []quorum.Kind{quorum.Claim, quorum.Ask, quorum.Undo} {
						r := quorum.NewRound[string](nodes, 3)
						for node := range nodes {
							r.Set(node, kind, "a", &slots[node], forever)
						}
						require.Zero(t, elapsed(func() { quorum.Submit(lanes, r, now()) }))
						took := elapsed(func() { require.NoError(t, r.Wait(t.Context(), quorum.Tally.Decided)) })
						require.Equal(t, quorum.Won, r.Tally().Outcome())
						require.Equal(t, time.Millisecond, took, "round %d", i)
					}
					for _, l := range lanes {
						require.NoError(t, l.Books())
					}
				}
			})
		})
	}
}

func TestAMajorityOfSickNodesIsToldNoLaterThanTheirTimeout(t *testing.T) {
	virtually(t, func(t *testing.T) {
		const nodes = 5
		lanes := make([]*lane, nodes)
		for i := range lanes {
			n := newNode(t)
			lanes[i] = open(t, n)
			n.set(func(n *node) { n.hung = i < 3 })
		}
		for _, want := range []time.Duration{timeout, 0} {
			r := quorum.NewRound[string](nodes, 3)
			for node := range nodes {
				r.Set(node, quorum.Claim, "a", new(quorum.Slot), forever)
			}
			quorum.Submit(lanes, r, now())
			took := elapsed(func() { require.NoError(t, r.Wait(t.Context(), quorum.Tally.Settled)) })
			require.Equal(t, want, took)
			require.Equal(t, quorum.Lost, r.Tally().Outcome())
			require.False(t, r.Tally().Refused())
		}
	})
}

// In real time, since a goroutine that waits for a mutex lets no virtual time
// pass. The bound only bounds a failure.
func TestAConnectionThatIsSlowToCloseHoldsUpNobody(t *testing.T) {
	t.Parallel()
	slow := make(chan struct{})
	a := &awkward{node: newNode(t), close: func() { <-slow }}
	l := quorum.NewLane(a, config())
	<-l.Tried()
	a.set(func(n *node) { n.breaks = []error{io.EOF} })
	submit(l, quorum.Claim, "breaks it", new(quorum.Slot))
	done := background(func() {
		for l.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		submit(l, quorum.Claim, "a", new(quorum.Slot))
	})
	assert.True(t, within(10*time.Second, done), "Submit waits for the connection to be closed")
	close(slow)
	l.Close(t.Context())
}

func TestAnAnswerThatIsOnlyHalfInIsNotShown(t *testing.T) {
	virtually(t, func(t *testing.T) {
		s := &scribbler{node: newNode(t), done: make(chan struct{})}
		l := quorum.NewLane(s, config())
		defer l.Close(t.Context())
		r := submit(l, quorum.Ask, "a", nil)
		synctest.Wait()
		v, err, in := r.Answer(0)
		assert.False(t, in)
		assert.NoError(t, err)
		assert.Equal(t, quorum.Unknown, v)
		close(s.done)
		v, err = outcome(t, r)
		assert.ErrorIs(t, err, errRefused)
		assert.Equal(t, quorum.No, v)
	})
}

// scribbler writes its answers long before it has them all.
type scribbler struct {
	*node
	done chan struct{}
}

func (s *scribbler) Send(batch []*call, _ bool) error {
	batch[0].Vote, batch[0].Err = quorum.No, errRefused
	<-s.done
	return nil
}
