package redistest

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStartedServersAnswerAndAreIndependent(t *testing.T) {
	c := Start(t, 3)
	require.Len(t, c.Addrs(), 3)
	ids := map[string]bool{}
	for i, n := range c.Nodes() {
		assert.Equal(t, n, c.Node(i))
		assert.Equal(t, n.Addr(), c.Addrs()[i])
		assert.Equal(t, "redis://"+n.Addr(), n.URL())
		reply, err := n.Do("PING")
		require.NoError(t, err)
		assert.Equal(t, "PONG", reply)
		ids[n.Info("server")["run_id"]] = true
	}
	assert.Len(t, ids, 3)
}

func TestNothingIsLeftAfterTheTest(t *testing.T) {
	var pids []int
	var c *Cluster
	t.Run("with servers", func(t *testing.T) {
		c = Start(t, 3, UnixSocket(), TLS())
		c.Node(0).Pause()
		c.Node(1).Kill()
		for _, n := range c.Nodes() {
			pids = append(pids, n.process.Pid)
		}
	})
	require.Len(t, pids, 3)
	for _, pid := range pids {
		assert.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "process %d is still there", pid)
	}
	assert.NoDirExists(t, c.dir.path)
	assert.NoError(t, c.Close(), "closed again")
}

func TestNothingIsLeftOfAProgramThatDidNotCloseItsServers(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Log("only Linux kills servers with their starter; see the package comment")
		return
	}
	for _, end := range []string{"kill", "panic", "exit"} {
		t.Run(end, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir()) // where no other process tidies up
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), asProgram+"="+end)
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			line, err := bufio.NewReader(out).ReadString('\n')
			require.NoError(t, err)
			left := strings.Fields(line)
			require.Len(t, left, 3, line)
			addrs, dir := left[:2], left[2]
			if end == "kill" {
				require.NoError(t, cmd.Process.Kill())
			}
			_ = cmd.Wait()

			for _, addr := range addrs {
				require.Eventually(t, func() bool {
					_, err := net.Dial("tcp", addr)
					return err != nil
				}, 10*time.Second, 10*time.Millisecond, "%s is still served", addr)
			}
			require.DirExists(t, dir)
			Start(t, 1)
			assert.NoDirExists(t, dir, "whoever starts servers next removes it")
		})
	}
}

func TestDirectoriesInUseAreNotTakenForAbandoned(t *testing.T) {
	c := Start(t, 1)
	removeAbandoned()
	assert.DirExists(t, c.dir.path)
}

func TestMissingServerFailsTheTestAndSaysWhatToInstall(t *testing.T) {
	for name, tc := range map[string]struct{ env, value, says string }{
		"named": {"REDIS_SERVER", "/nonexistent", "redistest: no redis-server at REDIS_SERVER=/nonexistent (stat /nonexistent: no such file or directory): install it "},
		"found": {"PATH", "", "redistest: no redis-server in the PATH: install it "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("REDIS_SERVER", "")
			t.Setenv(tc.env, tc.value)

			said := fatal(t, startOne)

			assert.Contains(t, said, tc.says)
			assert.Contains(t, said, "apt-get install redis-server")
			assert.NotContains(t, said, "\n")
		})
	}
}

func TestServerThatDoesNotStartShowsItsLastLines(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())

	said := fatal(t, func(tb testing.TB) {
		tb.Helper()
		Start(tb, 2, Args("--no-such-option", "1"))
	})

	assert.Contains(t, said, "redis-server on 127.0.0.1:")
	assert.Contains(t, said, "exit status 1")
	assert.Contains(t, said, "Bad directive or wrong number of arguments")
	left, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestProgramThatIsNoRedisServerIsToldFromOne(t *testing.T) {
	t.Setenv("REDIS_SERVER", "true")
	assert.Contains(t, fatal(t, startOne), "it ended")
}

func TestNumberOfServersBelowOneIsRefused(t *testing.T) {
	for _, n := range []int{0, -1} {
		_, err := Launch(n)
		assert.ErrorContains(t, err, "at least one")
	}
}

func TestServerWhosePortWasTakenInTheMeantimeGetsAnother(t *testing.T) {
	c := Start(t, 2)
	other, late := c.Node(0), c.Node(1)
	late.Kill()
	ports := []string{other.port, other.port, late.port}
	pick := func() (string, error) {
		port := ports[0]
		ports = ports[1:]
		return port, nil
	}

	require.NoError(t, late.startAnywhere(pick))

	assert.Empty(t, ports)
	assert.NotEqual(t, other.Info("server")["run_id"], late.Info("server")["run_id"], "it took the other for itself")
}

func TestLaunchedServersNeedNoTest(t *testing.T) {
	c, err := Launch(2, Password("secret"))
	require.NoError(t, err)
	c.Node(0).Set("k", "v", time.Minute)
	c.Node(1).Kill()
	assert.Panics(t, func() { c.Node(1).Get("k") })
	require.NoError(t, c.Close())
	assert.Panics(t, func() { c.Node(0).Restart() }, "closed for good")
}

func startOne(tb testing.TB) {
	tb.Helper()
	Start(tb, 1)
}

// fatal returns what f says when it fails its test.
func fatal(t *testing.T, f func(testing.TB)) string {
	t.Helper()
	tb := &failingTB{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(tb)
	}()
	<-done
	require.NotEmpty(t, tb.said, "it did not fail")
	return tb.said
}

type failingTB struct {
	testing.TB
	said string
}

func (tb *failingTB) Fatal(args ...any) {
	tb.said = fmt.Sprint(args...)
	runtime.Goexit()
}

func (tb *failingTB) Fatalf(format string, args ...any) {
	tb.Fatal(fmt.Sprintf(format, args...))
}
