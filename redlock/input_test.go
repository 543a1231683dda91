package redlock_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlock/redistest"
)

// nowhere is an address that nothing can be sent to.
const nowhere = "127.0.0.1:1"

func TestBadSetUpIsRefusedBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	three := []string{"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"}
	for _, row := range []struct {
		name  string
		addrs []string
		opt   redlock.Option
		says  string
	}{
		{"no nodes", nil, nil, "redlock: nodes (none): give at least one"},
		{"an empty address", []string{""}, nil, `redlock: address "": is empty`},
		{"no port", []string{"localhost"}, nil, `redlock: address "localhost": missing port in address: give host:port`},
		{"no host", []string{":6379"}, nil, `redlock: address ":6379": has no host`},
		{"a port that is no number", []string{"localhost:redis"}, nil, `port "redis": must be a number from 1 to 65535`},
		{"port 0", []string{"localhost:0"}, nil, `port "0": must be a number`},
		{"a port too large", []string{"localhost:70000"}, nil, `port "70000": must be a number`},
		{"another scheme", []string{"http://localhost:6379"}, nil, `redlock: address "http://localhost:6379": invalid URL scheme`},
		{"not a URL", []string{"redis://localhost:63 79"}, nil, "is not a URL"},
		{"a database that is no number", []string{"redis://localhost/zero"}, nil, "invalid database number"},
		{"two servers in one", []string{"redis://localhost:1?addr=localhost:2"}, nil, "names more than one server"},
		{"a sentinel", []string{"redis://localhost:1?master_set=m"}, nil, "names more than one server"},
		{"a socket without a path", []string{"unix://"}, nil, "has no path to the socket"},
		{"the same address twice", []string{nowhere, nowhere}, nil, `redlock: address "127.0.0.1:1": is given twice`},
		{"the same address in other words", []string{"LOCALHOST:1", "redis://u:p@localhost:1/5"}, nil, `redlock: address "redis://***@localhost:1/5": is given twice`},
		{"a minority", three, redlock.WithQuorum(1), "redlock: quorum 1: quorum 1 of 3 nodes: must be a majority, at least 2"},
		{"no quorum", three, redlock.WithQuorum(0), "redlock: quorum 0: quorum 0 of 3 nodes: must be a majority"},
		{"more than all", three, redlock.WithQuorum(4), "quorum 4 of 3 nodes: there are not that many nodes"},
		{"a drift that takes all", three, redlock.WithDrift(1, 0), "drift factor 1: must be at least 0 and below 1"},
		{"a negative drift", three, redlock.WithDrift(0, -1), "drift floor -1ns: must not be negative"},
		{"all the time to answer", three, redlock.WithNodeTimeout(1<<63 - 1), "must be from 1ms to 1h"},
		{"no time to answer", three, redlock.WithNodeTimeout(0), "redlock: node timeout 0s: must be from 1ms to 1h"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			opts := []redlock.Option{}
			if row.opt != nil {
				opts = append(opts, row.opt)
			}
			_, err := redlock.Dial(row.addrs, opts...)
			require.ErrorContains(t, err, row.says)
			var argument *redlock.ArgumentError
			require.ErrorAs(t, err, &argument)
		})
	}
}

func TestBadKeysAndTimesAreRefusedBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	sent := 0
	c := dial(t, []string{nowhere}, redlock.WithNamespace("app:"), redlock.WithObserver(redlock.Observer{
		Round: func(redlock.RoundEvent) { sent++ },
	}))
	ctx := context.Background()
	long := strings.Repeat("k", 510)
	for _, row := range []struct {
		name string
		call func() error
		says string
	}{
		{"an empty key", func() error { _, err := c.TryAcquire(ctx, "", time.Minute); return err }, `redlock: key "": must not be empty`},
		{"a key over 512 bytes", func() error { _, err := c.Acquire(ctx, long, time.Minute); return err }, "has 514 bytes: must not have more than 512"},
		{"no ttl", func() error { _, err := c.Acquire(ctx, "k", 0); return err }, "redlock: ttl 0s: must be positive"},
		{"a ttl for ever", func() error { _, err := c.TryAcquire(ctx, "k", 1<<63-1); return err }, "must not be more than 876000h0m0s"},
		{"a negative ttl", func() error { return c.WithLock(ctx, "k", -1, nil) }, "redlock: ttl -1ns: must be positive"},
		{"a ttl that drift eats", func() error { _, err := c.TryAcquire(ctx, "k", 2*time.Millisecond); return err }, "redlock: ttl 2ms: must be longer than its drift of 2.02"},
		{"an empty key to inspect", func() error { _, err := c.Inspect(ctx, ""); return err }, `redlock: key "": must not be empty`},
		{"a handle without a key", func() error { _, err := c.Attach(ctx, redlock.Handle{Token: "t", TTL: time.Minute}); return err }, `redlock: key "": must not be empty`},
		{"a handle without a token", func() error { _, err := c.Attach(ctx, redlock.Handle{Key: "k", TTL: time.Minute}); return err }, `redlock: handle lock "k": has no token`},
		{"a handle without a ttl", func() error { _, err := c.Attach(ctx, redlock.Handle{Key: "k", Token: "t"}); return err }, "redlock: ttl 0s: must be positive"},
		{"an import without a name", func() error {
			return redlock.RunImport(ctx, c, "", func(context.Context) (int, error) { return 0, nil }).Err
		}, `redlock: import name "": must not be empty`},
		{"an import with a ttl too short", func() error {
			return redlock.RunImport(ctx, c, "n", func(context.Context) (int, error) { return 0, nil }, redlock.ImportTTL(time.Millisecond)).Err
		}, "redlock: ttl 1ms"},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := row.call()
			require.ErrorContains(t, err, row.says)
			var argument *redlock.ArgumentError
			require.ErrorAs(t, err, &argument)
		})
	}
	require.Zero(t, sent)
}

func TestNilOptionsAreNone(t *testing.T) {
	t.Parallel()
	c := dial(t, []string{nowhere}, nil, redlock.WithLogger(nil))
	_, err := c.TryAcquire(context.Background(), "k", time.Minute)
	require.ErrorIs(t, err, redlock.ErrNoQuorum)
}

func TestAMalformedHandleIsRefused(t *testing.T) {
	t.Parallel()
	var h redlock.Handle
	require.ErrorContains(t, json.Unmarshal([]byte(`{"key":1}`), &h), "redlock: handle")
	require.Error(t, json.Unmarshal([]byte(`{"key"`), &h))
}

func TestANodeListWithHolesIsRefused(t *testing.T) {
	t.Parallel()
	node := redistest.Start(t, 1).Node(0)
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{node.Addr()}, ForceSingleClient: true})
	require.NoError(t, err)
	defer client.Close()
	for says, clients := range map[string][]rueidis.Client{
		"nodes (none)":              {},
		"node number 2: is nil":     {client, nil},
		"number 2: is given twice":  {client, client},
		"number 1: is a cluster cl": {clusterClient{client}},
	} {
		_, err := redlock.New(clients)
		require.ErrorContains(t, err, says)
	}
}

type clusterClient struct{ rueidis.Client }

func (clusterClient) Mode() rueidis.ClientMode { return rueidis.ClientModeCluster }

func TestTheSameServerTwiceIsRefused(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 2)
	_, port, _ := strings.Cut(nodes.Node(0).Addr(), ":")
	_, err := redlock.Dial([]string{nodes.Node(0).Addr(), nodes.Node(1).Addr(), "localhost:" + port})
	require.ErrorContains(t, err, "is the same server as node")
	var member *redlock.MemberError
	require.ErrorAs(t, err, &member)
}

func TestAReplicaIsRefused(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t, 2)
	replica := redistest.Start(t, 1, redistest.ReplicaOf(master.Node(0))).Node(0)
	_, err := redlock.Dial([]string{master.Node(0).Addr(), master.Node(1).Addr(), replica.Addr()})
	require.ErrorContains(t, err, "node "+replica.Addr()+" is a replica: give its master")
}

func TestAServerThatComesUpAsAReplicaDoesNotVote(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 3)
	nodes.Node(2).Kill()
	c := dial(t, nodes.Addrs())
	// What comes up at the third address is a replica of the first.
	nodes.Node(2).Restart()
	host, port, _ := strings.Cut(nodes.Node(0).Addr(), ":")
	command(t, nodes.Node(2), "REPLICAOF", host, port)
	nodes.Node(1).Kill()

	eventually(t, func() bool {
		_, err := c.TryAcquire(context.Background(), "k", time.Minute)
		require.ErrorIs(t, err, redlock.ErrNoQuorum)
		return strings.Contains(err.Error(), "node "+nodes.Node(2).Addr()+" is a replica")
	}, "a replica votes, or nobody says why it does not")
}

// Trouble that only shows on the wire is told by the node's vote, and the others
// go on.
func TestANodeInTroubleSaysSoAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	good := redistest.Start(t, 3)
	secret := redistest.Start(t, 1, redistest.Password("correct horse")).Node(0)
	tlsOnly := redistest.Start(t, 1, redistest.TLS()).Node(0)
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	_, tlsPort, _ := strings.Cut(tlsOnly.Addr(), ":")
	_, goodPort, _ := strings.Cut(good.Node(2).Addr(), ":")

	for _, row := range []struct{ name, addr, says string }{
		{"a wrong password", "redis://:battery-staple@" + secret.Addr(), "user or password refused: WRONGPASS"},
		{"a password missing", secret.Addr(), "user or password refused: NOAUTH"},
		{"a certificate nobody knows", "rediss://localhost:" + tlsPort, "certificate"},
		{"TLS to a server without", "rediss://localhost:" + goodPort, "does it speak TLS"},
		{"no TLS to a server with", tlsOnly.Addr(), "does it want TLS"},
		{"a web server", strings.TrimPrefix(web.URL, "http://"), "answers, but not as Redis does"},
		{"nobody there", nowhere, "connection refused"},
		{"a name that does not resolve", "redis.invalid:6379", "redis.invalid"},
		{"a socket that is not there", "unix:///nonexistent/redis.sock", "/nonexistent/redis.sock"},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := dial(t, []string{good.Node(0).Addr(), good.Node(1).Addr(), row.addr})
			l := acquire(t, c, row.name, time.Minute)
			require.NoError(t, l.Release(context.Background()))

			// Where its vote would count, the error says what is wrong with it.
			alone := dial(t, []string{row.addr})
			_, err := alone.TryAcquire(context.Background(), "k", time.Minute)
			require.ErrorIs(t, err, redlock.ErrNoQuorum)
			require.ErrorContains(t, err, row.says)
			require.NotContains(t, err.Error(), "staple")
		})
	}
}

func TestNodesCanBeReachedInEveryWay(t *testing.T) {
	t.Parallel()
	secret := redistest.Start(t, 1, redistest.Password("correct horse"), redistest.UnixSocket()).Node(0)
	encrypted := redistest.Start(t, 1, redistest.TLS()).Node(0)
	plain := redistest.Start(t, 1).Node(0)
	addrs := []string{"unix://:correct%20horse@" + secret.Socket(), encrypted.URL(), "redis://" + plain.Addr() + "/3"}
	c := dial(t, addrs, redlock.WithQuorum(3), redlock.WithTLS(encrypted.TLSConfig()))
	l := acquire(t, c, "k", time.Minute)
	require.NoError(t, l.Extend(context.Background(), time.Minute))
	require.NoError(t, l.Release(context.Background()))

	wrong := &tls.Config{MinVersion: tls.VersionTLS12}
	c = dial(t, addrs, redlock.WithQuorum(3), redlock.WithTLS(wrong))
	_, err := c.TryAcquire(context.Background(), "k", time.Minute)
	require.ErrorContains(t, err, "yes 2")
}
