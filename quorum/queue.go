package quorum

import (
	"fmt"
	"math"
	"time"

	"github.com/redlock-go/redlock/clock"
)

// Submit sends a round to its nodes: call i to lane i. It does not wait.
func Submit[C any](lanes []*Lane[C], r *Round[C], now clock.Instant) {
	for i, l := range lanes {
		l.submit(&r.calls[i], now)
	}
}

// Send sends one command whose vote nobody counts. keep is as for [Round.Set].
func (l *Lane[C]) Send(kind Kind, command C, slot *Slot, now, keep clock.Instant) {
	l.submit(&Call[C]{Command: command, kind: kind, slot: slot, keep: keep}, now)
}

func (l *Lane[C]) submit(c *Call[C], now clock.Instant) {
	c.since = now
	l.mu.Lock()
	v, err, queued := l.admit(c)
	if queued {
		l.wake()
	}
	l.mu.Unlock()
	if !queued {
		c.settle(v, err)
	}
}

// admit puts c in the queue, or says what its vote is without.
func (l *Lane[C]) admit(c *Call[C]) (v Vote, err error, queued bool) { //nolint:revive // the error belongs to the vote
	if c.kind == Undo {
		return l.admitUndo(c)
	}
	switch {
	case l.state == closed || l.closing:
		return Unknown, ErrClosed, false
	case c.slot != nil && c.slot.returned:
		return Unknown, ErrWithdrawn, false
	case l.state == down:
		return Unknown, l.reason, false
	case len(l.queue)-l.dead-l.debts >= l.cfg.Queue:
		return Unknown, ErrQueueFull, false
	}
	l.enqueue(c)
	return 0, nil, true
}

func (l *Lane[C]) admitUndo(c *Call[C]) (v Vote, err error, queued bool) { //nolint:revive // as admit
	s := c.slot
	if s != nil && !s.returned {
		// From here on the queued claims of this lock are passed over, and
		// their room is free for others.
		s.returned = true
		l.dead += s.queued
		l.compact()
	}
	switch {
	case s != nil && !s.claimed:
		return Yes, nil, false // the node has never heard of it
	case l.state == closed:
		return Unknown, ErrClosed, false
	case l.state == down:
		l.owe(c)
		return Unknown, l.reason, false
	case len(l.queue)-l.dead-l.debts >= 2*l.cfg.Queue:
		l.owe(c)
		return Unknown, ErrQueueFull, false
	}
	l.enqueue(c)
	return 0, nil, true
}

func (l *Lane[C]) enqueue(c *Call[C]) {
	if c.slot != nil && c.kind != Undo {
		c.slot.queued++
	}
	l.queue = append(l.queue, c)
}

// owe keeps an undo that could not be delivered, for when the node is back: what
// it is to take away would otherwise cost the lock a vote until it expires. The
// caller has been told that the outcome is unknown.
func (l *Lane[C]) owe(c *Call[C]) { l.oweFrom(c, 0) }

// oweFrom is owe for an undo that is not to be sent again before due.
func (l *Lane[C]) oweFrom(c *Call[C], due clock.Instant) {
	if l.debts >= l.cfg.Queue && !l.forgive() {
		return // bounded; the node forgets on its own at c.keep
	}
	l.debts++
	l.settled = min(l.settled, c.keep)
	l.queue = append(l.queue, &Call[C]{Command: c.Command, kind: Undo, slot: c.slot, keep: c.keep, since: c.since, debt: true, due: due})
}

// forgive drops the debts that have become needless, and reports whether there
// were any.
func (l *Lane[C]) forgive() bool {
	now, had := l.cfg.Clock.Now(), l.debts
	if now <= l.settled {
		return false
	}
	kept := l.queue[:0]
	next := clock.Instant(math.MaxInt64)
	for _, c := range l.queue {
		if c.debt && now > c.keep {
			l.leave(c)
			continue
		}
		if c.debt {
			next = min(next, c.keep)
		}
		kept = append(kept, c)
	}
	l.setQueue(kept)
	l.settled = next
	return l.debts < had
}

// passedOver reports a call that is no longer wanted. The caller holds the
// lane's mutex.
func (c *Call[C]) passedOver() bool { return c.kind != Undo && c.slot != nil && c.slot.returned }

// compact drops the passed-over calls from the queue when they are the larger
// part of it.
func (l *Lane[C]) compact() {
	if l.dead < 64 || l.dead < len(l.queue)/2 {
		return
	}
	kept := l.queue[:0]
	for _, c := range l.queue {
		if c.passedOver() {
			l.drop(c, ErrWithdrawn)
			continue
		}
		kept = append(kept, c)
	}
	l.setQueue(kept)
}

// drop settles a call that leaves the queue unsent.
func (l *Lane[C]) drop(c *Call[C], err error) {
	l.leave(c)
	c.settle(Unknown, err)
}

// leave does the books for a call that leaves the queue.
func (l *Lane[C]) leave(c *Call[C]) {
	switch {
	case c.debt:
		l.debts--
	case c.kind == Undo || c.slot == nil:
	default:
		c.slot.queued--
		if c.slot.returned {
			l.dead--
		}
	}
}

// setQueue replaces the queue by a part of itself that was moved to its front,
// and lets go of the rest.
func (l *Lane[C]) setQueue(kept []*Call[C]) {
	clear(l.queue[len(kept):])
	l.queue = kept
}

// take moves from the queue what may be sent now.
func (l *Lane[C]) take(now clock.Instant, batch []*Call[C]) []*Call[C] {
	kept := l.queue[:0]
	for i, c := range l.queue {
		switch {
		case len(batch) == maxBatch:
			kept = append(kept, l.queue[i:]...)
			l.setQueue(kept)
			return batch
		case c.passedOver():
			l.drop(c, ErrWithdrawn)
		case c.kind != Undo && now.Sub(c.since) > l.cfg.Timeout:
			l.drop(c, fmt.Errorf("%w: %v", ErrTooOld, now.Sub(c.since).Round(time.Millisecond)))
		case c.kind == Claim && now > c.keep:
			l.drop(c, ErrTooOld)
		case c.debt && now > c.keep:
			l.leave(c)
		case c.debt && now < c.due && !l.closing:
			kept = append(kept, c)
		case c.slot != nil && c.slot.inFlight > 0 && !inBatch(batch, c.slot):
			// Batches in flight may overtake one another; the calls of one lock
			// must not.
			kept = append(kept, c)
		default:
			l.leave(c)
			if c.slot != nil {
				c.slot.inFlight++
				c.slot.claimed = c.slot.claimed || c.kind == Claim
			}
			batch = append(batch, c)
		}
	}
	l.setQueue(kept)
	return batch
}

// inBatch reports whether what the slot has in flight goes with this very batch,
// whose order the connection keeps.
func inBatch[C any](batch []*Call[C], s *Slot) bool {
	n := 0
	for _, c := range batch {
		if c.slot == s {
			n++
		}
	}
	return n == s.inFlight
}

// dismiss settles those queued calls that are no longer to be sent.
func (l *Lane[C]) dismiss(which func(*Call[C]) bool) {
	kept := l.queue[:0]
	for _, c := range l.queue {
		if which(c) {
			l.drop(c, ErrClosed)
			continue
		}
		kept = append(kept, c)
	}
	l.setQueue(kept)
}
