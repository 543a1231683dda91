package redistest

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are taken from below the range from which Linux and macOS give out ports
// by themselves, so that no connection that is opened or server that is started
// on "any port" takes the port of a server that is down for the moment.
const (
	firstPort = 20000
	lastPort  = 31999
)

// errPortTaken says that another process had the port when the server came to
// listen on it.
var errPortTaken = errors.New("another process listens on the port")

// freePort returns a port that is free at this moment. Somebody else can take it
// before the server does.
func freePort() (string, error) {
	for range 100 {
		port := strconv.Itoa(firstPort + rand.IntN(lastPort-firstPort+1))
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
		if err == nil {
			return port, l.Close()
		}
	}
	return "", errors.New("no free port found between " + strconv.Itoa(firstPort) + " and " + strconv.Itoa(lastPort))
}
