package redlock

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/redis/rueidis"

	"github.com/redlock-go/redlock/clock"
	"github.com/redlock-go/redlock/quorum"
)

const (
	// maxKey is how many bytes a key may have, with its namespace. Longer ones
	// are mistakes: Redis would take half a gigabyte.
	maxKey = 512
	// maxTTL is a hundred years, which an Instant can still count.
	maxTTL = 100 * 365 * 24 * time.Hour
	// maxQueue is how many calls may wait for one node. It takes that many
	// goroutines that acquire at once to reach it.
	maxQueue = 16 << 10
	// buffer is the size of a connection's read and write buffers: the batch of
	// a hundred locks.
	buffer = 16 << 10
	// keepAlive is how often an idle connection is probed.
	keepAlive = 5 * time.Second
)

// Client holds locks on a quorum of independent Redis masters. It is safe for
// concurrent use; a process needs only one.
type Client struct {
	config
	nodes []*node
	lanes []*quorum.Lane[*command]
	own   []rueidis.Client // made by Dial, closed by Close

	ctx    context.Context // ends with ErrClosed
	cancel context.CancelCauseFunc

	mu     sync.Mutex     // orders the start of what is below against Close
	auto   sync.WaitGroup // goroutines that extend locks
	rounds sync.WaitGroup // acquisitions that are asking the nodes
}

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
					if err == nil && reached.Add(1) == int64(c.quorum) {
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

func (c *Client) nodeChanged(name string, err error) {
	if err != nil {
		c.log.Warn("redlock: node cannot be reached, its votes are unknown until it is back", "node", name, "error", err)
	} else {
		c.log.Info("redlock: node can be reached", "node", name)
	}
	if c.observer.Node != nil {
		c.observer.Node(NodeEvent{Node: name, Err: err})
	}
}

// Close sends the releases that are on their way, within twice the node timeout,
// and ends all connections and goroutines of the client. Locks that are still
// held are not released: their contexts end with [ErrClosed], and their keys live
// on until they expire, for whoever has the [Handle]. It returns ErrClosed when
// the client was closed before.
func (c *Client) Close() error {
	c.mu.Lock()
	closed := c.ctx.Err() != nil
	c.cancel(ErrClosed)
	c.mu.Unlock()
	if closed {
		return ErrClosed
	}
	c.auto.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 2*c.timeout)
	defer cancel()
	for _, l := range c.lanes {
		l.Retire()
	}
	// Acquisitions that are under way are lost now, and have yet to clean up.
	lost := make(chan struct{})
	go func() {
		c.rounds.Wait()
		close(lost)
	}()
	select {
	case <-lost:
	case <-ctx.Done():
	}
	var lanes sync.WaitGroup
	for _, l := range c.lanes {
		lanes.Go(func() { l.Close(ctx) })
	}
	lanes.Wait()
	<-lost // the lanes have settled all votes
	c.closeOwn()
	return nil
}

// begin notes that an acquisition asks the nodes, and must be followed by
// rounds.Done; it reports whether the client is open.
func (c *Client) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return false
	}
	c.rounds.Add(1)
	return true
}

func (c *Client) closeOwn() {
	for _, o := range c.own {
		o.Close()
	}
}

// wireKey checks a key and puts it into the namespace.
func (c *Client) wireKey(key string) (string, error) {
	if key == "" {
		return "", invalid("key", `""`, "must not be empty")
	}
	full := c.namespace + key
	if len(full) > maxKey {
		return "", invalid("key", fmt.Sprintf("%.40q...", full), fmt.Sprintf("has %d bytes: must not have more than %d", len(full), maxKey))
	}
	return full, nil
}

// checkTTL refuses a ttl that leaves no validity even if a round took no time.
func (c *Client) checkTTL(ttl time.Duration) error {
	if ttl <= 0 {
		return invalid("ttl", ttl.String(), "must be positive")
	}
	if ttl > maxTTL {
		return invalid("ttl", ttl.String(), fmt.Sprintf("must not be more than %v", maxTTL))
	}
	if left := c.drift.Validity(ttl, 0); left <= 0 {
		return invalid("ttl", ttl.String(), fmt.Sprintf("must be longer than its drift of %v", c.drift.Of(ttl)))
	}
	return nil
}

// newToken returns 128 random bits in hex. Go's crypto/rand does not fail.
func newToken() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// waitUntil waits for a round no longer than until, after which its outcome is of
// no use.
func (c *Client) waitUntil(ctx context.Context, r *quorum.Round[*command], condition func(quorum.Tally) bool, until clock.Instant) error {
	// The lanes answer within a few node timeouts; only a shorter bound needs a
	// timer.
	if left := until.Sub(c.clock.Now()); left < 4*c.timeout {
		bounded, cancel := context.WithTimeout(ctx, left)
		defer cancel()
		if r.Wait(bounded, condition) == nil || ctx.Err() == nil {
			return nil
		}
		return ctxError(ctx)
	}
	return wait(ctx, r, condition)
}

// wait waits for a round and returns ctx's error when that ended the wait.
func wait(ctx context.Context, r *quorum.Round[*command], condition func(quorum.Tally) bool) error {
	if r.Wait(ctx, condition) != nil {
		return ctxError(ctx)
	}
	return nil
}

// ctxError returns ctx's error, with its cause where that says more.
func ctxError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// round prepares a round with one command for all nodes.
func (c *Client) round(kind quorum.Kind, cmd *command, slots []quorum.Slot, keep clock.Instant) *quorum.Round[*command] {
	r := quorum.NewRound[*command](len(c.nodes), c.quorum)
	for i := range c.nodes {
		r.Set(i, kind, cmd, &slots[i], keep)
	}
	return r
}

// asking prepares a round with a command of its own for each node, since the
// answers are more than votes.
func (c *Client) asking(cmd command, slots []quorum.Slot) *quorum.Round[*command] {
	r := quorum.NewRound[*command](len(c.nodes), c.quorum)
	cmds := make([]command, len(c.nodes))
	for i := range cmds {
		cmds[i] = cmd
		var slot *quorum.Slot
		if slots != nil {
			slot = &slots[i]
		}
		r.Set(i, quorum.Ask, &cmds[i], slot, 0)
	}
	return r
}

// told tells the observer of a decided round and passes err through.
func (c *Client) told(op, key string, elapsed time.Duration, r *quorum.Round[*command], err error) {
	if c.observer.Round != nil {
		c.observer.Round(RoundEvent{Op: op, Key: key, Elapsed: elapsed, Tally: r.Tally(), Err: err})
	}
}
