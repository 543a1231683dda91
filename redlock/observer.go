package redlock

import (
	"time"

	"github.com/redlock-go/redlock/quorum"
)

// Observer is told what happens, for metrics and traces. Any field may be nil.
// The functions are called from the goroutines that do the work: they must be
// quick, must not block, and must not call the client.
type Observer struct {
	// Round is told of every round once it is decided.
	Round func(RoundEvent)
	// Lost is told of every lock that ran out, was taken, or was held when its
	// client was closed, at the latest when its validity ends, and never of one
	// that was released. Setting it costs every lock a timer and a context, which
	// otherwise only those have that are watched: that extend themselves, or whose
	// Context was asked for.
	Lost func(LostEvent)
	// Node is told when a node can no longer be reached, with the reason, and
	// with a nil error when it is back.
	Node func(NodeEvent)
}

// RoundEvent is one decided round.
type RoundEvent struct {
	Op      string // acquire, extend, release, attach, inspect
	Key     string // as the caller gave it
	Elapsed time.Duration
	Tally   quorum.Tally // of the votes that are in when this is told
	Err     error        // nil when it was won, else what the caller is told
}

// LostEvent is a lock that was lost.
type LostEvent struct {
	Key   string
	Cause error // matches ErrLost, and says how
}

// NodeEvent is a node that came or went.
type NodeEvent struct {
	Node string
	Err  error // nil: it can be reached
}
