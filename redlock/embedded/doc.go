// Package embedded runs the nodes of a lock inside the calling process, for
// development and for tests of code that takes locks. No Redis is installed,
// started or left behind:
//
//	func TestImportRunsOnce(t *testing.T) {
//		locks, err := redlock.Dial(embedded.Nodes(t, 5))
//		...
//	}
//
// Each node is a [miniredis] that listens on loopback, with what a lock needs
// beyond it: keys expire by themselves, and INFO and ROLE answer as those of an
// independent master do, with a run id of the node's own. To a lock's client they
// are small Redis servers that know nothing of each other.
//
// What the nodes keep to:
//   - A key lives at least as long as it was given, counted from the moment when
//     the node received the command, and no command sees it afterwards. Time
//     stands still inside a script or transaction, as it does in Redis.
//   - A node that is stopped refuses connections, and when it is started again it
//     has its data and the expiry that went on meanwhile, but no scripts and a
//     new run id: a Redis that loses nothing in a crash.
//   - After [Cluster.Close] no goroutine, connection or port remains.
//
// What they are not: they are no Redis. The data goes with the process,
// nothing is replicated, commands outside a lock's needs may be missing (CONFIG,
// CLIENT TRACKING) or answer differently, and every command looks at every key
// that the node has, so thousands of keys make them slow. They say nothing about
// a real server's speed, and they do not freeze or lose data as one can. All of
// them end with their process, and with them every lock: never use them in
// production.
//
// [miniredis]: https://github.com/alicebob/miniredis
package embedded
