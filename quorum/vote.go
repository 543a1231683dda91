package quorum

import "fmt"

// Vote is what one node said. There are three: a node that did not answer has
// not refused.
type Vote uint8

// Unknown is the zero value: a timeout, a refused connection, an error reply, a
// command that was never sent. The command may have been executed all the same.
const (
	Unknown Vote = iota
	Yes
	No
)

// String returns "unknown", "yes" or "no".
func (v Vote) String() string {
	switch v {
	case Yes:
		return "yes"
	case No:
		return "no"
	default:
		return "unknown"
	}
}

// Outcome is what a tally amounts to.
type Outcome uint8

// A round is pending while the votes that are still out can win it, won at a
// quorum of yes, and lost as soon as that quorum cannot be reached any more.
const (
	Pending Outcome = iota
	Won
	Lost
)

// String returns "pending", "won" or "lost".
func (o Outcome) String() string {
	switch o {
	case Won:
		return "won"
	case Lost:
		return "lost"
	default:
		return "pending"
	}
}

// Majority returns the smallest quorum of n nodes of which any two share a node.
func Majority(n int) int { return n/2 + 1 }

// Check reports a quorum that n nodes cannot form, or of which two could form
// side by side.
func Check(n, quorum int) error {
	switch {
	case n < 1:
		return fmt.Errorf("%d nodes: at least one is needed", n)
	case quorum < Majority(n):
		return fmt.Errorf("quorum %d of %d nodes: must be a majority, at least %d, or two holders could have one each", quorum, n, Majority(n))
	case quorum > n:
		return fmt.Errorf("quorum %d of %d nodes: there are not that many nodes", quorum, n)
	}
	return nil
}

// Tally counts the votes of one round. Its zero value is of no use: set Nodes
// and Quorum.
type Tally struct {
	Nodes, Quorum    int
	Yes, No, Unknown int // votes that are in
}

// Count adds a vote.
func (t *Tally) Count(v Vote) {
	switch v {
	case Yes:
		t.Yes++
	case No:
		t.No++
	default:
		t.Unknown++
	}
}

// Pending returns how many votes are still out.
func (t Tally) Pending() int { return t.Nodes - t.Yes - t.No - t.Unknown }

// Outcome says what the votes amount to so far. Won and lost are final.
func (t Tally) Outcome() Outcome {
	switch {
	case t.Yes >= t.Quorum:
		return Won
	case t.Yes+t.Pending() < t.Quorum:
		return Lost
	default:
		return Pending
	}
}

// Refused reports that so many nodes said no that no quorum is left, whatever
// the unknown ones have or would have said. A lost round that is not refused
// says nothing about who holds the lock: too few nodes answered.
func (t Tally) Refused() bool { return t.Nodes-t.No < t.Quorum }

// Decided reports that the round is won or lost.
func (t Tally) Decided() bool { return t.Outcome() != Pending }

// Settled reports that the round is decided and that further votes cannot change
// what a lost one is to be told as: refused, or too few answers.
func (t Tally) Settled() bool {
	switch t.Outcome() {
	case Won:
		return true
	case Lost:
		return t.Refused() || t.Nodes-t.No-t.Pending() >= t.Quorum
	default:
		return false
	}
}

// Complete reports that every vote is in.
func (t Tally) Complete() bool { return t.Pending() == 0 }

// String returns the numbers, such as "yes 2, no 1, unknown 2 of 5". A vote that
// is still out counts as unknown: that is all it has told.
func (t Tally) String() string {
	return fmt.Sprintf("yes %d, no %d, unknown %d of %d", t.Yes, t.No, t.Unknown+t.Pending(), t.Nodes)
}
