package redlock

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redlock-go/redlock/quorum"
)

// Each says what the caller can do next. Match with errors.Is; the error itself
// is usually a [*QuorumError].
var (
	// ErrHeld says that another owner has the lock: try later. (HTTP 409, exit
	// status 75.)
	ErrHeld = errors.New("held by another owner")
	// ErrNoQuorum says that too few nodes answered to know who has the lock:
	// look after the nodes, try later. (HTTP 503, exit status 69.)
	ErrNoQuorum = errors.New("too few nodes answered")
	// ErrLost says that the lock was ours and is no longer, while it was being
	// relied on: stop what it protects, and release it all the same, for what
	// nodes may still carry. (HTTP 500, exit status 76.)
	ErrLost = errors.New("lock lost")
	// ErrNotHeld says that the lock was released, or had run out, before the
	// call.
	ErrNotHeld = errors.New("lock not held")
	// ErrClosed says that the client was closed.
	ErrClosed = errors.New("client closed")
)

// ArgumentError says that an argument breaks a rule. Nothing was sent.
type ArgumentError struct {
	Name  string // what it is: "key", "ttl", "address", ...
	Value string // as it was given, without credentials
	Rule  string // what it has to be
}

// Error names the argument, its value and the rule.
func (e *ArgumentError) Error() string {
	return fmt.Sprintf("redlock: %s %s: %s", e.Name, e.Value, e.Rule)
}

func invalid(name, value, rule string) error {
	return &ArgumentError{Name: name, Value: value, Rule: rule}
}

// NodeVote is what one node said in a round.
type NodeVote struct {
	Node string // host:port or socket path
	Vote quorum.Vote
	Err  error // why the vote is unknown
}

// QuorumError says how a round over the nodes ended that was not won. It matches
// one of the sentinels, and ctx's error too when the wait was cut short.
type QuorumError struct {
	Op       string        // acquire, extend, release, attach, inspect
	Key      string        // as the caller gave it
	Elapsed  time.Duration // of the last round
	Attempts int           // of an acquisition: the rounds tried so far
	Tally    quorum.Tally
	Votes    []NodeVote // one a node, in the order of the nodes
	Late     bool       // a quorum said yes, but too late for any validity to be left

	kind  error // the sentinel
	cause error // of ctx, nil when it did not end
}

// Unwrap returns the sentinel, and ctx's error when that cut the wait short.
func (e *QuorumError) Unwrap() []error {
	if e.cause != nil {
		return []error{e.kind, e.cause}
	}
	return []error{e.kind}
}

// Error gives the numbers, and the words of every node that had trouble.
func (e *QuorumError) Error() string {
	var b strings.Builder
	what := e.kind.Error()
	if e.Late {
		what = "granted too late to be of use"
	}
	fmt.Fprintf(&b, "%s %q: %s (%v) in %v", e.Op, e.Key, what, e.Tally, roundForPeople(e.Elapsed))
	if e.Attempts > 1 {
		fmt.Fprintf(&b, ", the last of %d attempts", e.Attempts)
	}
	if e.cause != nil {
		fmt.Fprintf(&b, ", cut short: %v", e.cause)
	}
	sep := ": "
	for _, v := range e.Votes {
		if v.Err != nil {
			fmt.Fprintf(&b, "%snode %s: %v", sep, v.Node, v.Err)
			sep = "; "
		}
	}
	return b.String()
}

// roundForPeople keeps three digits or so of a duration.
func roundForPeople(d time.Duration) time.Duration {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond)
	default:
		return d.Round(time.Microsecond)
	}
}

// errNoAnswer is shown for a node whose vote was still out when it was no longer
// waited for.
var errNoAnswer = errors.New("no answer yet")

// quorumError describes a round that was not won.
func (c *Client) quorumError(op, key string, r *quorum.Round[*command], elapsed time.Duration, kind, cause error) *QuorumError {
	e := &QuorumError{Op: op, Key: key, Elapsed: elapsed, kind: kind, cause: cause, Votes: make([]NodeVote, len(c.nodes))}
	for i, n := range c.nodes {
		v, err, in := r.Answer(i)
		if !in {
			err = errNoAnswer
		}
		e.Votes[i] = NodeVote{Node: n.name, Vote: v, Err: err}
	}
	e.Tally = r.Tally()
	return e
}
