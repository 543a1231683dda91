package main

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/redlock/redistest"
)

func TestCommandDiesWhenWeAreKilled(t *testing.T) {
	nodes := redistest.Start(t, 3).Addrs()
	pid := t.TempDir() + "/pid"
	p := command(t, on(nodes, "k", "--", "sh", "-c", "echo $$ > "+pid+"; exec sleep 1000")...).start()
	child := strings.TrimSpace(written(t, pid))

	require.NoError(t, p.Process.Kill())
	p.code()

	eventually(t, "the command has ended", func() bool { return !runs(child) })
}

func TestZombieThatNobodyWaitsForDoesNotKeepTheLock(t *testing.T) {
	nodes := redistest.Start(t, 1).Addrs()
	dir := t.TempDir()
	// An orphan of the group is handed to the nearest process above that takes
	// orphans. Here that is one that never waits for them.
	p := command(t)
	p.Path, p.Args = self(t), append([]string{"", asChild + "neglect"},
		on(nodes, "k", "--", "sh", "-c", "sh -c 'read x < "+dir+"/fifo' & exit 5")...)
	require.NoError(t, syscall.Mkfifo(dir+"/fifo", 0o600))
	p.start()
	fifo, err := os.OpenFile(dir+"/fifo", os.O_RDWR, 0) // does not wait for the orphan
	require.NoError(t, err)
	defer fifo.Close()
	_, err = fifo.WriteString("\n")
	require.NoError(t, err)
	assert.Equal(t, 5, p.code())
}

// runs tells whether the process is there and no zombie.
func runs(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return after[0] != 'Z' && after[0] != 'X'
}
