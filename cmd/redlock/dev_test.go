package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// machine is one with development nodes of its own: other ports, and another
// user's home.
type machine struct {
	t     *testing.T
	nodes []string
	cache string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, nodes: freePorts(t, 5), cache: t.TempDir()}
	t.Cleanup(func() { m.run("dev", "--stop") })
	return m
}

func (m *machine) command(args ...string) *process {
	m.t.Helper()
	p := command(m.t, args...)
	p.Env = append(p.Env, devNodes+"="+strings.Join(m.nodes, ","), "XDG_CACHE_HOME="+m.cache)
	return p
}

func (m *machine) run(args ...string) result {
	m.t.Helper()
	return m.command(args...).start().result()
}

func (m *machine) serving() int { return serving(context.Background(), m.nodes) }

// export is what redlock dev prints.
func (m *machine) export() string {
	return "export REDLOCK_NODES=" + strings.Join(m.nodes, ",") + "\n"
}

// freePorts returns addresses on which nobody listens. They are below the ports
// that are given out to connections.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	var addrs []string
	for port := 12000 + os.Getpid()%8000; len(addrs) < n; port++ {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if l, err := net.Listen("tcp", addr); err == nil {
			require.NoError(t, l.Close())
			addrs = append(addrs, addr)
		}
		require.Less(t, port, 32000)
	}
	return addrs
}

func TestTwoRunsWithoutNodesExcludeEachOther(t *testing.T) {
	m := newMachine(t)
	dir := t.TempDir()
	first := m.command("run", "k", "--", "sh", "-c", "echo in > "+dir+"/in; read wait")
	stdin, err := first.StdinPipe()
	require.NoError(t, err)
	first.start()
	written(t, dir+"/in")

	second := m.run("run", "-n", "k", "--", "true")
	other := m.run("run", "-n", "another", "--", "true")

	assert.Equal(t, 75, second.code)
	assert.Equal(t, 0, other.code)
	requireOneLine(t, other.stderr)
	assert.Contains(t, other.stderr, "using the development nodes of this machine, which exclude nobody on any other")
	assert.Contains(t, other.stderr, "redlock dev --stop ends them")
	assert.Contains(t, other.stderr, "give --nodes or REDLOCK_NODES")
	require.NoError(t, stdin.Close())
	assert.Equal(t, 1, first.code())
	assert.Equal(t, 0, m.run("run", "-n", "k", "--", "true").code)
}

func TestDevelopmentNodesStayUntilTheyAreStopped(t *testing.T) {
	m := newMachine(t)
	assert.Equal(t, result{0, "no development nodes are served\n", ""}, m.run("dev", "--stop"))

	require.Equal(t, 0, m.run("run", "k", "--", "true").code)
	assert.Equal(t, 5, m.serving())
	mark, err := os.ReadFile(filepath.Join(m.cache, "redlock", "dev.pid"))
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.Split(string(mark), "\n")[0])
	require.NoError(t, err)
	session, err := unix.Getsid(pid)
	require.NoError(t, err)
	assert.Equal(t, pid, session, "they do not end with a terminal")

	r := m.run("dev", "--stop")
	assert.Equal(t, 0, r.code)
	assert.Contains(t, r.stdout, "the development nodes have ended")
	assert.Equal(t, 0, m.serving())
	assert.Equal(t, result{0, "no development nodes are served\n", ""}, m.run("dev", "--stop"))

	require.Equal(t, 0, m.run("run", "k", "--", "true").code, "they can be started again")
	assert.Equal(t, 5, m.serving())
}

func TestRunsThatStartTheDevelopmentNodesAtOnceShareThem(t *testing.T) {
	m := newMachine(t)
	var runs []*process
	for i := range 4 {
		runs = append(runs, m.command("run", "-n", "k"+strconv.Itoa(i), "--", "true").start())
	}
	for _, p := range runs {
		r := p.result()
		assert.Equal(t, 0, r.code, r.stderr)
	}
	assert.Equal(t, 5, m.serving())
	require.Equal(t, 0, m.run("dev", "--stop").code)
	assert.Equal(t, 0, m.serving(), "one process served them all")
}

func TestDevelopmentNodesKeepNothingOfWhoeverStartedThem(t *testing.T) {
	m := newMachine(t)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	p := m.command("run", "k", "--", "sh", "-c", "echo hello >&3")
	p.ExtraFiles = []*os.File{w}
	p.start()
	require.NoError(t, w.Close())
	require.Equal(t, 0, p.code())
	require.Equal(t, 5, m.serving())

	// The end comes only when nobody has the pipe open.
	require.NoError(t, r.SetDeadline(time.Now().Add(bound)))
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	assert.Equal(t, "hello\n", string(text), "the command was given it")
}

func TestDevServesUntilASignal(t *testing.T) {
	for name, sig := range map[string]os.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			p := m.command("dev").start()
			eventually(t, "the nodes are served", func() bool { return m.serving() == 5 })
			r := m.run("run", "k", "--", "sh", "-c", "exit 3")
			assert.Equal(t, 3, r.code)

			p.signal(sig)

			assert.Equal(t, result{0, m.export(), "redlock: 5 nodes for development are served until Ctrl-C or TERM\n"}, p.result())
			assert.Equal(t, 0, m.serving())
		})
	}
}

func TestDevThatIsServedAlreadySaysSoAndEnds(t *testing.T) {
	m := newMachine(t)
	require.Equal(t, 0, m.run("run", "k", "--", "true").code)

	r := m.run("dev")

	assert.Equal(t, 0, r.code)
	assert.Equal(t, m.export(), r.stdout)
	requireOneLine(t, r.stderr)
	assert.Regexp(t, `served already, by process \d+; redlock dev --stop ends them`, r.stderr)

	// Another user, whose files are elsewhere.
	ours := m.cache
	m.cache = t.TempDir()
	r = m.run("dev")
	assert.Equal(t, 0, r.code)
	assert.Equal(t, m.export(), r.stdout)
	assert.Contains(t, r.stderr, "served already, by somebody else")
	assert.Equal(t, 0, m.run("run", "k", "--", "true").code, "they are the machine's")
	r = m.run("dev", "--stop")
	assert.Equal(t, 70, r.code)
	assert.Contains(t, r.stderr, "nobody of yours serves the development nodes, but 5 of their addresses are in use")

	m.cache = ours
	assert.Contains(t, m.run("dev", "--stop").stdout, "the development nodes have ended")
}

func TestAddressThatSomethingElseUsesIsTold(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	l, err := net.Listen("tcp", m.nodes[2])
	require.NoError(t, err)
	defer l.Close()

	r := m.run("dev")
	assert.Equal(t, 69, r.code)
	requireOneLine(t, r.stderr)
	assert.Contains(t, r.stderr, m.nodes[2])
	assert.Contains(t, r.stderr, "address already in use: end what listens there")

	r = m.run("run", "k", "--", "true")
	assert.Equal(t, 69, r.code)
	requireOneLine(t, r.stderr)
	assert.Contains(t, r.stderr, "the development nodes cannot be started: ")
	assert.Contains(t, r.stderr, m.nodes[2])
	assert.Contains(t, r.stderr, "or give nodes with --nodes or REDLOCK_NODES")
	assert.Equal(t, 1, m.serving(), "none was left behind")
}

func TestDevServesAsManyNodesAsAskedFor(t *testing.T) {
	for _, tc := range []struct {
		args  []string
		nodes int
	}{
		{[]string{"dev", "-n", "3"}, 3},
		{[]string{"dev", "--count=7"}, 7},
		{[]string{"dev", "--listen", "127.0.0.1:0,localhost:0"}, 2},
	} {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			m := newMachine(t)
			p := m.command(tc.args...)
			p.Stdout = nil
			out, err := p.StdoutPipe()
			require.NoError(t, err)
			p.start()
			var line [1 << 10]byte
			n, err := out.Read(line[:])
			require.NoError(t, err)

			list, ok := strings.CutPrefix(strings.TrimSpace(string(line[:n])), "export REDLOCK_NODES=")
			require.True(t, ok)
			nodes := strings.Split(list, ",")
			assert.Len(t, nodes, tc.nodes)
			assert.Equal(t, 4, run(t, on(nodes, "k", "--", "sh", "-c", "exit 4")...).code)
			p.signal(syscall.SIGTERM)
			assert.Equal(t, 0, p.code())
		})
	}
}

func TestMarkOfAProcessThatWasKilledIsNoHindrance(t *testing.T) {
	m := newMachine(t)
	p := m.command("dev").start()
	eventually(t, "the nodes are served", func() bool { return m.serving() == 5 })
	require.NoError(t, p.Process.Kill())
	p.code()
	mark, err := os.ReadFile(filepath.Join(m.cache, "redlock", "dev.pid"))
	require.NoError(t, err)
	require.NotEmpty(t, mark)

	assert.Equal(t, result{0, "no development nodes are served\n", ""}, m.run("dev", "--stop"))
	assert.Equal(t, 0, m.run("run", "k", "--", "true").code)
}

func TestWithoutAHomeRunAsksForNodes(t *testing.T) {
	m := newMachine(t)
	p := m.command("run", "k", "--", "true")
	p.Env = append(p.Env, "XDG_CACHE_HOME=", "HOME=")
	r := p.start().result()
	assert.Equal(t, 64, r.code)
	assert.Contains(t, r.stderr, "set HOME, or give nodes with --nodes or REDLOCK_NODES")
}

func TestSignalWhileTheDevelopmentNodesStartEndsTheRun(t *testing.T) {
	m := newMachine(t)
	l, err := net.Listen("tcp", m.nodes[0]) // so that it waits whether they come
	require.NoError(t, err)
	defer l.Close()
	p := m.command("run", "k", "--", "true").start()
	conn, err := l.Accept()
	require.NoError(t, err)
	defer conn.Close()

	p.signal(syscall.SIGTERM)

	r := p.result()
	assert.Equal(t, 128+int(syscall.SIGTERM), r.code)
	requireOneLine(t, r.stderr)
}
