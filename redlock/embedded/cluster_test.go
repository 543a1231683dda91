package embedded

import (
	"bufio"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNodesAreIndependent(t *testing.T) {
	addrs := start(t, 3).Addrs()
	require.Len(t, addrs, 3)

	do(t, dial(t, addrs[0]), "SET", "k", "v")

	assert.Nil(t, do(t, dial(t, addrs[1]), "GET", "k"))
	assert.Nil(t, do(t, dial(t, addrs[2]), "GET", "k"))
}

func TestStoppedNodeCutsAndRefusesConnections(t *testing.T) {
	c := start(t, 2)
	conn, err := net.Dial("tcp", c.Addrs()[1])
	require.NoError(t, err)
	defer conn.Close()

	require.NoError(t, c.Stop(1))

	_, err = conn.Read(make([]byte, 1))
	assert.Error(t, err, "the connection was not cut")
	_, err = net.Dial("tcp", c.Addrs()[1])
	assert.ErrorIs(t, err, syscall.ECONNREFUSED)
	assert.Equal(t, "PONG", do(t, dial(t, c.Addrs()[0]), "PING"), "the other node goes on")
}

func TestStartedAgainNodeHasItsDataAndAddressButNoScripts(t *testing.T) {
	c := start(t, 1)
	before := dial(t, c.Addrs()[0])
	do(t, before, "SET", "k", "v")
	sha := do(t, before, "SCRIPT", "LOAD", "return 7").(string)
	require.EqualValues(t, 7, do(t, before, "EVALSHA", sha, "0"))

	require.NoError(t, c.Stop(0))
	require.NoError(t, c.Start(0))

	after := dial(t, c.Addrs()[0])
	assert.Equal(t, "v", do(t, after, "GET", "k"))
	assert.ErrorContains(t, doErr(t.Context(), after, "EVALSHA", sha, "0"), "NOSCRIPT")
}

func TestBlockingCommandsStillBlockAfterARestart(t *testing.T) {
	c := start(t, 1)
	require.NoError(t, c.Stop(0))
	require.NoError(t, c.Start(0))

	assert.Nil(t, do(t, dial(t, c.Addrs()[0]), "BLPOP", "queue", "0.01"))
}

func TestStopAndStartAndCloseMayBeRepeated(t *testing.T) {
	c := start(t, 1)
	require.NoError(t, c.Start(0))
	require.NoError(t, c.Stop(0))
	require.NoError(t, c.Stop(0))
	require.NoError(t, c.Start(0))
	require.NoError(t, c.Close())
	require.NoError(t, c.Close())
	require.NoError(t, c.Stop(0))
	assert.ErrorContains(t, c.Start(0), "the cluster is closed")
}

func TestNodeStopsAndStartsWhileClientsKeepConnecting(t *testing.T) {
	c := start(t, 1)
	stop := make(chan struct{})
	var waiting sync.WaitGroup
	for range 4 {
		waiting.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if reply := hello(c.Addrs()[0]); strings.HasPrefix(reply, "-") {
					t.Errorf("HELLO was answered with %q", reply)
				}
			}
		})
	}
	for range 20 {
		require.NoError(t, c.Stop(0))
		require.NoError(t, c.Start(0))
	}
	close(stop)
	waiting.Wait()
}

// hello returns the first line of the reply to HELLO, empty when the node is
// down or goes down before it has replied.
func hello(addr string) string {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return ""
	}
	defer conn.Close()
	_, _ = conn.Write([]byte("*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"))
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return line
}

func TestStartAtServesFixedAddresses(t *testing.T) {
	free := freeAddr(t)
	_, port, _ := net.SplitHostPort(free)

	c, err := StartAt("localhost:" + port)
	require.NoError(t, err)
	defer c.Close()

	assert.Equal(t, []string{free}, c.Addrs())
	assert.Equal(t, "PONG", do(t, dial(t, free), "PING"))
}

func TestStartAtLeavesNothingBehindWhenAnAddressIsInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	free := freeAddr(t)

	_, err = StartAt(free, taken.Addr().String())

	require.ErrorIs(t, err, syscall.EADDRINUSE)
	assert.ErrorContains(t, err, "node 1 at \""+taken.Addr().String()+"\"")
	_, err = net.Dial("tcp", free)
	assert.ErrorIs(t, err, syscall.ECONNREFUSED, "the first node is still there")
}

func TestNodeCannotStartWhileAnotherHasItsAddress(t *testing.T) {
	c := start(t, 1)
	require.NoError(t, c.Stop(0))
	other, err := net.Listen("tcp", c.Addrs()[0])
	require.NoError(t, err)

	assert.ErrorIs(t, c.Start(0), syscall.EADDRINUSE)

	require.NoError(t, other.Close())
	assert.NoError(t, c.Start(0))
}

func TestBadInputIsRefused(t *testing.T) {
	free := freeAddr(t)
	for name, tc := range map[string]struct {
		addrs []string
		says  string
	}{
		"no nodes":             {nil, "no nodes"},
		"every interface":      {[]string{":7001"}, `node 0 at ":7001": not a loopback address`},
		"all IPv4 interfaces":  {[]string{"0.0.0.0:7001"}, "not a loopback address"},
		"another machine":      {[]string{free, "10.0.0.4:6379"}, `node 1 at "10.0.0.4:6379": not a loopback address`},
		"a name":               {[]string{"redis.example:6379"}, "not a loopback address"},
		"no port":              {[]string{"127.0.0.1"}, "missing port"},
		"a port out of range":  {[]string{"127.0.0.1:70000"}, "invalid port"},
		"the same one twice":   {[]string{free, free}, "given twice"},
		"the same one spelled": {[]string{free, strings.Replace(free, "127.0.0.1", "localhost", 1)}, "given twice"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := StartAt(tc.addrs...)
			assert.ErrorContains(t, err, tc.says)
		})
	}

	for _, n := range []int{0, -1} {
		_, err := Start(n)
		assert.ErrorContains(t, err, "no nodes")
	}

	c := start(t, 2)
	for _, i := range []int{-1, 2} {
		assert.ErrorContains(t, c.Stop(i), "the nodes are numbered 0 to 1")
		assert.ErrorContains(t, c.Start(i), "the nodes are numbered 0 to 1")
	}
}

func TestNodesServeUntilTheTestEnds(t *testing.T) {
	var addrs []string
	t.Run("a user's test", func(t *testing.T) {
		addrs = Nodes(t, 3)
		for _, addr := range addrs {
			assert.Equal(t, "PONG", do(t, dial(t, addr), "PING"))
		}
	})
	require.Len(t, addrs, 3)
	for _, addr := range addrs {
		_, err := net.Dial("tcp", addr)
		assert.ErrorIs(t, err, syscall.ECONNREFUSED)
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}
