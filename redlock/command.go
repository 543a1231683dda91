package redlock

import (
	"crypto/sha1" // the name that Redis gives a script, not a protection
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/redlock-go/redlock/clock"
	"github.com/redlock-go/redlock/quorum"
)

//go:embed scripts/release.lua
var releaseSource string

//go:embed scripts/extend.lua
var extendSource string

//go:embed scripts/look.lua
var lookSource string

// script is a Lua script and the name that Redis knows it by once it is loaded.
type script struct{ source, sha string }

func newScript(source string) script {
	sum := sha1.Sum([]byte(source)) //nolint:gosec // a name, not a protection
	return script{source: source, sha: hex.EncodeToString(sum[:])}
}

var (
	releaseScript = newScript(releaseSource)
	extendScript  = newScript(extendSource)
	lookScript    = newScript(lookSource)
	allScripts    = []script{releaseScript, extendScript, lookScript}
)

type operation uint8

const (
	acquire operation = iota
	release
	extend
	look
)

// command is what a lane carries. One command serves all the nodes of a round,
// except where the answer is more than a vote.
type command struct {
	op         operation
	key, token string
	millis     string // the time to live, for acquire and extend

	// The answer to look and extend, from one node.
	owner  string        // look: the token that the node carries, empty for none
	left   time.Duration // look: how long the key lives on, rounded down
	absent bool          // extend: the node has no such key
	mended bool          // extend: the key has been given back; guarded by Lock.mu
}

func millisArg(ttl time.Duration) string { return strconv.FormatInt(clock.Millis(ttl), 10) }

// build makes the command for the wire. It bypasses the typed builder, which
// computes a cluster slot for every key.
func (c *command) build(b rueidis.Builder) rueidis.Completed {
	switch c.op {
	case acquire:
		return b.Arbitrary("SET", c.key, c.token, "NX", "PX", c.millis).Build()
	case release:
		return b.Arbitrary("EVALSHA", releaseScript.sha, "1", c.key, c.token).Build()
	case extend:
		return b.Arbitrary("EVALSHA", extendScript.sha, "1", c.key, c.token, c.millis).Build()
	default:
		return b.Arbitrary("EVALSHA", lookScript.sha, "1", c.key, c.token).Build()
	}
}

// buildWithSource is build for a node that has forgotten the script.
func (c *command) buildWithSource(b rueidis.Builder) rueidis.Completed {
	switch c.op {
	case release:
		return b.Arbitrary("EVAL", releaseScript.source, "1", c.key, c.token).Build()
	case extend:
		return b.Arbitrary("EVAL", extendScript.source, "1", c.key, c.token, c.millis).Build()
	default:
		return b.Arbitrary("EVAL", lookScript.source, "1", c.key, c.token).Build()
	}
}

// vote reads the answer to c. Whatever is not understood is unknown.
func (c *command) vote(r rueidis.RedisResult) (quorum.Vote, error) {
	v, err := c.read(r)
	return v, discreet(err)
}

func (c *command) read(r rueidis.RedisResult) (quorum.Vote, error) {
	switch c.op {
	case acquire:
		err := r.Error()
		switch {
		case err == nil:
			return quorum.Yes, nil
		case rueidis.IsRedisNil(err):
			return quorum.No, nil
		}
		return quorum.Unknown, err
	case release:
		// Deleted, or not ours any more: either way this node does not carry it.
		if _, err := r.AsInt64(); err != nil {
			return quorum.Unknown, err
		}
		return quorum.Yes, nil
	case extend:
		n, err := r.AsInt64()
		switch {
		case err != nil:
			return quorum.Unknown, err
		case n == 1:
			return quorum.Yes, nil
		}
		c.absent = n == 0
		return quorum.No, nil
	default:
		return c.readLook(r)
	}
}

// readLook reads owner and time. A node that carries c's token says yes.
func (c *command) readLook(r rueidis.RedisResult) (quorum.Vote, error) {
	pair, err := r.ToArray()
	if err != nil {
		return quorum.Unknown, err
	}
	if len(pair) != 2 {
		return quorum.Unknown, fmt.Errorf("answered %d values where 2 were asked for", len(pair))
	}
	owner, err := pair[0].ToString()
	if rueidis.IsRedisNil(err) {
		return quorum.No, nil
	}
	if err != nil {
		return quorum.Unknown, err
	}
	left, err := pair[1].AsInt64()
	if err != nil {
		return quorum.Unknown, err
	}
	if left < 0 {
		return quorum.Unknown, errors.New("carries the key without an expiry: not a lock, or somebody has made it persistent")
	}
	c.owner, c.left = owner, time.Duration(left)*time.Millisecond
	if c.owner == c.token {
		return quorum.Yes, nil
	}
	return quorum.No, nil
}
