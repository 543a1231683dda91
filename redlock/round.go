package redlock

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redlock-go/redlock/clock"
	"github.com/redlock-go/redlock/quorum"
)

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

// whileBoth returns a context that ends when ctx or other does. It must be
// cancelled.
func whileBoth(ctx, other context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(other, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
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
	r := quorum.NewRound[*command](len(c.nodes), *c.quorum)
	for i := range c.nodes {
		r.Set(i, kind, cmd, &slots[i], keep)
	}
	return r
}

// asking prepares a round with a command of its own for each node, since the
// answers are more than votes.
func (c *Client) asking(cmd command, slots []quorum.Slot) *quorum.Round[*command] {
	r := quorum.NewRound[*command](len(c.nodes), *c.quorum)
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

// told tells the observer of a decided round.
func (c *Client) told(op, key string, elapsed time.Duration, r *quorum.Round[*command], err error) {
	if c.observer.Round != nil {
		c.observer.Round(RoundEvent{Op: op, Key: key, Elapsed: elapsed, Tally: r.Tally(), Err: err})
	}
}

// ask submits a round that only reads and waits for it.
func (c *Client) ask(ctx context.Context, r *quorum.Round[*command], condition func(quorum.Tally) bool) error {
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	quorum.Submit(c.lanes, r, c.clock.Now())
	return wait(ctx, r, condition)
}
