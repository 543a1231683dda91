package main

import (
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/redlock/redistest"
)

var forwarded = map[string]syscall.Signal{
	"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP,
	"QUIT": syscall.SIGQUIT, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2,
}

func TestSignalIsForwardedToTheCommand(t *testing.T) {
	nodes := redistest.Start(t, 1).Addrs()
	for name, sig := range forwarded {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "signal")
			p := command(t, on(nodes, name, "--", self(t), asChild+"signals", file)...).start()
			require.Equal(t, "ready", written(t, file))

			p.signal(sig)

			assert.Equal(t, 100+int(sig), p.code(), "the command decides what comes of it")
			assert.Equal(t, sig.String(), written(t, file))
		})
	}
}

func TestSignalReachesWhatTheCommandHasStarted(t *testing.T) {
	nodes := redistest.Start(t, 1).Addrs()
	file := filepath.Join(t.TempDir(), "signal")
	// The shell dies of it, and is not one that passes anything on.
	p := command(t, on(nodes, "k", "--", "sh", "-c", `"$0" "$@"; exit 9`, self(t), asChild+"signals", file)...).start()
	require.Equal(t, "ready", written(t, file))

	p.signal(syscall.SIGTERM)

	assert.Equal(t, 128+int(syscall.SIGTERM), p.code())
	assert.Equal(t, syscall.SIGTERM.String(), written(t, file))
}

func TestSignalBeforeTheCommandStartsLeavesNoKey(t *testing.T) {
	cluster := redistest.Start(t, 5)
	// Each attempt gets two nodes and is refused by three.
	for i := range 3 {
		cluster.Node(i).Set("k", "another's", time.Minute)
	}
	for name, sig := range forwarded {
		t.Run(name, func(t *testing.T) {
			before := sets(cluster.Node(4))
			ran := filepath.Join(t.TempDir(), "ran")
			p := command(t, on(cluster.Addrs(), "-w", "1m", "k", "--", "touch", ran)...).start()
			eventually(t, "it waits for the lock", func() bool { return sets(cluster.Node(4)) != before })

			p.signal(sig)

			r := p.result()
			assert.Equal(t, 128+int(sig), r.code)
			requireOneLine(t, r.stderr)
			assert.Contains(t, r.stderr, "before touch was started, nothing was run")
			assert.NoFileExists(t, ran)
			for i := range 5 {
				_, there := cluster.Node(i).Get("k")
				assert.Equal(t, i < 3, there, "node %d", i)
			}
		})
	}
}

// sets returns how many SET the server has been sent.
func sets(n *redistest.Node) string { return n.Info("commandstats")["cmdstat_set"] }

func TestSignalEndsTheWaitForNodesThatDoNotAnswer(t *testing.T) {
	var silent []string
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		silent = append(silent, l.Addr().String())
	}
	p := command(t, on(silent, "-w", "1m", "k", "--", "true")...).start()
	// Its connections wait to be accepted, and so are not to be seen here.
	time.Sleep(200 * time.Millisecond)
	sent := time.Now()

	p.signal(syscall.SIGINT)

	assert.Equal(t, 128+int(syscall.SIGINT), p.code())
	assert.Less(t, time.Since(sent), bound/2)
}

func TestSignalThatWeWereStartedToIgnoreIsIgnored(t *testing.T) {
	nodes := redistest.Start(t, 1).Addrs()
	dir := t.TempDir()
	line := strings.Join(append([]string{self(t)}, on(nodes, "k", "--", "sh", "-c", `'echo in > `+dir+`/in; read wait'`)...), " ")
	p := command(t)
	p.Path, p.Args = "/bin/sh", []string{"sh", "-c", `trap "" HUP; exec ` + line} // as nohup does
	stdin, err := p.StdinPipe()
	require.NoError(t, err)
	p.start()
	written(t, dir+"/in")

	p.signal(syscall.SIGHUP)
	p.signal(syscall.SIGHUP)
	require.NoError(t, stdin.Close())

	assert.Equal(t, 1, p.code(), "read has found no line, and nobody died of HUP")
}
