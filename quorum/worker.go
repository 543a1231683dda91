package quorum

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
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
func (l *Lane[C]) sending() bool { return l.state == up && l.inFlight < l.limit && len(l.queue) > 0 }

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
			l.gather()
			if !l.sending() {
				continue
			}
			now := l.cfg.Clock.Now()
			if now.Sub(l.used) > rest && l.inFlight == 0 && !l.alive() {
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

// alive looks after a connection that has rested. If it is dead, the calls in the
// queue wait for another one, none the worse: nothing of them was sent. It is
// called with the mutex held, and holds it again when it returns.
func (l *Lane[C]) alive() bool {
	l.inFlight++ // nobody else uses or replaces the connection meanwhile
	l.mu.Unlock()
	ok := l.conn.Alive()
	if !ok {
		l.conn.Close()
	}
	l.mu.Lock()
	l.inFlight--
	if !ok && l.state == up {
		l.state, l.reason = connecting, errRested
	}
	return ok
}

var errRested = errors.New("the connection was closed by the other side while it rested")

// send sends a batch. It is called with the mutex held, and holds it again when
// it returns.
func (l *Lane[C]) send(batch []*Call[C]) {
	l.inFlight++
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
	if err != nil && l.lost(err) {
		// Without the mutex, since it may take a while, but before this batch
		// counts as answered, since nobody connects anew until then.
		l.mu.Unlock()
		l.conn.Close() // whatever else is in flight comes back now
		l.mu.Lock()
	}
	l.inFlight--
	if err == nil && measure && took < l.fastest {
		l.setRoundTrip(took)
	}
	for _, c := range batch {
		if c.slot != nil {
			c.slot.inFlight--
		}
		if err != nil && c.Vote == Unknown && c.Err == nil {
			c.Err = err
		}
		if err != nil && c.kind == Undo && c.Vote == Unknown {
			l.owe(c)
		}
	}
	l.mu.Unlock()
	for _, c := range batch {
		c.settle(c.Vote, c.Err)
		if c.round != nil && c.round.answered != nil {
			c.round.answered(c.node)
		}
	}
	l.mu.Lock()
}

// setRoundTrip makes the number of batches in flight follow the round trip: the
// shortest one seen on this connection, since a longer one tells of load, and
// more batches in flight would only add to that.
func (l *Lane[C]) setRoundTrip(d time.Duration) {
	l.fastest = d
	l.limit = min(max(1, int((d+roundTripPerBatch-1)/roundTripPerBatch)), maxInFlight)
}

// lost takes the lane out of service after a batch has failed, and reports
// whether it was in service until then: another batch of the same connection may
// have failed before.
func (l *Lane[C]) lost(err error) bool {
	if l.state != up {
		return false
	}
	l.reason = err
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		// A node that did not answer in time will not do so for the calls that
		// wait behind.
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
		switch {
		case c.kind != Undo:
			if c.slot != nil {
				c.slot.queued--
			}
			c.settle(Unknown, l.reason)
		default:
			l.owe(c)
			c.settle(Unknown, l.reason)
		}
	}
	l.work.Broadcast()
	l.quiet.Broadcast()
}

// connect makes the connection, trying until it succeeds or the lane is closed.
// It is called with the mutex held, and holds it again when it returns.
func (l *Lane[C]) connect() {
	l.dialing = true
	wait := l.cfg.Reconnect()
	wait.Reset()
	for first := true; l.state != closed; first = false {
		lostFor := l.reason
		l.mu.Unlock()
		roundTrip, err := l.attempt()
		if err != nil && first && l.cfg.Changed != nil && l.ctx.Err() == nil {
			l.cfg.Changed(err)
		}
		if err == nil && l.cfg.Changed != nil {
			l.cfg.Changed(nil)
		}
		l.mu.Lock()
		select {
		case <-l.tried:
		default:
			close(l.tried)
		}
		if l.state == closed {
			break
		}
		if err == nil {
			l.state, l.reason = up, nil
			l.setRoundTrip(roundTrip)
			break
		}
		l.reason = err
		if lostFor != nil && l.state == connecting {
			l.reason = fmt.Errorf("%w (after: %v)", err, lostFor) //nolint:errorlint // the cause of the loss is told, not matched
		}
		if l.state != down {
			l.fallDown()
		}
		if l.closing {
			break // nothing is worth waiting for; Close takes over
		}
		l.mu.Unlock()
		_ = clock.Sleep(l.ctx, l.cfg.Clock, wait.NextBackOff())
		l.mu.Lock()
	}
	l.dialing = false
	l.work.Broadcast()
}

func (l *Lane[C]) attempt() (time.Duration, error) {
	ctx, cancel := context.WithTimeout(l.ctx, connectRoundTrips*l.cfg.Timeout)
	defer cancel()
	return l.conn.Connect(ctx)
}
