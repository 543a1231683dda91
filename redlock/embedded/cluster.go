package embedded

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/redlock-go/redlock/clock"
)

// Cluster is a set of independent nodes; nothing is shared between them but the
// process. All methods are safe for concurrent use.
type Cluster struct {
	nodes []*node
}

// Start starts n nodes on free ports of 127.0.0.1.
func Start(n int) (*Cluster, error) {
	return StartAt(slices.Repeat([]string{"127.0.0.1:0"}, max(n, 0))...)
}

// StartAt starts one node at each address, which is a loopback IP address or
// localhost, and a port; port 0 stands for any free one. If one of them cannot
// be served, the error names it, matches syscall.EADDRINUSE where something
// listens there already, and no node stays.
func StartAt(addrs ...string) (*Cluster, error) {
	if len(addrs) == 0 {
		return nil, errors.New("embedded: no nodes asked for: a lock needs at least one, and five to survive the loss of two")
	}
	c := &Cluster{}
	for i, addr := range addrs {
		if err := c.add(addr); err != nil {
			return nil, errors.Join(fmt.Errorf("embedded: node %d at %q: %w", i, addr, err), c.Close())
		}
	}
	return c, nil
}

func (c *Cluster) add(addr string) error {
	addr, err := loopback(addr)
	if err != nil {
		return err
	}
	if slices.Contains(c.Addrs(), addr) {
		return errors.New("the address is given twice: each node needs its own")
	}
	n, err := newNode(addr, clock.System())
	if err != nil {
		return err
	}
	c.nodes = append(c.nodes, n)
	return nil
}

// loopback returns addr with localhost turned into an IP address. It refuses
// addresses that other machines could reach: the nodes have no password.
func loopback(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("%w: write it as 127.0.0.1:PORT", err)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.IsLoopback() {
		return "", errors.New("not a loopback address: the nodes have no password, so they serve this machine only: write it as 127.0.0.1:PORT")
	}
	return net.JoinHostPort(host, port), nil
}

// Nodes starts n nodes for a test or benchmark and returns their addresses. They
// are closed when it ends. A failure to start ends it.
func Nodes(tb testing.TB, n int) []string {
	tb.Helper()
	c, err := Start(n)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c.Addrs()
}

// Addrs returns the nodes' addresses as host:port, in the order of their
// numbers. They stay the same when nodes are stopped and started.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, len(c.nodes))
	for i, n := range c.nodes {
		addrs[i] = n.addr
	}
	return addrs
}

// Stop ends the service of node i, counted from 0: its connections are cut and
// new ones refused. It has its data when it is started again, less the keys
// that expired meanwhile. Stopping a stopped node does nothing. For a node that
// lost its data, send it FLUSHALL.
func (c *Cluster) Stop(i int) error {
	n, err := c.node(i)
	if err != nil {
		return err
	}
	if err := n.stop(); err != nil {
		return fmt.Errorf("embedded: stop node %d at %s: %w", i, n.addr, err)
	}
	return nil
}

// Start serves node i again at the address that it had, with a new run id.
// Starting a node that is serving does nothing. It fails if something else has
// taken the address, or once the cluster is closed.
func (c *Cluster) Start(i int) error {
	n, err := c.node(i)
	if err != nil {
		return err
	}
	if err := n.start(); err != nil {
		return fmt.Errorf("embedded: start node %d at %s: %w", i, n.addr, err)
	}
	return nil
}

// Close stops all nodes for good and waits until their goroutines have ended.
// Further calls do nothing.
func (c *Cluster) Close() error {
	var errs []error
	for i, n := range c.nodes {
		if err := n.close(); err != nil {
			errs = append(errs, fmt.Errorf("embedded: close node %d at %s: %w", i, n.addr, err))
		}
	}
	return errors.Join(errs...)
}

func (c *Cluster) node(i int) (*node, error) {
	if i < 0 || i >= len(c.nodes) {
		return nil, fmt.Errorf("embedded: no node %d: the nodes are numbered 0 to %d", i, len(c.nodes)-1)
	}
	return c.nodes[i], nil
}
