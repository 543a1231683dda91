package redistest

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// replyTimeout bounds a command, connecting included.
const replyTimeout = 5 * time.Second

// Do sends one command over a connection of its own, logged in if there is a
// password. The reply is a string, an int64, nil or a []any of those; an error
// reply is a [ReplyError]. It fails after 5 s without a reply.
func (n *Node) Do(args ...string) (any, error) {
	reply, err := n.do(args)
	if err != nil {
		return nil, fmt.Errorf("redistest: %s on %s: %w", strings.Join(args, " "), n.Addr(), err)
	}
	return reply, nil
}

func (n *Node) do(args []string) (any, error) {
	conn, err := net.DialTimeout("tcp", n.Addr(), replyTimeout)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(replyTimeout)); err != nil {
		return nil, err
	}
	if n.set.secure {
		config := n.TLSConfig()
		config.ServerName = "127.0.0.1"
		conn = tls.Client(conn, config)
	}
	replies := bufio.NewReader(conn)
	send := func(args ...string) (any, error) {
		if err := writeCommand(conn, args); err != nil {
			return nil, err
		}
		reply, err := readReply(replies)
		if failed, ok := reply.(ReplyError); ok {
			return nil, failed
		}
		return reply, err
	}
	if n.set.password != "" {
		if _, err := send("AUTH", n.set.password); err != nil {
			return nil, err
		}
	}
	return send(args...)
}

// Get returns the value of a string key and whether the key exists.
func (n *Node) Get(key string) (value string, ok bool) {
	n.report.Helper()
	return need[string](n, "GET", key)
}

// Set writes a key that expires after ttl, whatever it was before.
func (n *Node) Set(key, value string, ttl time.Duration) {
	n.report.Helper()
	need[string](n, "SET", key, value, "PX", strconv.FormatInt(ttl.Milliseconds(), 10))
}

// PTTL returns how long a key has to live, and false for a key that does not
// exist or does not expire.
func (n *Node) PTTL(key string) (left time.Duration, ok bool) {
	n.report.Helper()
	ms, _ := need[int64](n, "PTTL", key)
	return time.Duration(max(ms, 0)) * time.Millisecond, ms >= 0
}

// Keys returns the names of all keys, sorted.
func (n *Node) Keys() []string {
	n.report.Helper()
	reply, _ := need[[]any](n, "KEYS", "*")
	keys := make([]string, len(reply))
	for i, key := range reply {
		keys[i], _ = key.(string)
	}
	slices.Sort(keys)
	return keys
}

// Info returns the fields of a section of INFO, such as "server" with its
// "run_id".
func (n *Node) Info(section string) map[string]string {
	n.report.Helper()
	fields, err := n.info(section)
	n.must("info", err)
	return fields
}

func (n *Node) info(section string) (map[string]string, error) {
	reply, err := n.Do("INFO", section)
	if err != nil {
		return nil, err
	}
	text, ok := reply.(string)
	if !ok {
		return nil, errors.New("the reply to INFO is no text")
	}
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields, nil
}

// need sends a command whose reply has to be a T or null; ok is false for null.
func need[T any](n *Node, args ...string) (value T, ok bool) {
	n.report.Helper()
	reply, err := n.Do(args...)
	if err == nil && reply != nil {
		if value, ok = reply.(T); !ok {
			err = fmt.Errorf("redistest: %s on %s: unexpected reply %v", strings.Join(args, " "), n.Addr(), reply)
		}
	}
	if err != nil {
		n.report.Fatalf("%v", err)
	}
	return value, ok
}
