package redlock

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/redlock-go/redlock/clock"
	"github.com/redlock-go/redlock/quorum"
)

// Extend lets the lock live at least ttl from now, and gives it back to nodes
// that have lost it, so that it does not erode. It never shortens the lock, and
// never revives one that has run out. A round that fails is tried again until
// validity ends or ctx does.
//
// It returns an [*ArgumentError] for a ttl that leaves no validity;
// [ErrNotHeld] when the lock was released; an error that matches both [ErrLost]
// and [ErrNotHeld] when it had run out, or a quorum of nodes no longer carries it;
// and ctx's error when ctx ended while validity was left, in a [*QuorumError] that
// matches [ErrNoQuorum] too if the nodes had been asked: the lock is then as it was.
//
// See "Making the algorithm more reliable: Extending the lock" in Redis's
// document on distributed locks.
func (l *Lock) Extend(ctx context.Context, ttl time.Duration) error {
	c := l.client
	if err := c.checkTTL(ttl); err != nil {
		return err
	}
	// One at a time: two rounds at once would not know which of them to trust.
	turn := l.turn()
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
	}

	life := l.Context()
	var failed *QuorumError
	for {
		// In this order: whoever asks is to hear of a loss rather than of ctx.
		if err := l.err(); err != nil {
			return gone(err)
		}
		switch {
		case ctx.Err() == nil:
		case failed == nil:
			return ctxError(ctx)
		default:
			return cutShort(failed, ctx, 0)
		}
		if failed = l.extendOnce(ctx, ttl); failed == nil {
			return nil
		}
		pause, cancel := whileBoth(ctx, life)
		_ = clock.Sleep(pause, c.clock, retryAfter(l.Validity()))
		cancel()
	}
}

func (l *Lock) turn() chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.extending == nil {
		l.extending = make(chan struct{}, 1)
	}
	return l.extending
}

// gone is how Extend tells that there is nothing to extend.
func gone(cause error) error {
	if cause == ErrNotHeld { //nolint:errorlint // the very value, which says that it was released
		return cause
	}
	return &goneError{cause}
}

// goneError is a loss that was found before it was acted on.
type goneError struct{ cause error }

func (e *goneError) Error() string   { return e.cause.Error() }
func (e *goneError) Unwrap() []error { return []error{e.cause, ErrNotHeld} }

// retryAfter spreads the retries of a failed extension over the validity that is
// left: an eighth of it, random by half, so that a few dozen fit in and a short
// lock does not spin.
func retryAfter(left time.Duration) time.Duration {
	d := min(max(left/8, 5*time.Millisecond), time.Second)
	return d/2 + rand.N(d)
}

// extendOnce is one round. It returns nil when the round was won in time.
func (l *Lock) extendOnce(ctx context.Context, ttl time.Duration) *QuorumError {
	c := l.client
	life := l.Context()
	start := c.clock.Now() // before anything is queued, as for an acquisition
	r := c.asking(command{op: extend, key: l.wire, token: l.token, millis: millisArg(ttl)}, l.slots)
	m := &mending{lock: l, round: r}
	r.OnAnswer(m.answered)
	l.carry(start.Add(ttl))
	quorum.Submit(c.lanes, r, start)

	// Loss ends the wait; it does not wait for the round.
	waiting, cancel := whileBoth(ctx, life)
	_ = r.Wait(waiting, quorum.Tally.Settled)
	cancel()

	now := c.clock.Now()
	tally := r.Tally()
	if tally.Outcome() == quorum.Won && l.renew(start, now, ttl) {
		m.all()
		c.told("extend", l.key, now.Sub(start), r, nil)
		return nil
	}
	kind := ErrNoQuorum
	if tally.Refused() {
		kind = ErrLost
		l.lose(forever, errTaken)
	}
	err := c.quorumError("extend", l.key, r, now.Sub(start), kind, nil)
	err.Late = tally.Outcome() == quorum.Won
	c.told("extend", l.key, now.Sub(start), r, err)
	return err
}

// renew moves the end of validity, if there was any left to move.
func (l *Lock) renew(start, now clock.Instant, ttl time.Duration) bool {
	until := start.Add(l.client.drift.Validity(ttl, 0))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state != stateHeld || now >= l.until || now >= until {
		return false
	}
	if until > l.until {
		l.until, l.solid, l.ttl = until, start.Add(ttl), ttl
	}
	return true
}

// mending gives a key back to the nodes that lack it, once its lock has been
// extended on a quorum of others. Such a node counts from the next round on: its
// vote in this one was no. Answers may come in long after the round was won.
type mending struct {
	lock  *Lock
	round *quorum.Round[*command]
}

// all mends what answered before the round was won.
func (m *mending) all() {
	for i := range m.lock.client.nodes {
		if _, _, in := m.round.Answer(i); in {
			m.answered(i)
		}
	}
}

func (m *mending) answered(node int) {
	cmd := m.round.Command(node)
	if !cmd.absent || m.round.Tally().Outcome() != quorum.Won {
		return
	}
	l := m.lock
	c := l.client
	now := c.clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	// Never after validity has ended, and, because a release takes l.mu before it
	// goes to the lanes, never behind the release.
	if cmd.mended || l.state != stateHeld || now >= l.until {
		return
	}
	cmd.mended = true
	again := &command{op: acquire, key: l.wire, token: l.token, millis: millisArg(l.solid.Sub(now))}
	c.lanes[node].Send(quorum.Claim, again, &l.slots[node], now, l.until)
}

// extendAlways extends the lock after each third of its validity until it is
// released or lost. Its goroutine is the only one that a lock may have.
func (l *Lock) extendAlways() {
	c := l.client
	ctx := l.Context()
	for {
		l.mu.Lock()
		ttl, until := l.ttl, l.until
		l.mu.Unlock()
		// A tenth up or down keeps locks that were acquired together from being
		// extended together for ever.
		third := c.drift.Validity(ttl, 0) / 3
		third += rand.N(third/5+1) - third/10
		due := until.Sub(c.clock.Now()) - 2*third
		if clock.Sleep(ctx, c.clock, due) != nil || l.Extend(ctx, ttl) != nil {
			return // released or lost: the context has told
		}
	}
}
