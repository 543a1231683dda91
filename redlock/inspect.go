package redlock

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/redlock-go/redlock/quorum"
)

// Inspection is what the nodes know of a key at one moment, which may be over by
// the time it is read: nothing may be decided by it but what to show.
type Inspection struct {
	Key       string
	Held      bool          // a quorum carries one owner's token
	Owner     string        // fingerprint of that owner, empty when not held
	Remaining time.Duration // how long a quorum carries it, when held
	Nodes     []NodeState   // in the order of the nodes
}

// NodeState is what one node knows of a key.
type NodeState struct {
	Node      string
	Owner     string        // fingerprint of the token it carries, empty for none
	Remaining time.Duration // how long it carries it
	Err       error         // why nothing is known
}

// Fingerprint shows a token without giving it away: the first 64 bits of its
// SHA-256, in hex.
func Fingerprint(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:8])
}

// Inspect asks every node who holds key, and waits for all of them, within the
// node timeout. Owners show as fingerprints, see [Fingerprint].
//
// When too few nodes answered it returns what it got, together with a
// [*QuorumError] that matches [ErrNoQuorum].
func (c *Client) Inspect(ctx context.Context, key string) (Inspection, error) {
	seen := Inspection{Key: key}
	if c.ctx.Err() != nil {
		return seen, ErrClosed
	}
	wire, err := c.wireKey(key)
	if err != nil {
		return seen, err
	}
	start := c.clock.Now()
	r := c.asking(command{op: look, key: wire}, nil)
	ended := c.ask(ctx, r, quorum.Tally.Complete)
	elapsed := c.clock.Now().Sub(start)

	answers := 0
	for i, n := range c.nodes {
		state := NodeState{Node: n.name}
		_, err, in := r.Answer(i)
		switch {
		case !in:
			state.Err = errNoAnswer
		case err != nil:
			state.Err = err
		default:
			answers++
			if cmd := r.Command(i); cmd.owner != "" {
				state.Owner, state.Remaining = Fingerprint(cmd.owner), cmd.left
			}
		}
		seen.Nodes = append(seen.Nodes, state)
	}
	for _, n := range seen.Nodes {
		if n.Owner == "" || seen.Held {
			continue
		}
		left := quorumLeft(r, len(c.nodes), *c.quorum, func(cmd *command) bool {
			return cmd.owner != "" && Fingerprint(cmd.owner) == n.Owner
		})
		if left > 0 {
			seen.Held, seen.Owner, seen.Remaining = true, n.Owner, left
		}
	}
	if answers < *c.quorum {
		failed := c.quorumError("inspect", key, r, elapsed, ErrNoQuorum, ended)
		c.told("inspect", key, elapsed, r, failed)
		return seen, failed
	}
	c.told("inspect", key, elapsed, r, nil)
	return seen, nil
}
