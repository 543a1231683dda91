package redlock_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlock/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait for a condition. It is long because a test must not
// fail on a slow machine; none waits for it while all is well.
const patience = 20 * time.Second

// dial makes a client of the addresses that is closed with the test.
func dial(t testing.TB, addrs []string, opts ...redlock.Option) *redlock.Client {
	t.Helper()
	c, err := redlock.Dial(addrs, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// five starts five servers and a client of them.
func five(t testing.TB, opts ...redlock.Option) (*redlock.Client, *redistest.Cluster) {
	t.Helper()
	nodes := redistest.Start(t, 5)
	return dial(t, nodes.Addrs(), opts...), nodes
}

func acquire(t testing.TB, c *redlock.Client, key string, ttl time.Duration, opts ...redlock.AcquireOption) *redlock.Lock {
	t.Helper()
	l, err := c.Acquire(context.Background(), key, ttl, opts...)
	require.NoError(t, err)
	return l
}

func eventually(t testing.TB, condition func() bool, what string, args ...any) {
	t.Helper()
	require.Eventually(t, condition, patience, 5*time.Millisecond, append([]any{what}, args...)...)
}

// carriers counts the nodes that have key.
func carriers(nodes *redistest.Cluster, key string) int {
	n := 0
	for _, node := range nodes.Nodes() {
		if _, ok := node.Get(key); ok {
			n++
		}
	}
	return n
}

// noKeys reports that no node has any key left.
func noKeys(nodes *redistest.Cluster) func() bool {
	return func() bool {
		for _, node := range nodes.Nodes() {
			if len(node.Keys()) > 0 {
				return false
			}
		}
		return true
	}
}

// ended waits for a context and returns its cause.
func ended(t testing.TB, ctx context.Context) error {
	t.Helper()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(patience):
		t.Fatal("the context did not end")
		return nil
	}
}

// command runs a command on a node and fails the test on an error.
func command(t testing.TB, node *redistest.Node, args ...string) any {
	t.Helper()
	reply, err := node.Do(args...)
	require.NoError(t, err, "%v", args)
	return reply
}
