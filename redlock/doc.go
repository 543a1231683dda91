// Package redlock holds locks on a majority of N independent Redis or Valkey
// masters, by the algorithm called Redlock: no coordination between the nodes,
// and a minority of them may be down, hung or unreachable without costing
// anything.
//
//	client, err := redlock.Dial([]string{"10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.3:6379"})
//	...
//	defer client.Close()
//	err = client.WithLock(ctx, "job:lock:email-queue", redlock.TTLShort, func(ctx context.Context) error {
//		return sendMails(ctx) // stops when ctx ends
//	})
//	if errors.Is(err, redlock.ErrHeld) {
//		// somebody else is at it
//	}
//
// # What it guarantees
//
// While Validity is positive and Context has not ended, no other client of the
// same nodes holds the same key, provided that the nodes' clocks and this
// machine's run at rates within the drift (1 % unless said otherwise), and that
// the nodes that granted the lock keep their data. Loss is told by a local timer,
// never late because some node hangs. What a caller with a dead context, a
// timeout or a lost reply has left on a node is taken away again, or expires.
//
// # What it does not
//
// A process that is paused after it looked, and a write that is delayed in the
// network, can come after the lock has passed to another: no lock with an expiry
// can prevent that. A node that is restarted empty may vote twice. Redis replicas
// are no nodes: each node must be a master of its own.
//
// # When not to use it
//
// For efficiency only, where running twice does no harm, a lock on one Redis
// server is cheaper. For a leader in a cluster that has etcd or ZooKeeper anyway,
// use those: they agree by consensus and need no assumption on clocks.
//
// On the wire it is plain Redlock, SET key token NX PX ttl, so it excludes and is
// excluded by holders that use redsync, node-redlock or redlock-universal on the
// same nodes.
//
// Source: "Distributed Locks with Redis" in the Redis documentation.
package redlock
