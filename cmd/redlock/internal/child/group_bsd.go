//go:build unix && !linux

package child

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes: the command does not die with this process, which only Linux and
// FreeBSD could do.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// populated tells whether anybody in the group still runs. On macOS a group of
// zombies is not permitted to be signalled.
func populated(group int) bool { return unix.Kill(-group, 0) == nil }
