package redlock

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/redis/rueidis"

	"github.com/redlock-go/redlock/quorum"
)

// Dial connects to the nodes at addrs: host:port, redis://, rediss:// or unix://,
// each an independent master. It returns once each has answered, or a quorum has
// and the others have had their chance; without a quorum after four times the node
// timeout. A node that is down is no error: its votes are unknown until it is up,
// and it is tried again all the while.
//
// It returns an [*ArgumentError] for an address that cannot be parsed, an
// address given twice, or options out of range, and a [*MemberError] when two
// addresses reach the same server or one reaches a replica.
func Dial(addrs []string, opts ...Option) (*Client, error) {
	cfg, err := newConfig(len(addrs), opts)
	if err != nil {
		return nil, err
	}
	parsed := make([]address, len(addrs))
	for i, raw := range addrs {
		if parsed[i], err = parseAddress(raw); err != nil {
			return nil, err
		}
		for _, other := range parsed[:i] {
			if other.name == parsed[i].name {
				return nil, invalid("address", redact(raw), "is given twice: every node is one independent master")
			}
		}
	}

	c := newClient(cfg)
	for _, a := range parsed {
		d := &dialer{network: a.network, encrypts: a.option.TLSConfig != nil}
		client, err := rueidis.NewClient(clientOption(a.option, d, cfg))
		if client == nil {
			c.closeOwn()
			return nil, fmt.Errorf("redlock: node %s: %w", a.name, err)
		}
		c.own = append(c.own, client)
		c.nodes = append(c.nodes, &node{name: a.name, client: client, dialer: d})
	}
	return c.open()
}

// clientOption sets rueidis up for a lane: one plain connection, no retries of
// its own, no cache.
func clientOption(o rueidis.ClientOption, d *dialer, cfg config) rueidis.ClientOption {
	o.ForceSingleClient = true // no probing for a cluster, and a client even when the node is down
	o.DisableRetry = true
	o.DisableCache = true
	o.ReadBufferEachConn = buffer
	o.WriteBufferEachConn = buffer
	o.RingScaleEachConn = 4              // the lane has eight batches in flight at the most
	o.ConnWriteTimeout = 4 * cfg.timeout // of the greeting; a batch has a deadline of its own
	o.Dialer.Timeout = 4 * cfg.timeout
	o.Dialer.KeepAlive = keepAlive
	o.DialCtxFn = d.dial
	if o.TLSConfig != nil && cfg.tls != nil {
		t := cfg.tls.Clone()
		if t.ServerName == "" {
			t.ServerName = o.TLSConfig.ServerName
		}
		o.TLSConfig = t
	}
	return o
}

// New uses the caller's own clients, one for each independent master. From each
// it takes one dedicated connection, which is why a cluster client is refused. A
// node that does not answer can hold up Close for as long as its
// ClientOption.Dialer.Timeout. The clients are not closed by Close.
//
// It returns an [*ArgumentError] for a nil, repeated or cluster client and for
// options out of range, and a [*MemberError] when two clients reach the same
// server or one reaches a replica.
func New(nodes []rueidis.Client, opts ...Option) (*Client, error) {
	cfg, err := newConfig(len(nodes), opts)
	if err != nil {
		return nil, err
	}
	c := newClient(cfg)
	for i, client := range nodes {
		which := "number " + strconv.Itoa(i+1)
		switch {
		case client == nil:
			return nil, invalid("node", which, "is nil")
		case client.Mode() == rueidis.ClientModeCluster:
			return nil, invalid("node", which, "is a cluster client: every node is one independent master")
		case slices.Contains(nodes[:i], client):
			return nil, invalid("node", which, "is given twice: every node is one independent master")
		}
		c.nodes = append(c.nodes, &node{name: clientName(client, i), client: client})
	}
	return c.open()
}

// clientName finds out the address that a caller's client was made for.
func clientName(client rueidis.Client, i int) string {
	for addr := range client.Nodes() {
		if addr != "" {
			return addr
		}
	}
	return "number " + strconv.Itoa(i+1)
}

func newClient(cfg config) *Client {
	c := &Client{config: cfg}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	return c
}

// straggler is how long a node is waited for at the start, at the least, once a
// quorum of the others can be reached.
const straggler = 50 * time.Millisecond

// open starts the lanes and waits until every node has been tried, or a quorum can
// be reached and the others have had four times as long.
func (c *Client) open() (*Client, error) {
	start := c.clock.Now()
	m := &members{runID: make(map[*node]string, len(c.nodes))}
	refused := make([]error, len(c.nodes)) // each is set before its lane's Tried
	enough, stop := context.WithCancel(context.Background())
	defer stop()
	var reached atomic.Int64
	for i, n := range c.nodes {
		n.clock, n.timeout = c.clock, c.timeout
		n.join = func(who self) error { return m.admit(n, who) }
		var first sync.Once
		c.lanes = append(c.lanes, quorum.NewLane(n, quorum.Config{
			Clock:     c.clock,
			Timeout:   c.timeout,
			Queue:     maxQueue,
			Reconnect: func() backoff.BackOff { return jittered(20*time.Millisecond, time.Second) },
			Changed: func(err error) {
				first.Do(func() {
					refused[i] = err
					if err == nil && reached.Add(1) == int64(*c.quorum) {
						c.clock.AfterFunc(max(straggler, 3*c.clock.Now().Sub(start)), stop)
					}
				})
				c.nodeChanged(n.name, err)
			},
		}))
	}
	for i, l := range c.lanes {
		select {
		case <-l.Tried():
		case <-enough.Done():
		}
		select {
		case <-l.Tried():
		default:
			continue // should it turn out to be none of its own, its votes are unknown and say so
		}
		if member, ok := errors.AsType[*MemberError](refused[i]); ok {
			_ = c.Close()
			return nil, fmt.Errorf("redlock: %w", member)
		}
	}
	return c, nil
}
