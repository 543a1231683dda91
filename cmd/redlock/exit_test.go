package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/redlock/redistest"
)

func TestExitCodeOfTheCommandPassesThrough(t *testing.T) {
	nodes := redistest.Start(t, 3).Addrs()
	for script, want := range map[string]int{
		"exit 0":          0,
		"exit 3":          3,
		"exit 75":         75,
		"exit 255":        255,
		"kill -KILL $$":   128 + 9,
		"kill -TERM $$":   128 + 15,
		"kill -USR1 $$":   128 + 10,
		"(exit 9); false": 1,
	} {
		t.Run(script, func(t *testing.T) {
			r := run(t, on(nodes, "k", "--", "sh", "-c", script)...)
			assert.Equal(t, want, r.code)
			assert.Empty(t, r.stderr)
		})
	}
}

func TestHeldLockIsExit75OrWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	cluster := redistest.Start(t, 3)
	for _, n := range cluster.Nodes() {
		n.Set("import:lock:customers", "another's", time.Minute)
	}
	for name, tc := range map[string]struct {
		flags []string
		code  int
		says  string
	}{
		"by default":       {nil, 75, "try later, or wait with --wait 1m"},
		"once":             {[]string{"--no-wait"}, 75, "try later"},
		"after waiting":    {[]string{"-w", "300ms"}, 75, "still held by another owner after 300ms"},
		"another code":     {[]string{"-n", "-E", "9"}, 9, "try later"},
		"no error at all":  {[]string{"-n", "--conflict-exit-code=0"}, 0, "try later"},
		"flags at the end": {[]string{"--ttl", "5s"}, 75, "try later"},
	} {
		t.Run(name, func(t *testing.T) {
			ran := filepath.Join(t.TempDir(), "ran")
			args := on(cluster.Addrs(), "import:lock:customers")
			r := run(t, append(append(args, tc.flags...), "--", "touch", ran)...)
			assert.Equal(t, tc.code, r.code)
			requireOneLine(t, r.stderr)
			assert.Contains(t, r.stderr, "import:lock:customers is")
			assert.Contains(t, r.stderr, "held by another owner")
			assert.Contains(t, r.stderr, tc.says)
			assert.NoFileExists(t, ran)
		})
	}
}

func TestTooFewNodesAreExit69NotHeld(t *testing.T) {
	t.Parallel()
	cluster := redistest.Start(t, 5)
	for i := range 2 {
		cluster.Node(i).Kill()
	}
	require.Equal(t, 0, run(t, on(cluster.Addrs(), "k", "--", "true")...).code, "two of five are down")

	cluster.Node(2).Kill()
	r := run(t, on(cluster.Addrs(), "k", "--", "true")...)

	assert.Equal(t, 69, r.code)
	requireOneLine(t, r.stderr)
	for i := range 3 {
		assert.Contains(t, r.stderr, "node "+cluster.Node(i).Addr()+": ")
	}
	assert.Contains(t, r.stderr, "connection refused")
	assert.Contains(t, r.stderr, "nothing was run")
	for i := 3; i < 5; i++ {
		assert.Empty(t, cluster.Node(i).Keys())
	}
}

func TestWrongUsageIsExit64(t *testing.T) {
	cluster := redistest.Start(t, 3)
	nodes := strings.Join(cluster.Addrs(), ",")
	first := cluster.Node(0).Addr()
	sameServer := strings.Replace(first, "127.0.0.1", "localhost", 1)
	for name, tc := range map[string]struct {
		args []string
		says string
	}{
		"no key":                {[]string{"run"}, "the key is missing"},
		"no key but a command":  {[]string{"run", "--", "true"}, "the key is missing"},
		"no command":            {[]string{"run", "--nodes", nodes, "k"}, "the command is missing"},
		"nothing after --":      {[]string{"run", "--nodes", nodes, "k", "--"}, "the command is missing"},
		"no --":                 {[]string{"run", "--nodes", nodes, "k", "true"}, "-- is missing"},
		"two keys":              {[]string{"run", "--nodes", nodes, "k", "l", "--", "true"}, "2 arguments before --"},
		"an unknown flag":       {[]string{"run", "--nope", "k", "--", "true"}, "unknown flag: --nope"},
		"an unknown command":    {[]string{"nope"}, `unknown command "nope"`},
		"no unit":               {[]string{"run", "--ttl", "5", "k", "--", "true"}, `invalid argument "5" for "--ttl"`},
		"no duration":           {[]string{"run", "-w", "soon", "k", "--", "true"}, `invalid argument "soon"`},
		"wait and no wait":      {[]string{"run", "-n", "-w", "1s", "k", "--", "true"}, "give one of them"},
		"wait for no time":      {[]string{"run", "-w", "0s", "k", "--", "true"}, "--wait 0s: must be positive"},
		"a negative wait":       {[]string{"run", "-w", "-1s", "k", "--", "true"}, "--wait -1s: must be positive"},
		"no ttl":                {[]string{"run", "--ttl", "0s", "k", "--", "true"}, "--ttl 0s: must be positive"},
		"a negative ttl":        {[]string{"run", "--ttl", "-5s", "k", "--", "true"}, "--ttl -5s: must be positive"},
		"a ttl below its drift": {[]string{"run", "--nodes", nodes, "--ttl", "2ms", "k", "--", "true"}, "must be longer than its drift"},
		"a negative kill-after": {[]string{"run", "--kill-after", "-1s", "k", "--", "true"}, "--kill-after -1s: must not be negative"},
		"a long kill-after":     {[]string{"run", "--kill-after", "16s", "k", "--", "true"}, "must not be more than half of --ttl 30s"},
		"an exit code of 256":   {[]string{"run", "-E", "256", "k", "--", "true"}, "must be from 0 to 255"},
		"a negative exit code":  {[]string{"run", "-E", "-1", "k", "--", "true"}, "must be from 0 to 255"},
		"an empty key":          {[]string{"run", "--nodes", nodes, "", "--", "true"}, `key "": must not be empty`},
		"a long key":            {[]string{"run", "--nodes", nodes, strings.Repeat("k", 513), "--", "true"}, "has 513 bytes"},
		"no majority":           {[]string{"run", "--nodes", nodes, "--quorum", "1", "k", "--", "true"}, "must be a majority"},
		"a quorum of 0":         {[]string{"run", "--nodes", nodes, "--quorum", "0", "k", "--", "true"}, "must be a majority"},
		"more than all":         {[]string{"run", "--nodes", nodes, "--quorum", "4", "k", "--", "true"}, "there are not that many nodes"},
		"empty nodes":           {[]string{"run", "--nodes", "", "k", "--", "true"}, "--nodes names no nodes"},
		"a gap in nodes":        {[]string{"run", "--nodes", first + ",,", "k", "--", "true"}, `address "": is empty`},
		"no port":               {[]string{"run", "--nodes", "localhost", "k", "--", "true"}, `address "localhost": missing port`},
		"another protocol":      {[]string{"run", "--nodes", "http://localhost", "k", "--", "true"}, "invalid URL scheme"},
		"an address twice":      {[]string{"run", "--nodes", first, "--nodes", first, "k", "--", "true"}, "is given twice"},
		"a server twice":        {[]string{"run", "--nodes", first + "," + sameServer, "k", "--", "true"}, "is the same server as"},
		"arguments to version":  {[]string{"version", "x"}, "unknown command"},
		"arguments to dev":      {[]string{"dev", "x"}, "unknown command"},
		"no development nodes":  {[]string{"dev", "-n", "0"}, "--count 0: must be from 1 to 100"},
		"too many of them":      {[]string{"dev", "-n", "101"}, "--count 101: must be from 1 to 100"},
		"nodes for all":         {[]string{"dev", "--listen", "0.0.0.0:7001"}, "not a loopback address"},
		"dev flags together":    {[]string{"dev", "--listen", "127.0.0.1:7001", "--count", "1"}, "give one of them"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, tc.args...)
			assert.Equal(t, 64, r.code)
			requireOneLine(t, r.stderr)
			assert.Contains(t, r.stderr, tc.says)
			assert.Empty(t, r.stdout, "no usage is dumped")
		})
	}
}

func TestReplicaIsRefusedAsANode(t *testing.T) {
	master := redistest.Start(t, 1).Node(0)
	replica := redistest.Start(t, 1, redistest.ReplicaOf(master)).Node(0)

	r := run(t, on([]string{master.Addr(), replica.Addr()}, "k", "--", "true")...)

	assert.Equal(t, 64, r.code)
	assert.Contains(t, r.stderr, "node "+replica.Addr()+" is a replica")
}

func TestPasswordIsNotShown(t *testing.T) {
	t.Parallel()
	cluster := redistest.Start(t, 1, redistest.Password("s3cret"))
	wrong := "redis://:s3kret@" + cluster.Node(0).Addr()

	r := run(t, "run", "-v", "--nodes", wrong, "k", "--", "true")

	assert.Equal(t, 69, r.code)
	assert.Contains(t, r.stderr, "user or password refused")
	assert.NotContains(t, r.stderr, "s3kret")
}

func TestEmptyVariableIsNotTakenForNoVariable(t *testing.T) {
	for _, empty := range []string{"", " ", ",", " , "} {
		p := command(t, "run", "k", "--", "true")
		p.Env = append(p.Env, nodesVariable+"="+empty)
		r := p.start().result()
		assert.Equal(t, 64, r.code)
		assert.Contains(t, r.stderr, "REDLOCK_NODES names no nodes")
	}
}

func TestCommandThatCannotRunIsExit126Or127AndTakesNoLock(t *testing.T) {
	cluster := redistest.Start(t, 1)
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), mode))
		return path
	}
	for name, tc := range map[string]struct {
		command string
		code    int
		says    string
	}{
		"not in the PATH":   {"no-such-command", 127, "command not found"},
		"empty":             {"", 127, "command not found"},
		"no such file":      {"./no/such/file", 127, "no such file"},
		"no interpreter":    {file("lost", "#!/no/such/interpreter\n", 0o700), 127, "#! line"},
		"a directory":       {dir, 126, "is a directory"},
		"not executable":    {file("data", "#!/bin/sh\n", 0o600), 126, "permission denied"},
		"no program either": {file("text", "hello\n", 0o700), 126, "exec format error"},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, on(cluster.Addrs(), "k", "--", tc.command, "arg")...)
			assert.Equal(t, tc.code, r.code)
			requireOneLine(t, r.stderr)
			assert.Contains(t, r.stderr, tc.says)
			assert.Empty(t, cluster.Node(0).Keys())
		})
	}

	t.Run("a typo is told without the nodes", func(t *testing.T) {
		for _, n := range cluster.Nodes() {
			n.Kill()
		}
		assert.Equal(t, 127, run(t, on(cluster.Addrs(), "k", "--", "no-such-command")...).code)
	})
}

func TestHelpIsNoError(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"run", "--help"}, {"dev", "-h"}, {"help", "run"}} {
		r := run(t, args...)
		assert.Equal(t, 0, r.code)
		assert.Contains(t, r.stdout, "Usage:")
		assert.NotContains(t, r.stdout, "completion")
		assert.Empty(t, r.stderr)
	}
}

func TestMessageIsOneLineWhateverTheKeyHolds(t *testing.T) {
	cluster := redistest.Start(t, 1)
	key := "a\nb\rc"
	cluster.Node(0).Set(key, "another's", time.Minute)
	r := run(t, on(cluster.Addrs(), "-n", key, "--", "true")...)
	assert.Equal(t, 75, r.code)
	requireOneLine(t, r.stderr)
}
