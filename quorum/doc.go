// Package quorum is agreement among independent nodes: what votes add up to,
// and how they get to each node without one node holding up another.
//
// It has two halves. The pure one is [Vote] and [Tally]: counting, no time, no
// network. The other is the [Lane], one a node: a queue that sends whatever has
// gathered while the batch before it was on its way (group commit), and keeps a
// sick node's trouble to itself. A [Round] ties them together: one command to
// every node, and the votes that come back.
//
// The package knows nothing of Redis. A lane is given a [Conn] that sends a
// batch and fills in the votes.
package quorum
