package embedded

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/alicebob/miniredis/v2/server"
)

// version is the Redis version that miniredis gives in its reply to HELLO.
const version = "8.4.0"

// identity answers what a client asks to find out which server it talks to.
// miniredis has no answers to that; in particular five of them could not be told
// from one that is reached at five addresses.
type identity struct {
	runID string
	port  string
}

// newIdentity returns that of a server which has just started at addr.
func newIdentity(addr string) identity {
	var id [20]byte
	_, _ = rand.Read(id[:]) // never fails
	_, port, _ := net.SplitHostPort(addr)
	return identity{runID: hex.EncodeToString(id[:]), port: port} // a run id is 40 hex digits
}

// answer replies to a command about the server itself and tells whether it was
// one. The replies come at once also between MULTI and EXEC.
func (s identity) answer(p *server.Peer, cmd string, args []string) bool {
	switch cmd {
	case "INFO":
		p.WriteBulk(s.info(args))
	case "ROLE":
		p.Block(func(w *server.Writer) {
			w.WriteLen(3)
			w.WriteBulk("master")
			w.WriteInt(0) // replication offset
			w.WriteLen(0) // replicas
		})
	case "CLUSTER":
		// miniredis would describe a cluster of one, and clients that ask first
		// would look for it at an address which it does not know.
		p.WriteError("ERR This instance has cluster support disabled")
	default:
		return false
	}
	return true
}

// info is the reply to INFO: the sections asked for, all when none is named. As
// in Redis, a section that does not exist is empty and no error.
func (s identity) info(asked []string) string {
	sections := []struct{ name, body string }{
		{"Server", fmt.Sprintf("redis_version:%s\r\nserver_name:miniredis\r\nredis_mode:standalone\r\nrun_id:%s\r\ntcp_port:%s\r\n", version, s.runID, s.port)},
		{"Replication", "role:master\r\nconnected_slaves:0\r\nmaster_repl_offset:0\r\n"},
	}
	var reply []string
	for _, section := range sections {
		wanted := func(name string) bool {
			return slices.Contains([]string{"default", "all", "everything", strings.ToLower(section.name)}, strings.ToLower(name))
		}
		if len(asked) == 0 || slices.ContainsFunc(asked, wanted) {
			reply = append(reply, "# "+section.name+"\r\n"+section.body)
		}
	}
	return strings.Join(reply, "\r\n")
}
