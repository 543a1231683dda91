package redlock

import (
	"time"

	"github.com/redlock-go/redlock/clock"
	"github.com/redlock-go/redlock/quorum"
)

// cleanup takes what a lost round may have left off the nodes, each once.
type cleanup struct {
	client *Client
	cmd    *command
	slots  []quorum.Slot
	ttl    time.Duration
	done   []bool // by node; nil: none yet
}

// answered cleans up the nodes that have voted.
func (u *cleanup) answered(r *quorum.Round[*command]) {
	now := u.client.clock.Now()
	u.done = make([]bool, len(u.slots))
	for i := range u.slots {
		if _, _, in := r.Answer(i); in {
			u.done[i] = true
			u.node(i, now)
		}
	}
}

// rest cleans up the others.
func (u *cleanup) rest() {
	now := u.client.clock.Now()
	for i := range u.slots {
		if u.done == nil || !u.done[i] {
			u.node(i, now)
		}
	}
}

func (u *cleanup) node(i int, now clock.Instant) {
	u.client.lanes[i].Send(quorum.Undo, u.cmd, &u.slots[i], now, u.client.forgotten(now.Add(u.ttl)))
}

// forgotten returns when a node that is out of reach has dropped a key by itself
// that the others carry until keyEnd, so that it need not be told to any more.
func (c *Client) forgotten(keyEnd clock.Instant) clock.Instant {
	return keyEnd.Add(c.drift.Of(0) + c.timeout)
}
