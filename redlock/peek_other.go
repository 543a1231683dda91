//go:build !unix

package redlock

import "net"

// closedByPeer cannot be known here without reading: the next batch will tell.
func closedByPeer(net.Conn) bool { return false }
