package redlock_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlock/redistest"
)

// What an error reply is worth, and a node that is no longer what it was.

// forbid takes commands from a user whom the test's client logs in as.
func forbid(t *testing.T, nodes []*redistest.Node, commands ...string) {
	t.Helper()
	for _, n := range nodes {
		command(t, n, append([]string{"ACL", "SETUSER", "a"}, commands...)...)
	}
}

func asUser(t *testing.T, nodes *redistest.Cluster) []string {
	t.Helper()
	var urls []string
	for _, n := range nodes.Nodes() {
		command(t, n, "ACL", "SETUSER", "a", "on", ">secret", "~*", "+@all")
		urls = append(urls, "redis://a:secret@"+n.Addr())
	}
	return urls
}

func TestAnErrorReplyIsNeitherYesNorNo(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 5)
	c := dial(t, asUser(t, nodes))
	l := acquire(t, c, "held", time.Hour)

	forbid(t, nodes.Nodes()[:3], "-set", "-eval", "-evalsha")
	_, err := c.TryAcquire(context.Background(), "k", time.Minute)
	require.ErrorIs(t, err, redlock.ErrNoQuorum)
	require.NotErrorIs(t, err, redlock.ErrHeld)
	require.ErrorContains(t, err, "NOPERM")
	var votes *redlock.QuorumError
	require.ErrorAs(t, err, &votes)
	require.Zero(t, votes.Tally.No)
	require.LessOrEqual(t, votes.Tally.Yes, 2)

	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, l.Extend(ctx, time.Hour), context.DeadlineExceeded)
	require.Greater(t, l.Validity(), 50*time.Minute, "an error reply was taken for a loss")
	require.NoError(t, l.Context().Err())
	require.ErrorIs(t, l.Release(context.Background()), redlock.ErrNoQuorum)
}

func TestOnlyAWonRoundMends(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 5)
	c := dial(t, asUser(t, nodes))
	l := acquire(t, c, "k", time.Hour)
	eventually(t, func() bool { return carriers(nodes, "k") == 5 }, "the late votes did not arrive")
	forbid(t, nodes.Nodes()[:2], "-eval", "-evalsha")
	command(t, nodes.Node(4), "DEL", "k")
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, l.Extend(ctx, time.Hour), context.DeadlineExceeded)
	require.Contains(t, nodes.Node(4).Info("commandstats")["cmdstat_set"], "calls=1,", "mended in a round that was not won")
	require.Equal(t, 4, carriers(nodes, "k"))
}

func TestANodeThatAnotherOwnerHasIsNotMended(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 3)
	c := dial(t, nodes.Addrs())
	l := acquire(t, c, "k", time.Hour)
	eventually(t, func() bool { return carriers(nodes, "k") == 3 }, "the late votes did not arrive")
	nodes.Node(2).Set("k", "another", time.Hour)
	require.NoError(t, l.Extend(context.Background(), time.Hour))
	require.NoError(t, l.Extend(context.Background(), time.Hour))
	sets := nodes.Node(2).Info("commandstats")["cmdstat_set"]
	require.Contains(t, sets, "calls=2,", "a key was sent to a node that another owner has") // the acquire and this test's own
	owner, _ := nodes.Node(2).Get("k")
	require.Equal(t, "another", owner)
	require.NoError(t, l.Release(context.Background()))
}

func TestAReleaseThatANodeRefusesIsAskedForAgain(t *testing.T) {
	t.Parallel()
	c, nodes := five(t)
	l := acquire(t, c, "k", time.Hour)
	eventually(t, func() bool { return carriers(nodes, "k") == 5 }, "the late votes did not arrive")
	command(t, nodes.Node(4), "CONFIG", "SET", "min-replicas-to-write", "1")
	require.NoError(t, l.Release(context.Background()))
	eventually(t, func() bool { return carriers(nodes, "k") == 1 }, "the other nodes did not follow")
	command(t, nodes.Node(4), "CONFIG", "SET", "min-replicas-to-write", "0")
	eventually(t, noKeys(nodes), "the node keeps the key for an hour")
}

func TestANodeThatBecomesAReplicaNoLongerVotes(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 3)
	c := dial(t, nodes.Addrs())
	l := acquire(t, c, "mine", time.Hour)
	eventually(t, func() bool { return carriers(nodes, "mine") == 3 }, "the late vote did not arrive")
	nodes.Node(0).Set("k", "token", time.Hour)
	host, port, _ := strings.Cut(nodes.Node(0).Addr(), ":")
	command(t, nodes.Node(1), "REPLICAOF", host, port)
	eventually(t, func() bool { _, ok := nodes.Node(1).Get("k"); return ok }, "it is not replicated")

	_, err := c.Attach(context.Background(), redlock.Handle{Key: "k", Token: "token", TTL: time.Minute})
	require.Error(t, err, "a replica vouches for what its master has")
	nodes.Node(2).Kill()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, l.Extend(ctx, time.Minute), redlock.ErrNoQuorum, "a replica extends")
}

func TestTwoClientsOfOneServerAreRefused(t *testing.T) {
	t.Parallel()
	node := redistest.Start(t, 1).Node(0)
	var clients []rueidis.Client
	for range 3 {
		client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{node.Addr()}, ForceSingleClient: true, DisableCache: true})
		require.NoError(t, err)
		t.Cleanup(client.Close)
		clients = append(clients, client)
	}
	_, err := redlock.New(clients)
	var member *redlock.MemberError
	require.ErrorAs(t, err, &member)
}
