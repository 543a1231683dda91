package quorum

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/redlock-go/redlock/clock"
)

// wake sees to it that somebody takes what was queued.
func (l *Lane[C]) wake() {
	switch {
	case l.state != up || l.inFlight >= l.limit:
		// It goes with the next batch, which leaves when a batch is answered.
	case l.idle > 0:
		l.work.Signal()
	case l.workers < l.limit:
		l.spawn()
	}
}

// sending reports whether a batch may leave.
func (l *Lane[C]) sending() bool {
	return l.state == up && !l.looking && l.inFlight < l.limit && len(l.queue) > 0
}

// gather lets the goroutines that are ready to run queue their calls first, so
// that those who were woken together by the last answers travel together. It
// doubles the throughput at 64 callers and costs a single one nothing
// (docs/adr/0003).
func (l *Lane[C]) gather() {
	l.mu.Unlock()
	runtime.Gosched()
	l.mu.Lock()
}

func (l *Lane[C]) spawn() {
	l.workers++
	l.done.Go(l.run)
}

// run is a goroutine of the lane: it connects when there is no connection and
// sends when there is something to send.
func (l *Lane[C]) run() {
	var batch []*Call[C]
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case l.state == closed:
			return
		case l.state != up && !l.dialing && l.inFlight == 0 && !(l.closing && l.state == down):
			l.connect()
			continue
		case l.sending():
			now := l.cfg.Clock.Now()
			if l.inFlight == 0 && now.Sub(l.used) > rest {
				l.look()
				continue
			}
			l.gather()
			if !l.sending() {
				continue
			}
			l.used = now
			if batch = l.take(now, batch[:0]); len(batch) > 0 {
				l.send(batch)
				clear(batch) // an idle lane keeps no lock alive
				continue
			}
		}
		l.quiet.Broadcast()
		l.idle++
		l.work.Wait()
		l.idle--
	}
}

// look sees after a connection that has rested, before it is used. If it is dead,
// the calls in the queue wait for another one, none the worse: nothing of them
// was sent. It is called with the mutex held, and holds it again when it returns.
func (l *Lane[C]) look() {
	l.looking = true // nobody else uses the connection meanwhile
	l.mu.Unlock()
	alive := l.conn.Alive()
	if !alive {
		l.conn.Close()
	}
	l.mu.Lock()
	l.looking = false
	l.used = l.cfg.Clock.Now()
	if !alive {
		l.barren = 0 // a connection that dies while it rests does not speak against the next
		l.lost(errRested)
	}
}

var errRested = errors.New("the connection was closed by the other side while it rested")

// send sends a batch. It is called with the mutex held, and holds it again when
// it returns.
func (l *Lane[C]) send(batch []*Call[C]) {
	l.inFlight++
	if len(l.queue) > 0 {
		l.wake() // there is more than one batch may carry
	}
	measure := l.limit > 1
	l.mu.Unlock()

	var start clock.Instant
	if measure {
		start = l.cfg.Clock.Now()
	}
	err := l.conn.Send(batch, measure)
	var took time.Duration
	if measure {
		took = l.cfg.Clock.Now().Sub(start)
	}

	l.mu.Lock()
	first := err != nil && l.lost(err)
	if err == nil {
		l.barren = 0
		if measure && took < l.fastest {
			l.setRoundTrip(took)
		}
	}
	var due clock.Instant
	if err == nil {
		due = l.used.Add(later) // the node answers, and refuses: asking at once will not help
	}
	refused := false
	for _, c := range batch {
		if c.slot != nil {
			c.slot.inFlight--
		}
		if err != nil && c.Vote == Unknown && c.Err == nil {
			c.Err = err
		}
		if c.kind == Undo && c.Vote == Unknown {
			refused = refused || err == nil
			l.oweFrom(c, due)
		}
	}
	l.mu.Unlock()
	if refused {
		l.cfg.Clock.AfterFunc(later, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.wake()
		})
	}
	for _, c := range batch {
		c.settle(c.Vote, c.Err)
		if c.round != nil && c.round.answered != nil {
			c.round.answered(c.node)
		}
	}
	if first {
		// After the votes, since it may take a while, and before this batch counts
		// as answered, since nobody connects anew until then. Whatever else is in
		// flight comes back now.
		l.conn.Close()
		l.tell()
	}
	l.mu.Lock()
	l.inFlight--
	if l.closing {
		l.quiet.Broadcast()
	}
}

// setRoundTrip makes the number of batches in flight follow the round trip: the
// shortest one seen on this connection, since a longer one tells of load, and
// more batches in flight would only add to that.
func (l *Lane[C]) setRoundTrip(d time.Duration) {
	l.fastest = d
	l.limit = min(max(1, int((d+roundTripPerBatch-1)/roundTripPerBatch)), maxInFlight)
}

// lost takes the lane out of service after its connection has failed, and reports
// whether it was in service until then: another batch of the same connection may
// have failed before.
func (l *Lane[C]) lost(err error) bool {
	if l.state != up {
		return false
	}
	l.reason = err
	l.barren++
	if l.barren > 1 || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		// A node that did not answer in time will not do so for the calls that
		// wait behind, nor one that takes connections only to break them.
		l.fallDown()
		return true
	}
	// A broken connection is often made again at once (the server restarted,
	// a proxy closed it), so the calls behind it wait for one attempt.
	l.state = connecting
	l.work.Broadcast()
	return true
}

// fallDown makes every vote of this node unknown at once until it is back.
func (l *Lane[C]) fallDown() {
	l.state = down
	queue := l.queue
	l.queue = nil
	l.dead, l.debts = 0, 0
	for _, c := range queue {
		if c.kind == Undo {
			l.owe(c)
		} else if c.slot != nil {
			c.slot.queued--
		}
		c.settle(Unknown, l.reason)
	}
	l.work.Broadcast()
	l.quiet.Broadcast()
}

// connect makes the connection, trying until it succeeds or the lane is closed.
// It is called with the mutex held, and holds it again when it returns.
func (l *Lane[C]) connect() {
	l.dialing = true
	if l.barren > 1 {
		l.pause() // the last connections broke before they were of any use
	} else {
		l.pauses.Reset()
	}
	for l.state != closed {
		l.attempts++
		this := l.attempts
		// The connection may take longer than an answer; calls that wait for it may not.
		impatient := l.cfg.Clock.AfterFunc(l.cfg.Timeout, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.state == connecting && l.attempts == this {
				l.failed(errNotYet)
			}
		})
		l.mu.Unlock()
		roundTrip, err := l.attempt()
		impatient.Stop()
		l.mu.Lock()
		if l.state == closed {
			break
		}
		if err == nil {
			l.state, l.reason = up, nil
			l.used = l.cfg.Clock.Now()
			l.setRoundTrip(roundTrip)
			// What is owed goes first, or a new claim would meet the ghost of an old one.
			slices.SortStableFunc(l.queue, func(a, b *Call[C]) int { return byDebt(b) - byDebt(a) })
		} else {
			l.failed(err)
		}
		l.mu.Unlock()
		l.tell()
		l.triedOnce.Do(func() { close(l.tried) })
		l.mu.Lock()
		if err == nil || l.state == closed {
			break
		}
		if l.closing {
			break // nothing is worth waiting for; Close takes over
		}
		l.pause()
	}
	l.dialing = false
	l.work.Broadcast()
}

func byDebt[C any](c *Call[C]) int {
	if c.debt {
		return 1
	}
	return 0
}

// failed notes that an attempt to connect has failed.
func (l *Lane[C]) failed(err error) {
	lostFor := l.reason
	l.reason = err
	if l.state == down {
		return
	}
	if lostFor != nil {
		l.reason = fmt.Errorf("%w (after: %v)", err, lostFor) //nolint:errorlint // the cause of the loss is told, not matched
	}
	l.fallDown()
}

// pause waits before the next attempt to connect. It is called with the mutex
// held, and holds it again when it returns.
func (l *Lane[C]) pause() {
	d := l.pauses.NextBackOff()
	l.mu.Unlock()
	_ = clock.Sleep(l.ctx, l.cfg.Clock, d)
	l.mu.Lock()
}

var errNotYet = fmt.Errorf("no connection yet: %w", os.ErrDeadlineExceeded)

func (l *Lane[C]) attempt() (time.Duration, error) {
	ctx, cancel := context.WithTimeout(l.ctx, connectRoundTrips*l.cfg.Timeout)
	defer cancel()
	return l.conn.Connect(ctx)
}

// tell passes on whether the node can be reached, when that has changed.
func (l *Lane[C]) tell() {
	l.mu.Lock()
	state, err := l.state, l.reason
	news := (state == up || state == down) && state != l.told
	if news {
		l.told = state
	}
	l.mu.Unlock()
	if news && l.cfg.Changed != nil {
		l.cfg.Changed(err)
	}
}
