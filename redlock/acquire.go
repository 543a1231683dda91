package redlock

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/redlock-go/redlock/clock"
	"github.com/redlock-go/redlock/quorum"
)

// TryAcquire tries once, in one round over all nodes, to lock key for ttl. The
// lock is held when a quorum granted it and validity is left: ttl less the time
// that the round took and the drift of the clocks.
//
// ctx bounds the wait, not the lock; it may end before the nodes have answered,
// and no key is left behind. It returns an [*ArgumentError], or a [*QuorumError]
// that matches [ErrHeld], or [ErrNoQuorum] when too few nodes answered or they
// did too late, together with ctx's error if that ended the wait. After Close it
// returns [ErrClosed].
//
// See "The Redlock Algorithm" in Redis's document on distributed locks.
func (c *Client) TryAcquire(ctx context.Context, key string, ttl time.Duration, opts ...AcquireOption) (*Lock, error) {
	a, err := c.acquisition(ctx, key, ttl, opts)
	if err != nil {
		return nil, err
	}
	return a.once(ctx)
}

// Acquire locks key for ttl, trying again while another owner has it or too few
// nodes answer: by default up to three times, some 200 ms apart. See [Retry] and
// [UntilDone] for other policies, and [Client.TryAcquire] for the errors.
func (c *Client) Acquire(ctx context.Context, key string, ttl time.Duration, opts ...AcquireOption) (*Lock, error) {
	a, err := c.acquisition(ctx, key, ttl, opts)
	if err != nil {
		return nil, err
	}
	return a.retrying(ctx)
}

// courtesy is how long a round that is lost for want of answers waits for those
// that are on their way, for the sake of its error.
const courtesy = 20 * time.Millisecond

// acquisition is one attempt after another to get one lock.
type acquisition struct {
	client   *Client
	key      string // as the caller gave it
	wire     string // as the nodes know it
	ttl      time.Duration
	base     context.Context // whose values, but not whose end, the lock's context carries
	attempts int
	acquireConfig
}

func (c *Client) acquisition(ctx context.Context, key string, ttl time.Duration, opts []AcquireOption) (*acquisition, error) {
	if c.ctx.Err() != nil {
		return nil, ErrClosed
	}
	wire, err := c.wireKey(key)
	if err != nil {
		return nil, err
	}
	if err := c.checkTTL(ttl); err != nil {
		return nil, err
	}
	a := &acquisition{
		client: c, key: key, wire: wire, ttl: ttl, base: ctx,
		acquireConfig: acquireConfig{retry: threeRetries},
	}
	for _, o := range opts {
		o.acquire(&a.acquireConfig)
	}
	return a, nil
}

func (a *acquisition) retrying(ctx context.Context) (*Lock, error) {
	var policy backoff.BackOff
	var held *QuorumError // the last round that found another owner
	for {
		lock, err := a.once(ctx)
		failed, ok := errors.AsType[*QuorumError](err)
		if !ok {
			return lock, err
		}
		if errors.Is(failed, ErrHeld) {
			held = failed
		}
		if ctx.Err() != nil {
			if failed.cause != nil {
				// A round that was cut short knows less than one before it.
				failed = cmp.Or(held, failed)
			}
			return nil, cutShort(failed, ctx, a.attempts)
		}
		if policy == nil {
			policy = a.retry()
			policy.Reset()
		}
		pause := policy.NextBackOff()
		if pause == backoff.Stop {
			return nil, failed
		}
		if a.pause(ctx, pause) != nil {
			if a.client.ctx.Err() != nil {
				return nil, ErrClosed
			}
			return nil, cutShort(failed, ctx, a.attempts)
		}
	}
}

// cutShort adds ctx's error to a copy of failed, which an observer may have kept.
func cutShort(failed *QuorumError, ctx context.Context, attempts int) *QuorumError { //nolint:revive // ctx is what it is about
	e := *failed
	e.Attempts, e.cause = attempts, ctxError(ctx)
	return &e
}

// pause waits between two attempts, until ctx ends or the client is closed.
func (a *acquisition) pause(ctx context.Context, d time.Duration) error {
	ctx, cancel := whileBoth(ctx, a.client.ctx)
	defer cancel()
	return clock.Sleep(ctx, a.client.clock, d)
}

// once is one round: a fresh token to every node at once.
func (a *acquisition) once(ctx context.Context) (*Lock, error) {
	c := a.client
	if !c.begin() {
		return nil, ErrClosed
	}
	defer c.rounds.Done()
	a.attempts++
	token := newToken()
	slots := make([]quorum.Slot, len(c.nodes))
	start := c.clock.Now() // before anything is queued: a slow node must shorten the lock, not stretch it
	until := start.Add(c.drift.Validity(a.ttl, 0))
	r := c.round(quorum.Claim, &command{op: acquire, key: a.wire, token: token, millis: millisArg(a.ttl)}, slots, until)

	var ended error
	if ctx.Err() != nil {
		ended = ctxError(ctx) // nothing is sent for a caller who is gone
	} else {
		quorum.Submit(c.lanes, r, start)
		ended = c.waitUntil(ctx, r, quorum.Tally.Decided, until)
	}
	now := c.clock.Now()
	won := r.Tally().Outcome() == quorum.Won
	if won && now < until && c.ctx.Err() == nil {
		c.told("acquire", a.key, now.Sub(start), r, nil)
		return c.newLock(a, token, slots, start, until), nil
	}

	// Everywhere, the refusing nodes and the silent ones too: a lost reply may
	// hide a write. In the lanes it does not depend on the caller any more.
	undo := cleanup{client: c, cmd: &command{op: release, key: a.wire, token: token}, slots: slots, ttl: a.ttl}
	if ended == nil && !won && !r.Tally().Refused() {
		// Whether the lock is held, or too few nodes answer, the votes that are
		// still out can tell. Those nodes are left to answer before they are
		// cleaned up, since what was not sent yet would be withdrawn.
		undo.answered(r)
		ended = c.waitUntil(ctx, r, quorum.Tally.Settled, until)
		if ended == nil && !r.Tally().Refused() {
			// The error is not to count healthy nodes among the silent ones.
			ended = c.waitUntil(ctx, r, quorum.Tally.Complete, min(until, now.Add(courtesy)))
		}
	}
	undo.rest()
	kind := ErrNoQuorum
	if r.Tally().Refused() {
		kind = ErrHeld
	}
	elapsed := c.clock.Now().Sub(start)
	failed := c.quorumError("acquire", a.key, r, elapsed, kind, ended)
	failed.Late = won
	if c.ctx.Err() != nil {
		return nil, ErrClosed
	}
	failed.Attempts = a.attempts
	c.told("acquire", a.key, elapsed, r, failed)
	return nil, failed
}
