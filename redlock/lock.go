package redlock

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/redlock-go/redlock/clock"
	"github.com/redlock-go/redlock/quorum"
)

// Lock is held on a quorum of nodes until it is released or its validity ends.
// All methods are safe for concurrent use.
type Lock struct {
	client *Client
	key    string // as the caller gave it
	wire   string // as the nodes know it
	token  string
	slots  []quorum.Slot   // what each lane knows of this lock; guarded by the lanes
	base   context.Context // values for Context

	mu     sync.Mutex // guards the rest; never held across I/O
	until  clock.Instant
	ttl    time.Duration // that until rests on
	solid  clock.Instant // until when the quorum carries the key that until rests on, at the least
	keyEnd clock.Instant // until when some node may carry the key
	state  lockState
	cause  error                   // why the lock is no longer held
	undone *quorum.Round[*command] // of the release, once there is one
	ctx    context.Context         // nil until somebody watches
	cancel context.CancelCauseFunc
	timer  clock.Timer
	leave  func() bool // unregisters from the client's end

	extending chan struct{} // capacity 1, filled by who extends; nil until somebody does
}

type lockState uint8

const (
	stateHeld lockState = iota
	stateLost
	stateReleased
)

// newLock makes the lock of a round that began at start.
func (c *Client) newLock(a *acquisition, token string, slots []quorum.Slot, start, until clock.Instant) *Lock {
	l := &Lock{
		client: c, key: a.key, wire: a.wire, token: token, slots: slots, base: a.base,
		until: until, ttl: a.ttl, keyEnd: start.Add(a.ttl), solid: start.Add(a.ttl),
	}
	if a.autoExtend || c.observer.Lost != nil {
		l.Context() // somebody wants to know when it ends
	}
	if a.autoExtend {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.ctx.Err() == nil { // else the lock's context has ended with the client
			c.auto.Go(l.extendAlways)
		}
	}
	return l
}

// Key returns the key that was locked, as the caller gave it.
func (l *Lock) Key() string { return l.key }

// Token returns the random value that marks the owner on the nodes. It orders
// nothing, and whoever has it can release the lock.
func (l *Lock) Token() string { return l.token }

// String shows the key only, so that a lock can be printed without its token.
func (l *Lock) String() string { return "lock " + strconv.Quote(l.key) }

// GoString keeps the token out of %#v.
func (l *Lock) GoString() string { return "redlock.Lock{" + strconv.Quote(l.key) + "}" }

// LogValue keeps the token out of logs.
func (l *Lock) LogValue() slog.Value { return slog.StringValue(l.key) }

// Validity returns how long the lock may still be relied on. At zero or below
// the holder must stop: another may have the lock.
func (l *Lock) Validity() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := l.until.Sub(l.client.clock.Now())
	if l.state != stateHeld {
		return min(left, 0)
	}
	return left
}

// Until returns when validity ends, for people to read. What a wall clock shows
// may be changed at any time: decide by [Lock.Validity] or [Lock.Context].
func (l *Lock) Until() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.client.clock.Time(l.until)
}

// Context ends when the lock does: with a cause that matches [ErrLost] when it was
// lost, at the latest when its validity ends, and [ErrNotHeld] when it was
// released. It carries the values, but not the end, of the context that the lock
// was acquired with.
func (l *Lock) Context() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx == nil {
		l.watch()
	}
	return l.ctx
}

// Release gives the lock back on every node, and returns nil once a quorum of
// them no longer carries it, so that another can have it; the other nodes follow
// on their own, those that are away when they are back or when the key expires.
//
// A second call does nothing more than wait for the first. Releasing a lock that
// has run out is no error, since [Lock.Context] has told; it is still worth the
// call, since an extension that came too late may have left keys for its whole ttl. ctx bounds the wait, not the release, which works with
// a ctx that has ended too; the lanes bound it to the node timeout, or a few of
// them while a connection is being made.
//
// It returns a [*QuorumError] that matches [ErrNoQuorum] when too few nodes
// answered, and [ErrClosed] after the client was closed: what the nodes carry
// expires by itself. docs/adr/0005 says what a release
// promises.
func (l *Lock) Release(ctx context.Context) error {
	c := l.client
	start := c.clock.Now()
	l.lose(start, errNotReleasedInTime)
	l.mu.Lock()
	if l.undone == nil && c.ctx.Err() != nil {
		l.mu.Unlock()
		return ErrClosed
	}
	if l.state == stateHeld {
		l.end(stateReleased, ErrNotHeld)
	}
	ranOut := l.state == stateLost
	if l.undone == nil {
		l.undone = c.round(quorum.Undo, &command{op: release, key: l.wire, token: l.token}, l.slots, c.forgotten(max(l.keyEnd, start)))
		quorum.Submit(c.lanes, l.undone, start)
	}
	r := l.undone
	l.mu.Unlock()
	if ranOut {
		return nil
	}

	if ctx.Err() != nil {
		ctx = context.WithoutCancel(ctx) // the caller may be gone; the answer is still worth the bound
	}
	ended := wait(ctx, r, quorum.Tally.Decided)
	elapsed := c.clock.Now().Sub(start)
	if r.Tally().Outcome() == quorum.Won {
		c.told("release", l.key, elapsed, r, nil)
		return nil
	}
	failed := c.quorumError("release", l.key, r, elapsed, ErrNoQuorum, ended)
	c.told("release", l.key, elapsed, r, failed)
	return failed
}

// carry notes that some node may carry the key until keyEnd.
func (l *Lock) carry(keyEnd clock.Instant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keyEnd = max(l.keyEnd, keyEnd)
}

// err says how the lock stands: nil while it may be relied on, else why it may
// not.
func (l *Lock) err() error {
	l.lose(l.client.clock.Now(), errRanOut)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cause
}
