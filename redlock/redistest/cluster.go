package redistest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"
)

// Cluster is a set of redis-servers that know nothing of each other.
type Cluster struct {
	nodes []*Node
	dir   *dir
	close func() error
}

// Start starts n servers and returns when all answer. They end with the test or
// benchmark. If one cannot be started, or a method of theirs fails later, the
// test fails.
func Start(tb testing.TB, n int, opts ...Option) *Cluster {
	tb.Helper()
	c, err := launch(tb, n, opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

// Launch is Start for a command, which has no testing.TB: it has to Close the
// cluster, and a method that fails panics.
func Launch(n int, opts ...Option) (*Cluster, error) {
	return launch(panics{}, n, opts)
}

// reporter is what the methods of a cluster need of a testing.TB.
type reporter interface {
	Helper()
	Fatalf(format string, args ...any)
}

type panics struct{}

func (panics) Helper() {}

func (panics) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func launch(report reporter, n int, opts []Option) (*Cluster, error) {
	if n < 1 {
		return nil, fmt.Errorf("redistest: %d servers asked for: at least one is needed", n)
	}
	binary, err := findBinary()
	if err != nil {
		return nil, err
	}
	dir, err := newDir()
	if err != nil {
		return nil, fmt.Errorf("redistest: directory for the servers: %w", err)
	}
	c := &Cluster{dir: dir}
	c.close = sync.OnceValue(c.shutdown)

	set, err := newSettings(dir.path, opts)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	var starting errgroup.Group
	for i := range n {
		node, err := newNode(report, binary, dir.path, i, set)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		c.nodes = append(c.nodes, node)
	}
	for _, node := range c.nodes {
		starting.Go(func() error { return node.startAnywhere(freePort) })
	}
	if err := starting.Wait(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Node returns server i, counted from 0.
func (c *Cluster) Node(i int) *Node { return c.nodes[i] }

// Nodes returns all servers.
func (c *Cluster) Nodes() []*Node { return slices.Clone(c.nodes) }

// Addrs returns the servers' addresses as host:port.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, len(c.nodes))
	for i, n := range c.nodes {
		addrs[i] = n.Addr()
	}
	return addrs
}

// Close kills all servers, waits for their end and removes their files. Further
// calls do nothing.
func (c *Cluster) Close() error { return c.close() }

func (c *Cluster) shutdown() error {
	var ending errgroup.Group
	for _, n := range c.nodes {
		ending.Go(n.kill)
	}
	return errors.Join(ending.Wait(), c.dir.remove())
}
