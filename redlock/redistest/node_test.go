package redistest

import (
	"bufio"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPausedServerIsSilentAndCatchesUpWhenItIsResumed(t *testing.T) {
	n := Start(t, 1).Node(0)
	n.Pause()

	conn, err := net.Dial("tcp", n.Addr())
	require.NoError(t, err, "the kernel accepts for a paused server")
	defer conn.Close()
	require.NoError(t, writeCommand(conn, []string{"SET", "k", "late"}))
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	_, err = conn.Read(make([]byte, 1))
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	assert.True(t, timeout.Timeout(), "a paused server answered")

	n.Resume()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(replyTimeout)))
	reply, err := readReply(bufio.NewReader(conn))
	require.NoError(t, err)
	assert.Equal(t, "OK", reply)
	value, ok := n.Get("k")
	assert.True(t, ok)
	assert.Equal(t, "late", value)
}

func TestServerHasStoppedWhenPauseReturns(t *testing.T) {
	n := Start(t, 1).Node(0)
	for range 100 {
		n.Pause()
		require.True(t, stopped(n.process.Pid))
		n.Resume()
	}
}

func TestKilledServerRefusesConnectionsAndComesBackEmptyOnItsPort(t *testing.T) {
	n := Start(t, 1).Node(0)
	addr, first := n.Addr(), n.Info("server")["run_id"]
	n.Set("k", "v", time.Minute)

	n.Kill()
	_, err := net.Dial("tcp", addr)
	require.Error(t, err)
	n.Kill()
	n.Restart()

	assert.Equal(t, addr, n.Addr())
	assert.Empty(t, n.Keys())
	assert.NotEqual(t, first, n.Info("server")["run_id"])
}

func TestRestartEndsAServerThatRuns(t *testing.T) {
	n := Start(t, 1).Node(0)
	first := n.Info("server")["run_id"]
	n.Pause()
	n.Restart()
	assert.NotEqual(t, first, n.Info("server")["run_id"])
}

func TestTerminatedServerShutsDownByItself(t *testing.T) {
	n := Start(t, 1).Node(0)
	n.Terminate()
	assert.Contains(t, n.lastLines(), "Redis is now ready to exit")
	n.Restart()
	assert.Empty(t, n.Keys())
}

func TestServerWithAOFLosesNothingInACrash(t *testing.T) {
	n := Start(t, 1, AOF()).Node(0)
	n.Set("k", "v", time.Minute)
	n.Kill()
	n.Restart()
	assert.Equal(t, []string{"k"}, n.Keys())
}

func TestRestartedServerHasLoadedItsData(t *testing.T) {
	// Slow enough to load that it says in between that it is not ready.
	n := Start(t, 1, AOF(), Args("--key-load-delay", "100")).Node(0)
	_, err := n.Do("EVAL", `for i = 1, 5000 do redis.call("SET", i, i) end`, "0")
	require.NoError(t, err)

	n.Restart()

	value, _ := n.Get("5000")
	assert.Equal(t, "5000", value)
}

func TestServerWithAPasswordAnswersNobodyElse(t *testing.T) {
	n := Start(t, 1, Password("s3cret/@")).Node(0)
	assert.Equal(t, "redis://:s3cret%2F%40@"+n.Addr(), n.URL())
	assert.Empty(t, n.Keys())

	n.set = &settings{}
	_, err := n.Do("PING")
	assert.ErrorContains(t, err, "NOAUTH")
}

func TestServerWithTLSIsTrustedByItsOwnClientsOnly(t *testing.T) {
	n := Start(t, 1, TLS(), Password("secret")).Node(0)
	assert.Equal(t, "rediss://:secret@"+n.Addr(), n.URL())
	assert.Empty(t, n.Keys())

	n.set.client.RootCAs = nil
	_, err := n.Do("PING")
	assert.ErrorContains(t, err, "certificate")
}

func TestServerWithASocketAnswersThere(t *testing.T) {
	n := Start(t, 1, UnixSocket()).Node(0)
	conn, err := net.Dial("unix", n.Socket())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, writeCommand(conn, []string{"PING"}))
	reply, err := readReply(bufio.NewReader(conn))
	require.NoError(t, err)
	assert.Equal(t, "PONG", reply)
}

func TestReplicaHasItsMastersData(t *testing.T) {
	master := Start(t, 1, Password("secret")).Node(0)
	master.Set("k", "v", time.Minute)

	replica := Start(t, 1, ReplicaOf(master)).Node(0)

	assert.Equal(t, "slave", replica.Info("replication")["role"])
	assert.Equal(t, []string{"k"}, replica.Keys())
}

func TestReplicaOfAMasterWithTLSIsRefused(t *testing.T) {
	master := Start(t, 1, TLS()).Node(0)
	_, err := Launch(1, ReplicaOf(master))
	assert.ErrorContains(t, err, "start it without TLS")
}

func TestArgsReachTheServer(t *testing.T) {
	n := Start(t, 1, Args("--maxmemory", "1mb")).Node(0)
	reply, err := n.Do("CONFIG", "GET", "maxmemory")
	require.NoError(t, err)
	assert.Equal(t, []any{"maxmemory", "1048576"}, reply)
}

func TestKeysAreSeenAsTheyAre(t *testing.T) {
	n := Start(t, 1).Node(0)
	_, ok := n.Get("k")
	assert.False(t, ok)
	_, ok = n.PTTL("k")
	assert.False(t, ok)

	n.Set("k", "a b\r\nc", time.Minute)
	n.Set("j", "", time.Minute)
	_, err := n.Do("SET", "i", "stays")
	require.NoError(t, err)

	value, ok := n.Get("k")
	assert.True(t, ok)
	assert.Equal(t, "a b\r\nc", value)
	value, ok = n.Get("j")
	assert.True(t, ok)
	assert.Empty(t, value)
	left, ok := n.PTTL("k")
	assert.True(t, ok)
	assert.InDelta(t, time.Minute, left, float64(10*time.Second))
	_, ok = n.PTTL("i")
	assert.False(t, ok, "a key that does not expire")
	assert.Equal(t, []string{"i", "j", "k"}, n.Keys())
}

func TestMethodsFailTheTestAndNameTheServer(t *testing.T) {
	for name, method := range map[string]func(*Node){
		"pause":     (*Node).Pause,
		"resume":    (*Node).Resume,
		"terminate": (*Node).Terminate,
		"GET k":     func(n *Node) { n.Get("k") },
		"PTTL k":    func(n *Node) { n.PTTL("k") },
		"KEYS *":    func(n *Node) { n.Keys() },
		"info":      func(n *Node) { n.Info("server") },
	} {
		t.Run(name, func(t *testing.T) {
			said := fatal(t, func(tb testing.TB) {
				tb.Helper()
				n := Start(tb, 1).Node(0)
				n.Kill()
				method(n)
			})
			assert.Contains(t, said, name)
			assert.Contains(t, said, "127.0.0.1:")
		})
	}
}

func TestErrorRepliesAreErrors(t *testing.T) {
	n := Start(t, 1).Node(0)
	_, err := n.Do("NOSUCH", "x")
	var reply ReplyError
	require.ErrorAs(t, err, &reply)
	assert.Contains(t, string(reply), "unknown command")
	assert.ErrorContains(t, err, "NOSUCH x on "+n.Addr())
}
