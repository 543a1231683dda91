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
	// Lost is told of every lock that ran out or was taken, at the latest when
	// its validity ends, and never of one that was released.
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
	Tally   quorum.Tally // when it was decided; late votes are not in it
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
