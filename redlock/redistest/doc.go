// Package redistest starts real redis-servers for tests and benchmarks: for what
// only a real server shows, such as time, freezing, crashing and speed.
//
//	func TestLockSurvivesAFrozenNode(t *testing.T) {
//		nodes := redistest.Start(t, 5)
//		locks, err := redlock.Dial(nodes.Addrs())
//		...
//		nodes.Node(0).Pause()
//	}
//
// It runs the redis-server found in the PATH, or the one that the environment
// variable REDIS_SERVER names (valkey-server does as well). A test that needs
// servers fails where there is none; it is never skipped.
//
// Each server is a process of its own on a free port of 127.0.0.1, keeps nothing
// on disk unless told to, and ends with the test. On Linux it ends even if the
// test process is killed; elsewhere a killed test process leaves its servers.
//
// It is not for users' own tests of code that takes locks: package embedded
// needs no Redis.
package redistest
