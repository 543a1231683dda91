package embedded

import (
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2/server"

	"github.com/redlock-go/redlock/clock"
)

// expiry makes the keys of a miniredis expire. miniredis stores with each key
// the time that it has left, and FastForward takes an amount off all of them.
//
// Doing that from a ticker would be wrong: a key written just before a tick
// would pay for the whole time since the tick before and die early, and a lock
// whose key dies early has two owners. So time is charged before every command:
// a key pays only for what passed after the node had received the command that
// wrote it, and since nothing can look at a key but through a command, none is
// ever seen after its end either. That leaves a ticker nothing to do.
//
// (miniredis' own ClockTTL also charges in front of each access, but by the
// wall clock, and within scripts too, where time has to stand still.)
type expiry struct {
	clock   clock.Clock
	forward func(time.Duration) // takes an amount of time off all keys

	mu   sync.Mutex    // guards last; held from reading the clock until the keys are charged, so that nothing is charged twice
	last clock.Instant // up to when the keys have been charged

	conns sync.Map // of *server.Peer: the peers that are connections
}

func newExpiry(c clock.Clock, forward func(time.Duration)) *expiry {
	return &expiry{clock: c, forward: forward, last: c.Now()}
}

// charge takes the time since the last command off all keys. To be called
// before each command.
func (e *expiry) charge(p *server.Peer) {
	if e.inScript(p) {
		return // EVAL has paid already, and it holds the lock that forward takes
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.clock.Now()
	e.forward(now.Sub(e.last))
	e.last = now
}

// inScript tells whether p is a script's redis.call. miniredis gives every call
// a peer of its own with the script's context in it, whereas a connection has no
// context until its first command is executed.
func (e *expiry) inScript(p *server.Peer) bool {
	if _, known := e.conns.Load(p); known {
		return false
	}
	if p.Ctx != nil {
		return true
	}
	e.conns.Store(p, nil)
	p.OnDisconnect(func() { e.conns.Delete(p) })
	return false
}
