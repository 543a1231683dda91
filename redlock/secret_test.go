package redlock_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlock/redistest"
)

func TestALockIsPrintedWithoutItsToken(t *testing.T) {
	t.Parallel()
	c, _ := five(t)
	l := acquire(t, c, "k", time.Hour)
	require.Equal(t, `lock "k" redlock.Lock{"k"} lock "k"`, fmt.Sprintf("%v %#v %+v", l, l, l))
	require.Equal(t, "k", l.LogValue().String())
	require.NoError(t, l.Release(context.Background()))
}

func TestAServerThatRepeatsItsArgumentsGivesNothingAway(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 3, redistest.Args("--rename-command", "EVALSHA", ""))
	l := acquire(t, dial(t, nodes.Addrs()), "k", time.Hour)
	err := l.Release(context.Background())
	require.ErrorContains(t, err, "unknown command 'EVALSHA'")
	require.NotContains(t, err.Error(), l.Token())

	node := redistest.Start(t, 1, redistest.Args("--rename-command", "AUTH", "", "--rename-command", "HELLO", "")).Node(0)
	_, err = dial(t, []string{"redis://:secret@" + node.Addr()}).TryAcquire(context.Background(), "k", time.Minute)
	require.ErrorContains(t, err, "unknown command 'AUTH'")
	require.NotContains(t, err.Error(), "secret")
}

// Passwords that somebody forgot to escape, and URLs with a slash too few.
func TestAnAddressIsRefusedWithoutItsPassword(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{
		"redis://user:1234/sekret@127.0.0.1:1", "redis://:1234/sekret@127.0.0.1:1", "redis://u:1/sekret/x@h:1",
		"redis://user:1234#sekret@127.0.0.1:1", "redis://user:1234?sekret@127.0.0.1:1", "redis://:sek%ret@127.0.0.1:1",
		"redis://127.0.0.1:1#sekret", "unix://:sekret@", "unix://u:sekret@/a?db=sekret", "redis://u:sekret@host:port",
		"redis://127.0.0.1:1?dial_timeout=sekret", "redis:/u:sekret@127.0.0.1:1", "u:sekret@127.0.0.1:1", "redis:u:sekret",
	} {
		_, err := redlock.Dial([]string{addr})
		var argument *redlock.ArgumentError
		require.ErrorAs(t, err, &argument, "%s", addr)
		for _, secret := range []string{"sekret", "1234", "ret@"} {
			require.NotContains(t, err.Error(), secret, "%s", addr)
		}
	}
}

func TestAHandleThatJSONWouldChangeIsRefused(t *testing.T) {
	t.Parallel()
	_, err := json.Marshal(redlock.Handle{Key: "\xff", Token: "t", TTL: time.Minute})
	require.ErrorContains(t, err, "must be UTF-8")
}
