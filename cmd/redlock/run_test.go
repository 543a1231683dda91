package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/redlock/redistest"
)

func TestCommandHasOurStdinAndStdoutAndStderr(t *testing.T) {
	nodes := redistest.Start(t, 3).Addrs()
	p := command(t, on(nodes, "k", "--", "sh", "-c", "cat; echo oops >&2")...)
	p.Stdin = strings.NewReader("in\nand\nout\n")
	r := p.start().result()
	assert.Equal(t, result{0, "in\nand\nout\n", "oops\n"}, r)
}

func TestCommandIsRunAsGivenWithoutAShell(t *testing.T) {
	nodes := redistest.Start(t, 1).Addrs()
	r := run(t, on(nodes, "k", "--", "printf", `%s.`, "$HOME", "*", "a b", "", "--ttl", "-n", "--")...)
	assert.Equal(t, result{0, "$HOME.*.a b..--ttl.-n.--.", ""}, r)
}

func TestCommandSeesTheKeyAndTheToken(t *testing.T) {
	cluster := redistest.Start(t, 1)
	dir := t.TempDir()
	p := command(t, on(cluster.Addrs(), "job:lock:email queue", "--",
		"sh", "-c", `echo "$REDLOCK_KEY"; echo "$REDLOCK_TOKEN" > `+dir+`/token; read wait`)...)
	stdin, err := p.StdinPipe()
	require.NoError(t, err)
	p.start()

	token := strings.TrimSpace(written(t, dir+"/token"))
	carried, _ := cluster.Node(0).Get("job:lock:email queue")
	assert.Equal(t, carried, token)
	require.NoError(t, stdin.Close())
	assert.Equal(t, "job:lock:email queue\n", p.result().stdout)
}

func TestCommandUnderTwoLocksSeesTheInnerOneOnly(t *testing.T) {
	nodes := redistest.Start(t, 1).Addrs()
	p := command(t, on(nodes, "inner", "--", "env")...)
	p.Env = append(p.Env, "REDLOCK_KEY=outer", "REDLOCK_TOKEN=outer")
	out := p.start().result().stdout
	assert.Equal(t, 1, strings.Count(out, "REDLOCK_KEY="), out)
	assert.Equal(t, 1, strings.Count(out, "REDLOCK_TOKEN="), out)
	assert.Contains(t, out, "REDLOCK_KEY=inner\n")
}

func TestNodesComeFromTheVariableUnlessTheFlagIsGiven(t *testing.T) {
	cluster := redistest.Start(t, 3)
	with := func(variable string, args ...string) int {
		p := command(t, append(append([]string{"run"}, args...), "k", "--", "true")...)
		p.Env = append(p.Env, nodesVariable+"="+variable)
		return p.start().code()
	}
	assert.Equal(t, 0, with(strings.Join(cluster.Addrs(), " , ")))
	assert.Equal(t, 0, with("127.0.0.1:1", "--nodes", cluster.Node(0).Addr(), "--nodes", cluster.Node(1).Addr()+","+cluster.Node(2).Addr()))
	assert.Equal(t, 69, with("127.0.0.1:1"))
}

func TestLockIsReleasedHoweverTheCommandEnds(t *testing.T) {
	cluster := redistest.Start(t, 3)
	for _, script := range []string{"true", "exit 3", "kill -KILL $$"} {
		run(t, on(cluster.Addrs(), "k", "--", "sh", "-c", script)...)
		for _, n := range cluster.Nodes() {
			assert.Empty(t, n.Keys(), script)
		}
		assert.Equal(t, 0, run(t, on(cluster.Addrs(), "--no-wait", "k", "--", "true")...).code, "it can be had at once")
	}
}

func TestLockIsExtendedForAsLongAsTheCommandRuns(t *testing.T) {
	t.Parallel()
	cluster := redistest.Start(t, 3)
	const ttl = 500 * time.Millisecond
	file := filepath.Join(t.TempDir(), "signal")
	p := command(t, on(cluster.Addrs(), "--ttl", ttl.String(), "k", "--", self(t), asChild+"signals", file)...).start()
	written(t, file)
	token, held := cluster.Node(0).Get("k")
	require.True(t, held)

	for deadline := time.Now().Add(4 * ttl); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		r := run(t, on(cluster.Addrs(), "-n", "k", "--", "true")...)
		require.Equal(t, 75, r.code, r.stderr)
	}
	again, _ := cluster.Node(0).Get("k")
	assert.Equal(t, token, again, "it is the same lock all the time")

	p.signal(syscall.SIGTERM)
	assert.Equal(t, 100+int(syscall.SIGTERM), p.code())
}

func TestTwoRunsAtOnceExcludeEachOther(t *testing.T) {
	nodes := redistest.Start(t, 5).Addrs()
	dir := t.TempDir()
	// mkdir fails where another is inside.
	script := `mkdir ` + dir + `/inside || exit 9; echo x >> ` + dir + `/runs; rmdir ` + dir + `/inside`
	var runs []*process
	for range 8 {
		runs = append(runs, command(t, on(nodes, "-w", "20s", "k", "--", "sh", "-c", script)...).start())
	}
	for _, p := range runs {
		r := p.result()
		assert.Equal(t, 0, r.code, r.stderr)
	}
	count, err := os.ReadFile(dir + "/runs")
	require.NoError(t, err)
	assert.Equal(t, strings.Repeat("x\n", len(runs)), string(count))
}

func TestWaitGetsTheLockWhenItIsReleased(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 3).Addrs()
	dir := t.TempDir()
	holder := command(t, on(nodes, "k", "--", "sh", "-c", "echo in > "+dir+"/holder; read wait; echo left >> "+dir+"/order")...)
	stdin, err := holder.StdinPipe()
	require.NoError(t, err)
	holder.start()
	written(t, dir+"/holder")

	waiter := command(t, on(nodes, "--wait", "20s", "k", "--", "sh", "-c", "echo came >> "+dir+"/order")...).start()
	assert.Equal(t, 75, run(t, on(nodes, "k", "--", "true")...).code, "three more attempts are over before the wait is")
	require.True(t, waiter.running())
	require.NoError(t, stdin.Close())

	assert.Equal(t, 0, holder.code())
	assert.Equal(t, 0, waiter.code())
	assert.Equal(t, "left\ncame\n", written(t, dir+"/order"))
}

// The last attempt is still on its way when the wait is over. That it has no
// answer says nothing, and the one before it was refused.
func TestWaitThatEndsInTheMiddleOfAnAttemptSaysHeld(t *testing.T) {
	t.Parallel()
	cluster := redistest.Start(t, 3)
	for _, n := range cluster.Nodes() {
		n.Set("k", "another's", time.Minute)
	}
	before := sets(cluster.Node(0))
	const wait = 1500 * time.Millisecond
	p := command(t, on(cluster.Addrs(), "-w", wait.String(), "k", "--", "true")...).start()
	eventually(t, "an attempt", func() bool { return sets(cluster.Node(0)) != before })
	time.Sleep(wait - 350*time.Millisecond) // a node that does not answer is given 500 ms
	for _, n := range cluster.Nodes() {
		n.Pause()
	}
	r := p.result()
	assert.Equal(t, 75, r.code, r.stderr)
	assert.Contains(t, r.stderr, "k is still held by another owner after 1.5s")
}

func TestLockStaysHeldWhileAnythingOfTheCommandRuns(t *testing.T) {
	t.Parallel()
	cluster := redistest.Start(t, 3)
	dir := t.TempDir()
	p := command(t, on(cluster.Addrs(), "k", "--", "sh", "-c",
		"(read wait < "+dir+"/fifo; echo end > "+dir+"/end) & echo in > "+dir+"/in; exit 3")...)
	require.NoError(t, syscall.Mkfifo(dir+"/fifo", 0o600))
	p.start()
	written(t, dir+"/in")

	r := run(t, on(cluster.Addrs(), "-w", "2s", "k", "--", "true")...)
	assert.Equal(t, 75, r.code)
	require.True(t, p.running())

	fifo, err := os.OpenFile(dir+"/fifo", os.O_RDWR, 0) // does not wait for the reader
	require.NoError(t, err)
	defer fifo.Close()
	_, err = fifo.WriteString("go\n")
	require.NoError(t, err)
	r = p.result()
	assert.Equal(t, 3, r.code, "of the command itself")
	assert.FileExists(t, dir+"/end")
	requireOneLine(t, r.stderr)
	assert.Contains(t, r.stderr, "sh has ended with 3, but what it started still runs")
	assert.Empty(t, cluster.Node(0).Keys())
}

func TestCommandIsNotStartedWhenTooLittleOfTheLockIsLeft(t *testing.T) {
	t.Parallel()
	node := redistest.Start(t, 1).Node(0)
	do := func(args ...string) {
		_, err := node.Do(args...)
		require.NoError(t, err)
	}
	ran := filepath.Join(t.TempDir(), "ran")
	// The server answers after more than half of the ttl, and before its end; on
	// a busy machine not each time.
	eventually(t, "a lock that was granted late", func() bool {
		do("CLIENT", "PAUSE", "10000", "WRITE")
		p := command(t, on([]string{node.Addr()}, "--ttl", "400ms", "--kill-after", "200ms", "-n", "k", "--", "touch", ran)...).start()
		eventually(t, "the server has been asked", func() bool { return node.Info("clients")["blocked_clients"] == "1" || !p.running() })
		time.Sleep(250 * time.Millisecond)
		do("CLIENT", "UNPAUSE")
		r := p.result()
		require.Equal(t, 69, r.code, r.stderr)
		return strings.Contains(r.stderr, "k was locked so slowly that only ")
	})
	assert.NoFileExists(t, ran)
	eventually(t, "the lock is released", func() bool { return len(node.Keys()) == 0 })
}

func TestReleaseThatFailsDoesNotFailTheCommand(t *testing.T) {
	cluster := redistest.Start(t, 3)
	dir := t.TempDir()
	p := command(t, on(cluster.Addrs(), "k", "--", "sh", "-c", "echo in > "+dir+"/in; read wait; exit 3")...)
	stdin, err := p.StdinPipe()
	require.NoError(t, err)
	p.start()
	written(t, dir+"/in")
	cluster.Node(0).Kill()
	cluster.Node(1).Kill()
	require.NoError(t, stdin.Close())

	r := p.result()
	assert.Equal(t, 3, r.code)
	requireOneLine(t, r.stderr)
	assert.Contains(t, r.stderr, "k could not be released and stays locked until it expires, in 30s at the most")
}

func TestVerboseTellsHowNodesComeAndGo(t *testing.T) {
	cluster := redistest.Start(t, 3)
	cluster.Node(2).Kill()
	r := run(t, on(cluster.Addrs(), "-v", "k", "--", "true")...)
	assert.Equal(t, 0, r.code)
	assert.Contains(t, r.stderr, `msg="redlock: node can be reached" node=`+cluster.Node(0).Addr())
	assert.Contains(t, r.stderr, `node=`+cluster.Node(2).Addr())
	assert.Contains(t, r.stderr, "connection refused")
}
