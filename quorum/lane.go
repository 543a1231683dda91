package quorum

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/redlock-go/redlock/clock"
)

// Conn is the connection of a lane to its node. The lane calls Connect when no
// call is in flight, and Send only between a Connect that succeeded and the
// first Send that failed.
type Conn[C any] interface {
	// Connect makes a connection and returns the round trip that it saw on it,
	// or says why there is none. It returns when ctx ends.
	Connect(ctx context.Context) (roundTrip time.Duration, err error)
	// Alive looks, without waiting and without sending anything, whether the
	// other side has closed the connection. It is asked before a connection is
	// used that has rested. True is not a promise.
	Alive() bool
	// Send sends the batch in its order and fills in every call's Vote and Err.
	// It returns within the lane's timeout, with an error when the connection
	// is of no more use; calls it has filled in by then still count. With
	// overlap, other batches may be in flight at the same time.
	Send(batch []*Call[C], overlap bool) error
	// Close ends the connection, if there is one, and makes a Send that is under
	// way return. A Send after it fails at once.
	Close()
}

// Config bounds a lane. Every field must be set.
type Config struct {
	Clock clock.Clock
	// Timeout is how long a node may take to answer, and how old a call may grow
	// in the queue before it is no longer sent. Four times as long it may take
	// to be connected to.
	Timeout time.Duration
	// Queue is how many calls may wait. Beyond it a call's vote is unknown at
	// once.
	Queue int
	// Reconnect makes the policy of the waits between attempts to connect to a
	// node that cannot be reached. It must not give up.
	Reconnect func() backoff.BackOff
	// Changed is told, from a goroutine of the lane, when the node has become
	// reachable (nil) and when it no longer is (why).
	Changed func(err error)
}

// The reasons why a lane does not send a call. They say that the node has not
// seen it.
var (
	ErrClosed    = errors.New("the client is closed")
	ErrQueueFull = errors.New("too many calls are waiting for this node")
	ErrTooOld    = errors.New("waited too long for this node to be sent")
	ErrWithdrawn = errors.New("withdrawn before it was sent")
)

const (
	// maxBatch bounds what goes out in one write, and so how long the calls
	// behind it wait.
	maxBatch = 1024
	// rest is how long a connection may go unused before it is looked at: a
	// server that was restarted meanwhile must not cost the next round a vote.
	rest = time.Millisecond
	// later is when an undo is sent again that the node has refused.
	later = time.Second
	// maxInFlight bounds the batches in flight. More than eight gain nothing
	// at any round trip measured.
	maxInFlight = 8
	// connectRoundTrips is how many times the timeout of one answer a connection
	// may take to be made: transport, encryption and greeting take a round trip
	// or more each.
	connectRoundTrips = 4
	// roundTripPerBatch is the round trip that one more batch in flight is
	// worth. Below it, a second batch only splits the first: the sender and the
	// node are busy, not waiting (docs/adr/0003).
	roundTripPerBatch = 300 * time.Microsecond
)

type laneState uint8

const (
	connecting laneState = iota // calls wait in the queue for the outcome
	up
	down   // the last attempt failed: votes are unknown at once
	closed // nothing is sent any more
)

// Lane carries the calls to one node, in order, over one connection. Submit
// never waits: what a sick node holds up is its own lane and nothing else.
type Lane[C any] struct {
	conn Conn[C]
	cfg  Config

	ctx       context.Context // ends when the lane is closed
	cancel    context.CancelFunc
	tried     chan struct{} // closed after the first attempt to connect
	triedOnce sync.Once
	done      sync.WaitGroup

	mu       sync.Mutex // guards everything below, and every Slot; never held across I/O
	work     sync.Cond  // of mu: a worker may have something to do
	quiet    sync.Cond  // of mu: Close may have nothing left to wait for
	state    laneState
	reason   error // why the lane is not up
	queue    []*Call[C]
	dead     int           // calls in queue whose slot was returned; they are passed over
	debts    int           // undos in queue that nobody waits for any more
	settled  clock.Instant // until then no debt becomes needless, as of the last look
	closing  bool
	dialing  bool // a worker is connecting
	looking  bool // a worker looks whether the connection is alive
	workers  int  // goroutines of this lane
	idle     int  // of them, waiting for work
	inFlight int  // batches sent and not answered
	limit    int  // batches that may be in flight
	fastest  time.Duration
	used     clock.Instant // when the last batch was sent
	barren   int           // connections in a row that broke before they had carried a batch
	attempts int           // to connect
	pauses   backoff.BackOff
	told     laneState // what Changed was told last: up, down, or connecting for nothing yet
}

// NewLane opens a lane, which begins to connect at once. It must be closed.
func NewLane[C any](conn Conn[C], cfg Config) *Lane[C] {
	l := &Lane[C]{conn: conn, cfg: cfg, tried: make(chan struct{}), limit: 1, pauses: cfg.Reconnect()}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.work.L, l.quiet.L = &l.mu, &l.mu
	l.mu.Lock()
	l.spawn()
	l.mu.Unlock()
	return l
}

// Tried is closed once the lane has tried to connect for the first time.
func (l *Lane[C]) Tried() <-chan struct{} { return l.tried }

// Err returns why the node cannot be reached, nil when it can or when that is
// not known yet.
func (l *Lane[C]) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reason
}

// Retire lets nothing but undos into the lane any more, ahead of its Close, so that
// those whose claims are lost by that can still clean up.
func (l *Lane[C]) Retire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closing = true
	l.dismiss(func(c *Call[C]) bool { return c.kind != Undo })
	l.work.Broadcast() // what is owed and was not due goes out now
}

// Close sends the undos that are waiting, if the node can be reached, and ends
// the lane. Calls that are still waiting when ctx ends get an unknown vote. No
// goroutine of the lane survives it.
func (l *Lane[C]) Close(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.quiet.Broadcast()
	})
	defer stop()

	l.Retire()
	l.mu.Lock()
	for l.busy() && ctx.Err() == nil {
		l.quiet.Wait()
	}
	l.state = closed
	l.reason = ErrClosed
	l.dismiss(func(*Call[C]) bool { return true })
	l.work.Broadcast()
	l.quiet.Broadcast() // to another Close, with more patience
	l.mu.Unlock()

	l.cancel()
	l.conn.Close() // a Send that is under way returns
	l.done.Wait()
	l.conn.Close() // a connection that was being made meanwhile
	l.triedOnce.Do(func() { close(l.tried) })
}

// busy reports that there is something to be sent to a node that answers, or
// something on its way to it.
func (l *Lane[C]) busy() bool {
	switch l.state {
	case up, connecting:
		return l.inFlight > 0 || len(l.queue) > 0
	default:
		return false
	}
}
