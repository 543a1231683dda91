package quorum_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/clock"
	"github.com/redlock-go/redlock/quorum"
)

type (
	lane  = quorum.Lane[string]
	round = quorum.Round[string]
	call  = quorum.Call[string]
)

const (
	timeout = 100 * time.Millisecond // of the lanes and nodes in the tests
	pause   = 50 * time.Millisecond  // between attempts to connect
	room    = 16                     // in the lanes' queues
	forever = clock.Instant(1 << 62) // an undo that never becomes needless
)

var (
	errRefused = errors.New("connection refused")
	errHung    = fmt.Errorf("read: %w", os.ErrDeadlineExceeded)
)

// node is a simulated node and the connection to it. It checks what a lane
// promises its connection, and writes down what it is sent.
type node struct {
	t       testing.TB
	timeout time.Duration

	mu        sync.Mutex           // guards the rest; not held while the node takes its time
	roundTrip time.Duration        // what a new connection sees
	latency   func() time.Duration // what a batch takes
	hung      bool                 // neither connects nor answers
	refuses   error                // what an attempt to connect comes to
	breaks    []error              // what the next batches end with, nil for none
	vote      func(command string) quorum.Vote
	lost      func(batch []string) int // how many of a batch that failed were executed all the same

	gone      chan struct{} // closed when the connection is; nil: there is none
	attempts  []time.Time
	looks     int // how often somebody asked whether the connection lives
	inFlight  int
	most      int             // batches that were in flight together
	batches   [][]string      // as they were sent
	executed  []string        // as they were answered
	onTheWire map[string]int  // lock: batches in flight that are about it
	undone    map[string]bool // lock: an undo was sent
	latest    map[string]int  // lock: number of the last call sent
}

func newNode(t testing.TB) *node {
	return &node{
		t: t, timeout: timeout,
		latency:   func() time.Duration { return time.Millisecond },
		vote:      func(string) quorum.Vote { return quorum.Yes },
		lost:      func([]string) int { return 0 },
		onTheWire: map[string]int{}, undone: map[string]bool{}, latest: map[string]int{},
	}
}

// set changes the node's mind.
func (n *node) set(f func(n *node)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f(n)
}

// sent returns the batches that the node was sent.
func (n *node) sent() [][]string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.batches)
}

// did returns the commands that the node has executed.
func (n *node) did() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.executed)
}

// count returns how often the node has executed command.
func (n *node) count(command string) int {
	times := 0
	for _, c := range n.did() {
		if c == command {
			times++
		}
	}
	return times
}

func (n *node) tries() []time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.attempts)
}

func (n *node) together() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.most
}

func (n *node) connected() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.gone != nil && !isClosed(n.gone)
}

func (n *node) Connect(ctx context.Context) (time.Duration, error) {
	n.mu.Lock()
	n.attempts = append(n.attempts, time.Now())
	if n.inFlight > 0 {
		n.t.Errorf("connecting with %d batches in flight", n.inFlight)
	}
	if n.gone != nil && !isClosed(n.gone) {
		n.t.Error("connecting while there is a connection")
	}
	hung, err := n.hung, n.refuses
	n.mu.Unlock()
	if hung {
		<-ctx.Done()
		return 0, fmt.Errorf("connect: %w", ctx.Err())
	}
	if err != nil {
		return 0, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gone = make(chan struct{})
	return n.roundTrip, nil
}

func (n *node) Alive() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.looks++
	return n.gone != nil && !isClosed(n.gone)
}

func (n *node) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.gone != nil && !isClosed(n.gone) {
		close(n.gone)
	}
}

func (n *node) Send(batch []*call, overlap bool) error {
	commands := make([]string, len(batch))
	for i, c := range batch {
		commands[i] = c.Command
	}
	gone, took, fails := n.arrive(commands, overlap)
	if !lasts(took, gone) {
		fails = net.ErrClosed
	}
	executed := n.leave(commands, fails)
	for i, c := range batch {
		if i < executed && fails == nil {
			c.Vote = n.vote(c.Command)
		}
	}
	return fails
}

func (n *node) arrive(commands []string, overlap bool) (gone chan struct{}, took time.Duration, fails error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.gone == nil {
		n.t.Error("sent before there was a connection")
	}
	n.inFlight++
	n.most = max(n.most, n.inFlight)
	if len(commands) == 0 {
		n.t.Error("sent an empty batch")
	}
	if !overlap && n.inFlight > 1 {
		n.t.Errorf("%d batches in flight, and the last was said to be alone", n.inFlight)
	}
	n.batches = append(n.batches, commands)
	n.checkOrder(commands)
	took = n.latency()
	if len(n.breaks) > 0 {
		fails, n.breaks = n.breaks[0], n.breaks[1:]
	}
	if n.hung || errors.Is(fails, os.ErrDeadlineExceeded) {
		took, fails = n.timeout, errHung
	}
	return n.gone, took, fails
}

// checkOrder checks, where commands have the form "VERB LOCK #NUMBER", what the
// calls of one lock may do: not travel in two batches at once, not overtake one
// another, and not claim what was undone.
func (n *node) checkOrder(commands []string) {
	here := map[string]bool{}
	for _, command := range commands {
		var verb, lock string
		var number int
		if _, err := fmt.Sscanf(command, "%s %s #%d", &verb, &lock, &number); err != nil {
			continue
		}
		if n.onTheWire[lock] > 0 && !here[lock] {
			n.t.Errorf("%q was sent while another batch with %s was in flight", command, lock)
		}
		if n.undone[lock] && verb != "undo" {
			n.t.Errorf("%q was sent after the undo", command)
		}
		if number < n.latest[lock] && verb != "undo" {
			n.t.Errorf("%q was sent after #%d", command, n.latest[lock])
		}
		n.latest[lock] = max(n.latest[lock], number)
		n.undone[lock] = n.undone[lock] || verb == "undo"
		if !here[lock] {
			here[lock] = true
			n.onTheWire[lock]++
		}
	}
}

// leave executes the batch, as far as it is executed, and ends its journey.
func (n *node) leave(commands []string, fails error) (executed int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.inFlight--
	here := map[string]bool{}
	for _, command := range commands {
		if parts := strings.Fields(command); len(parts) == 3 && !here[parts[1]] {
			here[parts[1]] = true
			n.onTheWire[parts[1]]--
		}
	}
	executed = len(commands)
	if fails != nil {
		executed = n.lost(commands)
	}
	n.executed = append(n.executed, commands[:executed]...)
	return executed
}

// lasts waits for d and reports whether the connection was there until then.
func lasts(d time.Duration, gone <-chan struct{}) bool {
	if d <= 0 {
		return !isClosed(gone)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-gone:
		return false
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// virtually runs a test in virtual time.
func virtually(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

// now reads the clock of the lanes.
func now() clock.Instant { return clock.Monotonic().Now() }

func every(d time.Duration) func() backoff.BackOff {
	return func() backoff.BackOff { return backoff.NewConstantBackOff(d) }
}

func config() quorum.Config {
	return quorum.Config{Clock: clock.Monotonic(), Timeout: timeout, Queue: room, Reconnect: every(pause)}
}

// open opens a lane, waits for the first attempt to connect and closes it in the
// end.
func open(t *testing.T, n *node, with ...func(*quorum.Config)) *lane {
	t.Helper()
	cfg := config()
	for _, f := range with {
		f(&cfg)
	}
	l := quorum.NewLane(n, cfg)
	t.Cleanup(func() { l.Close(context.Background()) })
	<-l.Tried()
	synctest.Wait()
	require.NoError(t, l.Books())
	return l
}

// submit sends one command to one node, as a round of its own.
func submit(l *lane, kind quorum.Kind, command string, slot *quorum.Slot) *round {
	return submitUntil(l, kind, command, slot, forever)
}

func submitUntil(l *lane, kind quorum.Kind, command string, slot *quorum.Slot, keep clock.Instant) *round {
	r := quorum.NewRound[string](1, 1)
	r.Set(0, kind, command, slot, keep)
	quorum.Submit([]*lane{l}, r, now())
	return r
}

// claimed claims a lock and waits for the node to grant it.
func claimed(t *testing.T, l *lane, command string) *quorum.Slot {
	t.Helper()
	slot := new(quorum.Slot)
	v, err := outcome(t, submit(l, quorum.Claim, command, slot))
	require.NoError(t, err)
	require.Equal(t, quorum.Yes, v)
	return slot
}

// outcome waits for the vote of a round to one node.
func outcome(t *testing.T, r *round) (quorum.Vote, error) {
	t.Helper()
	require.NoError(t, r.Wait(t.Context(), quorum.Tally.Complete))
	v, err, in := r.Answer(0)
	require.True(t, in)
	return v, err
}

// atOnce returns the vote of a round to one node that is not waited for.
func atOnce(t *testing.T, r *round) (quorum.Vote, error) {
	t.Helper()
	v, err, in := r.Answer(0)
	require.True(t, in, "the vote is in at once")
	return v, err
}

// elapsed returns how long f took.
func elapsed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}
