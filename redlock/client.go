package redlock

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"github.com/redis/rueidis"

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
