package quorum_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/quorum"
)

// The votes of a table, and of a fuzzer's input.
var votes = map[rune]quorum.Vote{'y': quorum.Yes, 'n': quorum.No, 'u': quorum.Unknown}

// state puts in one letter all that a tally says about its round:
//
//	p  pending
//	W  won
//	l  lost, and the votes that are out will tell whether it is refused
//	R  lost and refused
//	F  lost for good without being refused: too few nodes answered
//	?  a contradiction
func state(outcome quorum.Outcome, refused, settled bool) string {
	switch {
	case outcome == quorum.Pending && !refused && !settled:
		return "p"
	case outcome == quorum.Won && !refused && settled:
		return "W"
	case outcome == quorum.Lost && !refused && !settled:
		return "l"
	case outcome == quorum.Lost && refused && settled:
		return "R"
	case outcome == quorum.Lost && !refused && settled:
		return "F"
	default:
		return "?"
	}
}

func stateOf(t quorum.Tally) string { return state(t.Outcome(), t.Refused(), t.Settled()) }

func TestATallyAfterEachVote(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name          string
		nodes, quorum int
		votes         string
		states        string // before any vote, and after each
	}{
		{"one node grants", 1, 1, "y", "pW"},
		{"one node refuses", 1, 1, "n", "pR"},
		{"one node is silent", 1, 1, "u", "pF"},

		{"two of two grant", 2, 2, "yy", "ppW"},
		{"one of two refuses, which is enough", 2, 2, "ny", "pRR"},
		{"one of two is silent, the other may still refuse", 2, 2, "un", "plR"},
		{"one of two is silent, the other grants", 2, 2, "uy", "plF"},
		{"the silent one comes second", 2, 2, "yu", "ppF"},

		{"two of three are enough", 3, 2, "yyn", "ppWW"},
		{"a silent node does not stop a majority", 3, 2, "uyy", "pppW"},
		{"a refusing node does not stop a majority", 3, 2, "nyy", "pppW"},
		{"two of three refuse", 3, 2, "nny", "ppRR"},
		{"two of three are silent", 3, 2, "uuy", "ppFF"},
		{"a no and an unknown say nothing about who holds it", 3, 2, "nuu", "pplF"},
		{"the last node settles who holds it", 3, 2, "nun", "pplR"},
		{"one grants, one refuses, one is silent", 3, 2, "ynu", "pppF"},
		{"all of three, and the first is silent", 3, 3, "uyy", "pllF"},
		{"all of three, and one refuses", 3, 3, "yyn", "pppR"},

		{"a split vote of four is refused on both sides", 4, 3, "yynn", "ppppR"},
		{"a split vote of four, the refusals first", 4, 3, "nnyy", "ppRRR"},
		{"three of four grant", 4, 3, "yyuy", "ppppW"},
		{"two of four are silent", 4, 3, "yuuy", "pppFF"},

		{"five, the quickest three", 5, 3, "yyynu", "pppWWW"},
		{"five, three refuse", 5, 3, "nnn", "pppR"},
		{"five, a minority refuses and a majority is silent", 5, 3, "nuuun", "ppplFF"},
		{"five, a minority refuses and the last of them settles it", 5, 3, "nnuun", "pppllR"},
		{"five, two grants do not make three", 5, 3, "yynnu", "pppppF"},
		{"five, four wanted", 5, 4, "ynyyy", "pppppW"},
		{"five, four wanted and two refuse", 5, 4, "nyn", "pppR"},
		{"five, four wanted, one silent and one refuses", 5, 4, "uny", "ppll"},

		{"six, four wanted, half grant", 6, 4, "yyynnn", "ppppppR"},
		{"six, four wanted, half silent", 6, 4, "yyyuuu", "ppppppF"},

		{"seven, the slowest decides", 7, 4, "ynynyny", "pppppppW"},
		{"seven, the slowest decides against", 7, 4, "ynynynn", "pppppppR"},
		{"seven, the slowest is silent", 7, 4, "ynynynu", "pppppppF"},
		{"seven, all wanted", 7, 7, "yyyyyyy", "pppppppW"},
		{"seven, all wanted, and one silence leaves the reason open", 7, 7, "uyyyyyn", "pllllllR"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, quorum.Check(row.nodes, row.quorum))
			require.Len(t, row.states, len(row.votes)+1)
			tally := quorum.Tally{Nodes: row.nodes, Quorum: row.quorum}
			got := stateOf(tally)
			for i, v := range row.votes {
				require.Equal(t, row.nodes-i, tally.Pending())
				tally.Count(votes[v])
				got += stateOf(tally)
			}
			assert.Equal(t, row.states, got, "after each vote of %s, %d of %d wanted", row.votes, row.quorum, row.nodes)
			assert.Equal(t, len(row.votes) == row.nodes, tally.Complete())
		})
	}
}

// naive judges the votes that are in by imagining the ones that are not, every
// way they can turn out. It is slow, and it is not clever anywhere.
type naive struct{ nodes, quorum int }

func (n naive) outcome(in []quorum.Vote) quorum.Outcome {
	if n.wins(in) {
		return quorum.Won
	}
	can := false
	n.complete(in, func(all []quorum.Vote) { can = can || n.wins(all) })
	if can {
		return quorum.Pending
	}
	return quorum.Lost
}

func (n naive) wins(in []quorum.Vote) bool {
	yes := 0
	for _, v := range in {
		if v == quorum.Yes {
			yes++
		}
	}
	return yes >= n.quorum
}

// refused: even if every node that has not said no had said yes, or said it now,
// or whatever else it might have said, there is no quorum.
func (n naive) refused(in []quorum.Vote) bool {
	var said []quorum.Vote
	for _, v := range in {
		if v != quorum.Unknown {
			said = append(said, v)
		}
	}
	can := false
	n.complete(said, func(all []quorum.Vote) { can = can || n.wins(all) })
	return !can
}

// settled: decided, and refused or not whatever comes.
func (n naive) settled(in []quorum.Vote) bool {
	switch n.outcome(in) {
	case quorum.Pending:
		return false
	case quorum.Won:
		return true
	}
	yes, no := false, false
	n.complete(in, func(all []quorum.Vote) {
		if n.refused(all) {
			yes = true
		} else {
			no = true
		}
	})
	return yes != no
}

// complete calls f with every vector of votes that begins with in.
func (n naive) complete(in []quorum.Vote, f func([]quorum.Vote)) {
	if len(in) == n.nodes {
		f(in)
		return
	}
	for _, v := range []quorum.Vote{quorum.Yes, quorum.No, quorum.Unknown} {
		n.complete(append(slices.Clip(in), v), f)
	}
}

// multisets calls f with every combination of up to nodes votes, in one order
// each: naive is too slow for all orders, and does not look at the order.
func multisets(nodes int, f func(yes, no, unknown int)) {
	for yes := range nodes + 1 {
		for no := range nodes + 1 - yes {
			for unknown := range nodes + 1 - yes - no {
				f(yes, no, unknown)
			}
		}
	}
}

func TestTheTallyAgreesWithTryingEveryCompletion(t *testing.T) {
	t.Parallel()
	for nodes := 1; nodes <= 7; nodes++ {
		for q := quorum.Majority(nodes); q <= nodes; q++ {
			t.Run(fmt.Sprintf("%d of %d", q, nodes), func(t *testing.T) {
				t.Parallel()
				// What the dumb one says of every combination of votes.
				judge := naive{nodes, q}
				want := map[[3]int]string{}
				multisets(nodes, func(yes, no, unknown int) {
					var in []quorum.Vote
					for range yes {
						in = append(in, quorum.Yes)
					}
					for range no {
						in = append(in, quorum.No)
					}
					for range unknown {
						in = append(in, quorum.Unknown)
					}
					want[[3]int{yes, no, unknown}] = state(judge.outcome(in), judge.refused(in), judge.settled(in))
				})
				// What the tally says of every vector of votes, vote by vote.
				var walk func(tally quorum.Tally, before string)
				walk = func(tally quorum.Tally, before string) {
					got := stateOf(tally)
					if w := want[[3]int{tally.Yes, tally.No, tally.Unknown}]; got != w {
						t.Errorf("%v with %d wanted: the tally says %q, trying everything says %q", tally, q, got, w)
					}
					if tally.Decided() != (got != "p") || tally.Complete() != (tally.Pending() == 0) {
						t.Errorf("%v: decided %v, complete %v, state %q", tally, tally.Decided(), tally.Complete(), got)
					}
					if strings.ContainsAny(before, "WRF") && got != before || before == "l" && got == "W" {
						t.Errorf("%v: went from %q to %q", tally, before, got)
					}
					if tally.Complete() {
						if got == "p" || got == "l" {
							t.Errorf("%v: nothing is out and it is still %q", tally, got)
						}
						return
					}
					for _, v := range votes {
						next := tally
						next.Count(v)
						walk(next, got)
					}
				}
				walk(quorum.Tally{Nodes: nodes, Quorum: q}, "")
			})
		}
	}
}

func FuzzTally(f *testing.F) {
	f.Add(uint8(5), uint8(0), "yyynu")
	f.Add(uint8(4), uint8(0), "yynn")
	f.Add(uint8(5), uint8(1), "unyn")
	f.Add(uint8(7), uint8(3), "nuuuuuu")
	f.Fuzz(func(t *testing.T, nodes, above uint8, said string) {
		n := 1 + int(nodes)%8
		q := min(quorum.Majority(n)+int(above)%8, n)
		judge, tally := naive{n, q}, quorum.Tally{Nodes: n, Quorum: q}
		var in []quorum.Vote
		for _, letter := range said {
			v, known := votes[letter]
			if !known || len(in) == n {
				return
			}
			in = append(in, v)
			tally.Count(v)
			if got, want := stateOf(tally), state(judge.outcome(in), judge.refused(in), judge.settled(in)); got != want {
				t.Fatalf("%v with %d wanted: the tally says %q, trying everything says %q", tally, q, got, want)
			}
		}
	})
}

func TestAMajorityIsTheSmallestQuorumOfWhichThereCannotBeTwo(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 100; n++ {
		m := quorum.Majority(n)
		assert.Greater(t, 2*m, n, "two majorities of %d nodes share a node", n)
		assert.LessOrEqual(t, 2*(m-1), n, "one less would leave room for two quorums of %d nodes", n)
	}
}

func TestAQuorumThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name          string
		nodes, quorum int
		says          string // "": fine
	}{
		{"one of one", 1, 1, ""},
		{"both of two", 2, 2, ""},
		{"a majority of five", 5, 3, ""},
		{"more than a majority", 5, 4, ""},
		{"all of five", 5, 5, ""},
		{"a majority of an even number", 4, 3, ""},
		{"no nodes", 0, 0, "0 nodes: at least one is needed"},
		{"no nodes, one wanted", 0, 1, "0 nodes: at least one is needed"},
		{"fewer than no nodes", -1, 0, "-1 nodes: at least one is needed"},
		{"nobody needs to agree", 5, 0, "quorum 0 of 5 nodes: must be a majority, at least 3, or two holders could have one each"},
		{"a negative quorum", 5, -3, "quorum -3 of 5 nodes: must be a majority"},
		{"half of four", 4, 2, "quorum 2 of 4 nodes: must be a majority, at least 3"},
		{"less than half", 5, 2, "quorum 2 of 5 nodes: must be a majority, at least 3"},
		{"more than there are", 5, 6, "quorum 6 of 5 nodes: there are not that many nodes"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			err := quorum.Check(row.nodes, row.quorum)
			if row.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, row.says)
		})
	}
}

func TestVotesOutcomesAndTalliesCanBeRead(t *testing.T) {
	t.Parallel()
	var silence quorum.Vote
	assert.Equal(t, quorum.Unknown, silence, "a vote that nobody has cast is unknown")
	assert.Equal(t, "yes", quorum.Yes.String())
	assert.Equal(t, "no", quorum.No.String())
	assert.Equal(t, "unknown", quorum.Unknown.String())
	assert.Equal(t, "unknown", quorum.Vote(77).String())
	assert.Equal(t, "pending", quorum.Pending.String())
	assert.Equal(t, "won", quorum.Won.String())
	assert.Equal(t, "lost", quorum.Lost.String())

	tally := quorum.Tally{Nodes: 5, Quorum: 3}
	assert.Equal(t, "yes 0, no 0, unknown 5 of 5", tally.String())
	tally.Count(quorum.Yes)
	tally.Count(quorum.No)
	tally.Count(quorum.Unknown)
	tally.Count(quorum.Yes)
	assert.Equal(t, "yes 2, no 1, unknown 2 of 5", tally.String(), "a vote that is still out is unknown")
	tally.Count(quorum.Vote(77))
	assert.Equal(t, quorum.Tally{Nodes: 5, Quorum: 3, Yes: 2, No: 1, Unknown: 2}, tally, "what is not a vote is unknown")
}
