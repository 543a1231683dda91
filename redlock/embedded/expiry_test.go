package embedded

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/clock"
)

func startNode(t *testing.T, c clock.Clock) *node {
	t.Helper()
	n, err := newNode("127.0.0.1:0", c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.close()) })
	return n
}

// Ages of the node at which the key is written: with a ticker that takes its
// period off all keys, each but the first would make the key die early.
func TestKeyLivesExactlyAsLongAsItWasGiven(t *testing.T) {
	const ttl = 100 * time.Millisecond
	for _, age := range []time.Duration{0, time.Nanosecond, 5 * time.Millisecond, 9*time.Millisecond + 999*time.Microsecond, time.Hour} {
		t.Run(age.String(), func(t *testing.T) {
			v := clock.NewVirtual()
			c := dial(t, startNode(t, v).addr)
			v.Advance(age)
			require.Equal(t, "OK", do(t, c, "SET", "k", "token", "NX", "PX", "100"))

			v.Advance(ttl - time.Nanosecond)
			assert.Equal(t, "token", do(t, c, "GET", "k"), "expired early")

			v.Advance(time.Nanosecond)
			assert.Nil(t, do(t, c, "GET", "k"), "expired late")
			assert.Equal(t, "OK", do(t, c, "SET", "k", "next", "NX", "PX", "100"))
		})
	}
}

func TestExtendedKeyLivesExactlyAsLongAsItWasGivenAnew(t *testing.T) {
	v := clock.NewVirtual()
	c := dial(t, startNode(t, v).addr)
	do(t, c, "SET", "k", "token", "PX", "100")
	v.Advance(70 * time.Millisecond)
	require.EqualValues(t, 1, do(t, c, "PEXPIRE", "k", "100"))

	v.Advance(100*time.Millisecond - time.Nanosecond)
	assert.Equal(t, "token", do(t, c, "GET", "k"), "expired early")
	v.Advance(time.Nanosecond)
	assert.EqualValues(t, -2, do(t, c, "PTTL", "k"), "expired late")
}

func TestTimeLeftIsWholeMillisecondsAndNeverTooMuch(t *testing.T) {
	v := clock.NewVirtual()
	c := dial(t, startNode(t, v).addr)
	do(t, c, "SET", "k", "token", "PX", "100")
	assert.EqualValues(t, 100, do(t, c, "PTTL", "k"))
	v.Advance(time.Microsecond)
	assert.EqualValues(t, 99, do(t, c, "PTTL", "k"))
	v.Advance(99 * time.Millisecond)
	assert.EqualValues(t, 0, do(t, c, "PTTL", "k"))
}

func TestKeysExpireInEveryDatabaseAndWhileTheNodeIsStopped(t *testing.T) {
	v := clock.NewVirtual()
	n := startNode(t, v)
	c := dial(t, n.addr)
	do(t, c, "SET", "gone", "x", "PX", "100")
	do(t, c, "SET", "left", "x", "PX", "101")
	do(t, c, "SELECT", "1")
	do(t, c, "SET", "gone", "x", "PX", "100")

	require.NoError(t, n.stop())
	v.Advance(100 * time.Millisecond)
	require.NoError(t, n.start())

	c = dial(t, n.addr)
	assert.Equal(t, []any{"left"}, do(t, c, "KEYS", "*"))
	do(t, c, "SELECT", "1")
	assert.Equal(t, []any{}, do(t, c, "KEYS", "*"))
}

// steppingClock moves on by a millisecond whenever it is read.
type steppingClock struct {
	*clock.Virtual
}

func (c steppingClock) Now() clock.Instant {
	c.Advance(time.Millisecond)
	return c.Virtual.Now()
}

func TestTimeStandsStillInAScript(t *testing.T) {
	c := dial(t, startNode(t, steppingClock{clock.NewVirtual()}).addr)
	do(t, c, "SET", "k", "token", "PX", "2")

	// The script starts in the key's last millisecond.
	assert.Equal(t, []any{"token", int64(1), "token", int64(1), "token"}, do(t, c, "EVAL", `
		local get = function() return redis.call("GET", KEYS[1]) end
		local left = function() return redis.call("PTTL", KEYS[1]) end
		return {get(), left(), get(), left(), get()}`, "1", "k"))
	assert.Nil(t, do(t, c, "GET", "k"))
}

func TestTimeStandsStillInATransaction(t *testing.T) {
	c := dial(t, startNode(t, steppingClock{clock.NewVirtual()}).addr)
	do(t, c, "SET", "k", "token", "PX", "5")
	do(t, c, "MULTI")
	do(t, c, "PTTL", "k")
	do(t, c, "EVAL", `return redis.call("PTTL", KEYS[1])`, "1", "k")

	assert.Equal(t, []any{int64(1), int64(1)}, do(t, c, "EXEC"))
}

// What a holder relies on, with many connections and the real clock: counted
// from before the SET was sent, nobody finds the key gone before its time.
func TestNoKeyExpiresEarlyUnderConcurrentCommands(t *testing.T) {
	const ttl = 5 * time.Millisecond
	sys := clock.System()
	n := startNode(t, sys)
	var workers sync.WaitGroup
	for w := range 8 {
		workers.Go(func() {
			c, key := dial(t, n.addr), fmt.Sprintf("k%d", w)
			for range 40 {
				sent := sys.Now()
				if do(t, c, "SET", key, "x", "NX", "PX", fmt.Sprint(ttl.Milliseconds())) == nil {
					t.Errorf("%s outlived a GET that did not find it", key)
				}
				for do(t, c, "EVAL", `return redis.call("GET", KEYS[1])`, "1", key) != nil {
				}
				if age := sys.Now().Sub(sent); age < ttl {
					t.Errorf("%s expired after %v of %v", key, age, ttl)
				}
			}
		})
	}
	workers.Wait()
}

// yieldingClock lets others go first between reading it and using what was read.
type yieldingClock struct{ clock.Clock }

func (c yieldingClock) Now() clock.Instant {
	now := c.Clock.Now()
	runtime.Gosched()
	return now
}

// A key that is written after time was given back would pay for it again.
func TestTimeIsNeverGivenBack(t *testing.T) {
	e := newExpiry(yieldingClock{clock.System()}, func(d time.Duration) {
		if d < 0 {
			t.Errorf("charged %v", d)
		}
	})
	var commands sync.WaitGroup
	for range 8 {
		commands.Go(func() {
			for range 500 {
				e.charge(&server.Peer{})
			}
		})
	}
	commands.Wait()
}

func TestConnectionsAreForgottenWhenTheyEnd(t *testing.T) {
	n := startNode(t, clock.System())
	for range 3 {
		c := dial(t, n.addr)
		do(t, c, "EVAL", `return redis.call("GET", "k")`, "0")
		c.Close()
	}
	require.NoError(t, n.stop())

	n.expiry.conns.Range(func(conn, _ any) bool {
		t.Errorf("%p is still known", conn)
		return true
	})
}
