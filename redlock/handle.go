package redlock

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/redlock-go/redlock/clock"
	"github.com/redlock-go/redlock/quorum"
)

// Handle names a lock that was acquired, so that another process, or a later one,
// can [Client.Attach] to it. It can be sent as JSON. It carries the token, and
// whoever has that can release the lock, so it does not show when it is printed
// or logged.
type Handle struct {
	Key   string
	Token string
	TTL   time.Duration // that the lock was acquired or last extended with
}

type handleJSON struct {
	Key   string `json:"key"`
	Token string `json:"token"`
	TTLms int64  `json:"ttl_ms"`
}

// MarshalJSON writes {"key":...,"token":...,"ttl_ms":...}.
func (h Handle) MarshalJSON() ([]byte, error) {
	if !utf8.ValidString(h.Key) {
		return nil, invalid("key", strconv.Quote(h.Key), "must be UTF-8 to be written as JSON, which would change it")
	}
	return json.Marshal(handleJSON{h.Key, h.Token, clock.Millis(h.TTL)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (h *Handle) UnmarshalJSON(data []byte) error {
	var j handleJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return fmt.Errorf("redlock: handle: %w", err)
	}
	*h = Handle{Key: j.Key, Token: j.Token, TTL: time.Duration(j.TTLms) * time.Millisecond}
	return nil
}

// String shows the key only.
func (h Handle) String() string { return "lock " + strconv.Quote(h.Key) }

// GoString keeps the token out of %#v.
func (h Handle) GoString() string { return "redlock.Handle{" + strconv.Quote(h.Key) + "}" }

// LogValue keeps the token out of logs.
func (h Handle) LogValue() slog.Value { return slog.StringValue(h.Key) }

// String shows the key only, so that a lock can be printed without its token.
func (l *Lock) String() string { return "lock " + strconv.Quote(l.key) }

// GoString keeps the token out of %#v.
func (l *Lock) GoString() string { return "redlock.Lock{" + strconv.Quote(l.key) + "}" }

// LogValue keeps the token out of logs.
func (l *Lock) LogValue() slog.Value { return slog.StringValue(l.key) }

// Handle returns what another process needs to attach to the lock.
func (l *Lock) Handle() Handle {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Handle{Key: l.key, Token: l.token, TTL: l.ttl}
}

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
		left := quorumLeft(r, len(c.nodes), c.quorum, func(cmd *command) bool { return cmd.owner == h.Token })
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

// ask submits a round that only reads and waits for it.
func (c *Client) ask(ctx context.Context, r *quorum.Round[*command], condition func(quorum.Tally) bool) error {
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	quorum.Submit(c.lanes, r, c.clock.Now())
	return wait(ctx, r, condition)
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
