package redlock_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlock/redistest"
)

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
