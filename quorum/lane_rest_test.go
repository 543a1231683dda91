package quorum_test

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/quorum"
)

const rested = 2 * quorum.Rest // long enough for a connection to be looked at

// hangUp ends the connection from the node's side, while nobody uses it.
func (n *node) hangUp() { n.Close() }

func TestAConnectionThatDiedAtRestCostsNoVote(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n)
		slot := claimed(t, l, "claim")
		for _, command := range []string{"first", "second"} {
			n.hangUp()
			time.Sleep(rested)
			v, err := outcome(t, submit(l, quorum.Ask, command, slot))
			require.NoError(t, err)
			require.Equal(t, quorum.Yes, v)
			require.NoError(t, l.Err())
		}
		n.hangUp()
		time.Sleep(rested)
		_, err := outcome(t, submit(l, quorum.Undo, "undo", slot))
		require.NoError(t, err)
		require.Equal(t, []string{"claim", "first", "second", "undo"}, n.did())
		require.Len(t, n.tries(), 4)
		require.NoError(t, l.Books())
	})
}

func TestAConnectionThatDiedAtRestAndCannotBeMadeAgainIsUnknown(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n)
		slot := claimed(t, l, "claim")
		n.hangUp()
		n.set(func(n *node) { n.refuses = errRefused })
		time.Sleep(rested)
		took := elapsed(func() {
			v, err := outcome(t, submit(l, quorum.Ask, "a", slot))
			require.ErrorIs(t, err, errRefused)
			require.Equal(t, quorum.Unknown, v)
		})
		require.Zero(t, took)
		v, err := atOnce(t, submit(l, quorum.Undo, "undo", slot))
		require.ErrorIs(t, err, errRefused)
		require.Equal(t, quorum.Unknown, v)
		n.set(func(n *node) { n.refuses = nil })
		time.Sleep(2 * pause)
		require.Equal(t, []string{"claim", "undo"}, n.did())
		require.NoError(t, l.Books())
	})
}

func TestAConnectionInUseIsNotLookedAt(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		n.set(func(n *node) { n.latency = func() time.Duration { return quorum.Rest } })
		l := open(t, n)
		claimed(t, l, "claim")
		looks := n.lookedAt()
		for range 100 {
			_, err := outcome(t, submit(l, quorum.Ask, "a", nil))
			require.NoError(t, err)
		}
		require.Equal(t, looks, n.lookedAt())
		time.Sleep(rested)
		_, err := outcome(t, submit(l, quorum.Ask, "a", nil))
		require.NoError(t, err)
		require.Equal(t, looks+1, n.lookedAt())
	})
}

func (n *node) lookedAt() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.looks
}

// What was found out about a connection is good for the batch that it was found
// out for, even where that batch never left.
func TestALookAtAConnectionIsNotGoodForTheNextTime(t *testing.T) {
	virtually(t, func(t *testing.T) {
		a := &awkward{node: newNode(t)}
		cfg := config()
		cfg.Queue = 64 // so many are dropped from the queue together
		l := quorum.NewLane(a, cfg)
		defer l.Close(t.Context())
		claimed(t, l, "claim")
		a.alive = func() bool { time.Sleep(time.Microsecond); return a.node.Alive() }
		time.Sleep(rested)
		slots := make([]quorum.Slot, cfg.Queue)
		for i := range slots {
			submit(l, quorum.Claim, "withdrawn", &slots[i])
		}
		synctest.Wait() // the connection is being looked at
		for i := range slots {
			submit(l, quorum.Undo, "never sent", &slots[i])
		}
		time.Sleep(time.Second)
		require.True(t, l.Idle())

		a.hangUp()
		time.Sleep(rested)
		v, err := outcome(t, submit(l, quorum.Ask, "a", nil))
		require.NoError(t, err)
		require.Equal(t, quorum.Yes, v)
		require.Equal(t, []string{"claim", "a"}, a.did())
	})
}

// A connection that broke under a batch and was made again, and then died at
// rest, broke twice without having carried anything. That is not the next call's
// fault.
func TestAConnectionThatDiedAtRestCostsNoVoteEvenIfTheLastOneBroke(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		l := open(t, n)
		n.set(func(n *node) { n.breaks = []error{io.EOF} })
		_, err := outcome(t, submit(l, quorum.Ask, "breaks", nil))
		require.ErrorIs(t, err, io.EOF)
		time.Sleep(rested)
		n.hangUp()
		time.Sleep(rested)
		v, err := outcome(t, submit(l, quorum.Ask, "a", nil))
		require.NoError(t, err)
		require.Equal(t, quorum.Yes, v)
	})
}

func TestANewConnectionIsNotLookedAt(t *testing.T) {
	virtually(t, func(t *testing.T) {
		n := newNode(t)
		n.set(func(n *node) { n.latency = func() time.Duration { return rested } })
		l := open(t, n)
		claimed(t, l, "claim")
		looks := n.lookedAt()
		n.set(func(n *node) { n.breaks = []error{io.EOF} })
		broken := submit(l, quorum.Ask, "broken", nil)
		synctest.Wait()
		waits := submit(l, quorum.Ask, "waits", nil)
		_, err := outcome(t, broken)
		require.ErrorIs(t, err, io.EOF)
		_, err = outcome(t, waits)
		require.NoError(t, err)
		require.Equal(t, looks+1, n.lookedAt(), "the old one was, the new one was not")
	})
}
