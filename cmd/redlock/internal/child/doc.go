// Package child runs a command in a process group of its own: signals reach all
// of the group, the group is waited for until nobody of it is left, and when the
// command uses the terminal, job control works as if the shell had started it.
//
// A process that leaves the group (setsid, as daemons do) leaves the command.
package child
