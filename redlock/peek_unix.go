//go:build unix

package redlock

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// closedByPeer looks for the end of the stream without taking anything from it
// and without waiting.
func closedByPeer(conn net.Conn) bool {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	var n int
	var peek error
	// Control and not Read, which would queue up behind a reader that waits.
	err = raw.Control(func(fd uintptr) {
		var one [1]byte
		n, _, peek = unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	})
	switch {
	case err != nil:
		return true
	case peek == nil:
		return n == 0
	default:
		return peek != unix.EAGAIN && peek != unix.EINTR
	}
}
