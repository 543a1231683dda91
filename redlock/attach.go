package redlock

import (
	"context"
	"slices"
	"time"

	"github.com/redlock-go/redlock/quorum"
)

// Attach takes up a lock that was acquired elsewhere. It asks the nodes that a
// quorum still carries it and for how long, so no clock crosses from one process
// to another. The lock does not extend itself; [Lock.Extend] and [Lock.Release]
// act on it as on any other, and also for every other process that has it.
//
// It returns an [*ArgumentError] for a malformed handle, and a [*QuorumError]
// that matches [ErrNotHeld] when a quorum no longer carries the lock, or
// [ErrNoQuorum] when too few nodes answered.
func (c *Client) Attach(ctx context.Context, h Handle) (*Lock, error) {
	if c.ctx.Err() != nil {
		return nil, ErrClosed
	}
	wire, err := c.wireKey(h.Key)
	switch {
	case err != nil:
		return nil, err
	case h.Token == "" || len(h.Token) > maxKey:
		return nil, invalid("handle", h.String(), "has no token, or none that can be one: give it as Lock.Handle made it")
	}
	if err := c.checkTTL(h.TTL); err != nil {
		return nil, err
	}

	slots := make([]quorum.Slot, len(c.nodes))
	for i := range slots {
		slots[i].Assume()
	}
	start := c.clock.Now()
	r := c.asking(command{op: look, key: wire, token: h.Token}, nil)
	ended := c.ask(ctx, r, quorum.Tally.Settled)
	elapsed := c.clock.Now().Sub(start)

	kind := ErrNoQuorum
	if r.Tally().Outcome() == quorum.Won {
		// A quorum carries it for as long as the shortest-lived of the longest-
		// lived q; counted from before they were asked.
		left := quorumLeft(r, len(c.nodes), *c.quorum, func(cmd *command) bool { return cmd.owner == h.Token })
		if validity := c.drift.Validity(left, elapsed); validity > 0 {
			a := &acquisition{client: c, key: h.Key, wire: wire, ttl: h.TTL, base: ctx}
			c.told("attach", h.Key, elapsed, r, nil)
			l := c.newLock(a, h.Token, slots, start, start.Add(c.drift.Validity(left, 0)))
			// Whoever has it may have extended it by more than the handle says.
			l.solid = start.Add(left)
			l.carry(start.Add(longestLeft(r, len(c.nodes))))
			return l, nil
		}
		kind = ErrNotHeld
	}
	if r.Tally().Refused() {
		kind = ErrNotHeld
	}
	failed := c.quorumError("attach", h.Key, r, elapsed, kind, ended)
	c.told("attach", h.Key, elapsed, r, failed)
	return nil, failed
}

// longestLeft returns the longest time that any node carries the key.
func longestLeft(r *quorum.Round[*command], nodes int) (left time.Duration) {
	for i := range nodes {
		if _, err, in := r.Answer(i); in && err == nil {
			left = max(left, r.Command(i).left)
		}
	}
	return left
}

// quorumLeft returns for how long at least q of the nodes that match carry the
// key, zero where fewer do.
func quorumLeft(r *quorum.Round[*command], nodes, q int, match func(*command) bool) time.Duration {
	var left []time.Duration
	for i := range nodes {
		if _, err, in := r.Answer(i); in && err == nil && match(r.Command(i)) {
			left = append(left, r.Command(i).left)
		}
	}
	if len(left) < q {
		return 0
	}
	slices.Sort(left)
	return left[len(left)-q]
}
