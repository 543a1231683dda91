package redlock

import (
	"fmt"
	"strings"
	"sync"

	"github.com/redis/rueidis"
)

// self is what a server says it is.
type self struct {
	runID string // new at every start of a server; empty where it is not told
	role  string // master, slave; empty where it is not told
}

// readSelf reads INFO server and INFO replication. A server that does not allow
// INFO, or lacks it, is taken as it comes.
func readSelf(server, replication rueidis.RedisResult) (self, error) {
	var who self
	for _, part := range []struct {
		answer rueidis.RedisResult
		field  string
		into   *string
	}{{server, "run_id:", &who.runID}, {replication, "role:", &who.role}} {
		text, err := part.answer.ToString()
		if err != nil {
			if part.answer.NonRedisError() == nil && (forbidden(err) || strings.Contains(err.Error(), "is not supported")) {
				continue
			}
			return self{}, err
		}
		for line := range strings.Lines(text) {
			if value, ok := strings.CutPrefix(line, part.field); ok {
				*part.into = strings.TrimSpace(value)
			}
		}
	}
	return who, nil
}

// MemberError says that a server cannot be counted as an independent node. A
// quorum with it would be smaller than it looks.
type MemberError struct {
	Node string // as it was given
	Same string // the other node that is the same server; empty for a replica
}

// Error says what is wrong with the node and what to do.
func (e *MemberError) Error() string {
	if e.Same != "" {
		return fmt.Sprintf("node %s is the same server as node %s (same run id): give each server once", e.Node, e.Same)
	}
	return fmt.Sprintf("node %s is a replica: give its master, or another master of its own", e.Node)
}

// members sees to it that every node is a master of its own, also those that
// come up later or come back as something else.
type members struct {
	mu    sync.Mutex       // guards runID
	runID map[*node]string // not by name: two clients of the caller's may have one address
}

// admit takes note of what the node says it is, or says why it cannot vote.
func (m *members) admit(n *node, who self) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.runID, n)
	if who.role == "slave" {
		return &MemberError{Node: n.name}
	}
	if who.runID == "" {
		return nil
	}
	for other, id := range m.runID {
		if id == who.runID {
			return &MemberError{Node: n.name, Same: other.name}
		}
	}
	m.runID[n] = who.runID
	return nil
}
