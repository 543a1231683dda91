package quorum

import (
	"context"
	"sync"

	"github.com/redlock-go/redlock/clock"
)

// Kind says what a call does to its node, which is all that a lane knows of it.
type Kind uint8

const (
	// Ask reads, or changes only what is there: sent twice or never, it leaves
	// nothing behind.
	Ask Kind = iota
	// Claim may leave something on the node. It is withdrawn from the queue
	// when its slot is given back before it was sent.
	Claim
	// Undo takes away what the claims of its slot may have left. It is sent
	// after all of them, not at all where none was sent, and again after a
	// failure, until the keep of [Round.Set].
	Undo
)

// Slot is what one lock has on one node, as its lane knows it. The zero value is
// a lock that has not claimed anything yet. A slot belongs to one lane.
type Slot struct {
	// All of it is guarded by the mutex of the lane.
	queued   int  // calls waiting in the lane
	inFlight int  // calls sent and not answered
	claimed  bool // a claim has been sent, so the node may carry it
	returned bool // an undo was submitted; nothing may claim any more
}

// Assume notes that the node may carry a claim that was made elsewhere, so that
// an undo is sent although this process has not claimed anything. It must be
// called before the slot is used.
func (s *Slot) Assume() { s.claimed = true }

// Call is one command on its way to one node.
type Call[C any] struct {
	Command C
	// Vote and Err are the answer, for the Conn to fill in. Err says why a vote
	// is unknown.
	Vote Vote
	Err  error

	kind  Kind
	node  int
	slot  *Slot         // nil: in no order with anything
	round *Round[C]     // nil: nobody counts the vote
	since clock.Instant // when it was submitted
	keep  clock.Instant // when it has become needless
	debt  bool          // of an undo: nobody waits for it any more, but it is still owed
	due   clock.Instant // of a debt: not to be sent before
	in    bool          // the vote has been counted; guarded by round.mu
}

// settle hands the answer to whoever counts it.
func (c *Call[C]) settle(v Vote, err error) {
	if c.round != nil {
		c.round.settle(c, v, err)
	}
}

// Round is one command to every node and the votes that come back. Those who
// wait for it at the same time must wait for the same condition.
type Round[C any] struct {
	calls    []Call[C]
	answered func(node int)
	news     chan struct{} // capacity 1: tells the waiter that awaited holds

	mu      sync.Mutex // guards tally, awaited, and the answers in calls
	tally   Tally
	awaited func(Tally) bool
}

// NewRound prepares a round over nodes nodes that quorum of them win. What each
// is sent is set with [Round.Set] before the round is submitted.
func NewRound[C any](nodes, quorum int) *Round[C] {
	return &Round[C]{
		calls: make([]Call[C], nodes),
		news:  make(chan struct{}, 1),
		tally: Tally{Nodes: nodes, Quorum: quorum},
	}
}

// Set prepares the call to one node. A claim is not sent after keep, when what it
// claims is no longer worth anything; an undo need not be delivered after it,
// because the node has forgotten on its own. It is of no matter to an ask.
func (r *Round[C]) Set(node int, kind Kind, command C, slot *Slot, keep clock.Instant) {
	r.calls[node] = Call[C]{Command: command, kind: kind, node: node, slot: slot, round: r, keep: keep}
}

// OnAnswer has f called for each node that was sent its call, when its vote has
// been counted, also after the round was decided. f runs in the lane's goroutine,
// so it must be quick. It must be set before the round is submitted.
func (r *Round[C]) OnAnswer(f func(node int)) { r.answered = f }

// Command returns what was set for a node, with what its Conn has written into
// it. It may be read once the node's vote is in.
func (r *Round[C]) Command(node int) C { return r.calls[node].Command }

func (r *Round[C]) settle(c *Call[C], v Vote, err error) {
	r.mu.Lock()
	c.Vote, c.Err, c.in = v, err, true
	r.tally.Count(v)
	tell := r.awaited != nil && r.awaited(r.tally)
	if tell {
		r.awaited = nil
	}
	r.mu.Unlock()
	if tell {
		r.tell()
	}
}

// tell wakes one who waits.
func (r *Round[C]) tell() {
	select {
	case r.news <- struct{}{}:
	default: // an earlier waiter left without its news; the next one looks for itself
	}
}

// Wait returns when condition holds for the votes that are in, such as
// Tally.Decided, or when ctx ends, with ctx's cause. The round goes on either way.
func (r *Round[C]) Wait(ctx context.Context, condition func(Tally) bool) error {
	for {
		r.mu.Lock()
		if condition(r.tally) {
			r.awaited = nil
			r.mu.Unlock()
			r.tell() // another who waits: awaited has told only one
			return nil
		}
		r.awaited = condition
		r.mu.Unlock()
		select {
		case <-r.news:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Tally returns the votes that are in.
func (r *Round[C]) Tally() Tally {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tally
}

// Answer returns what a node has said so far, and whether it has said anything.
func (r *Round[C]) Answer(node int) (v Vote, err error, in bool) { //nolint:revive // the error is the node's, not this call's
	r.mu.Lock()
	defer r.mu.Unlock()
	c := &r.calls[node]
	if !c.in {
		return Unknown, nil, false // what stands there may be half written
	}
	return c.Vote, c.Err, true
}
