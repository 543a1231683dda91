// Package clock is the project's only source of time.
//
// A lock over independent nodes rests on durations: how long a round took, how
// long a key lives, how far two clocks can run apart in that time. None of that
// may come from a wall clock, which people and daemons set, nor from a clock
// that stands still while the machine sleeps: a resumed laptop or virtual
// machine would go on believing in a lock that ran out long ago. So this
// package offers
//
//   - [System], a monotonic clock that keeps counting through suspend where the
//     operating system has one (CLOCK_BOOTTIME on Linux),
//   - [Monotonic], the Go runtime's own monotonic clock, which is also the one
//     that testing/synctest virtualises,
//   - [Virtual], a clock that moves when a test says so, and
//   - [Drift], the arithmetic of validity: how much of a key's life its holder
//     may use when the clocks of holder and node do not run at one rate.
//
// Instants of different clocks, processes or machines cannot be compared, and
// no type here can be sent to another process.
package clock
