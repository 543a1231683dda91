package quorum

import "fmt"

// The bounds that the tests reach for.
const (
	MaxBatch    = maxBatch
	MaxInFlight = maxInFlight
	Rest        = rest
)

// Settle hands in a node's vote, as a lane does.
func (r *Round[C]) Settle(node int, v Vote, err error) { r.calls[node].settle(v, err) }

// Books reports what a lane has counted wrong, by counting it again.
func (l *Lane[C]) Books() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var dead, debts int
	queued := map[*Slot]int{}
	for _, c := range l.queue {
		switch {
		case c.passedOver():
			dead++
		case c.debt:
			debts++
		}
		if c.slot != nil && c.kind != Undo {
			queued[c.slot]++
		}
	}
	live := len(l.queue) - dead - debts
	switch {
	case dead != l.dead:
		return fmt.Errorf("%d dead calls are in the queue, %d on the books", dead, l.dead)
	case debts != l.debts:
		return fmt.Errorf("%d debts are in the queue, %d on the books", debts, l.debts)
	case debts > l.cfg.Queue:
		return fmt.Errorf("%d debts, at most %d are allowed", debts, l.cfg.Queue)
	case live > 2*l.cfg.Queue:
		return fmt.Errorf("%d calls wait, at most %d are allowed", live, 2*l.cfg.Queue)
	case dead >= 64 && dead > live+debts+64:
		return fmt.Errorf("%d dead calls are kept beside %d that are wanted", dead, live+debts)
	case l.inFlight < 0 || l.inFlight > maxInFlight:
		return fmt.Errorf("%d batches in flight", l.inFlight)
	case l.workers > maxInFlight || l.idle > l.workers || l.idle < 0:
		return fmt.Errorf("%d of %d workers are idle", l.idle, l.workers)
	}
	for s, n := range queued {
		if s.queued != n || s.inFlight < 0 {
			return fmt.Errorf("%d calls of a slot are in the queue, %d on the books, %d in flight", n, s.queued, s.inFlight)
		}
	}
	return nil
}

// Idle reports whether the lane has nothing to do and nothing on its way.
func (l *Lane[C]) Idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue) == 0 && l.inFlight == 0
}

// InUse returns how many calls of the slot its lane holds. The lane must have
// been closed.
func (s *Slot) InUse() (queued, inFlight int) { return s.queued, s.inFlight }
