package main

import (
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/clock"
	"github.com/redlock-go/redlock/redlock/redistest"
)

// The times of a lock command that etcdctl lock and consul lock get wrong: it has
// to notice while the command runs that the lock runs out, and to end all that
// the command has started, in time.
func TestCommandIsToldToEndAndKilledWithAllItStartedBeforeTheLockRunsOut(t *testing.T) {
	t.Parallel()
	const (
		ttl       = 4 * time.Second
		killAfter = time.Second
	)
	cluster := redistest.Start(t, 5)
	dir := t.TempDir()
	p := command(t, on(cluster.Addrs(), "--ttl", ttl.String(), "--kill-after", killAfter.String(), "k", "--",
		self(t), asChild+"stubborn", dir)...).start()
	written(t, dir+"/child")
	written(t, dir+"/grandchild")

	keysEnd := freezeAfterExtension(t, cluster, ttl)
	r := p.result()

	assert.Equal(t, 76, r.code)
	requireOneLine(t, r.stderr)
	assert.Contains(t, r.stderr, "k is lost: ")
	assert.Contains(t, r.stderr, `extend "k": too few nodes answered`)

	validityEnd := keysEnd.Add(-clock.DefaultDrift.Of(ttl))
	told := writtenTime(t, dir+"/term")
	assert.WithinRange(t, told, validityEnd.Add(-killAfter-100*time.Millisecond), validityEnd.Add(-killAfter+500*time.Millisecond), "TERM")
	for _, who := range []string{"child", "grandchild"} {
		last := writtenTime(t, dir+"/"+who)
		assert.WithinRange(t, last, validityEnd.Add(-200*time.Millisecond), keysEnd, "last sign of life of the "+who)
	}
}

// freezeAfterExtension freezes a majority just after the lock on k has been
// extended, and returns when its keys expire on them.
func freezeAfterExtension(t *testing.T, cluster *redistest.Cluster, ttl time.Duration) time.Time {
	t.Helper()
	var left time.Duration
	before := left
	eventually(t, "an extension", func() bool {
		before = left
		left, _ = cluster.Node(0).PTTL("k")
		return before > 0 && left > before
	})
	end := time.Unix(0, math.MaxInt64)
	for i := range 3 {
		n := cluster.Node(i)
		left, there := n.PTTL("k")
		require.True(t, there)
		if at := time.Now().Add(left); at.Before(end) {
			end = at
		}
		n.Pause()
		t.Cleanup(n.Resume)
	}
	require.Greater(t, time.Until(end), ttl*3/4, "or it was extended again meanwhile")
	return end
}

func TestCommandThatEndsWhenToldToIsExit76AllTheSame(t *testing.T) {
	t.Parallel()
	cluster := redistest.Start(t, 3)
	dir := t.TempDir()
	p := command(t, on(cluster.Addrs(), "--ttl", "2s", "k", "--", "sh", "-c",
		`trap "echo told > `+dir+`/told; exit 0" TERM; echo in > `+dir+`/in; while :; do sleep 0.01; done`)...).start()
	written(t, dir+"/in")
	keysEnd := freezeAfterExtension(t, cluster, 2*time.Second)

	r := p.result()

	assert.Equal(t, 76, r.code)
	assert.Contains(t, r.stderr, "redlock: k is lost: ") // a shell may have said something, too
	assert.FileExists(t, dir+"/told")
	assert.Less(t, time.Now(), keysEnd, "it was not waited for beyond its end")
}

func TestShortOutageThatValidityOutlastsIsNotNoticed(t *testing.T) {
	t.Parallel()
	cluster := redistest.Start(t, 3)
	dir := t.TempDir()
	p := command(t, on(cluster.Addrs(), "--ttl", "5s", "k", "--", "sh", "-c", "echo in > "+dir+"/in; read wait")...)
	stdin, err := p.StdinPipe()
	require.NoError(t, err)
	p.start()
	written(t, dir+"/in")

	for i := range 3 {
		cluster.Node(i).Pause()
	}
	time.Sleep(2500 * time.Millisecond) // an extension was due meanwhile
	for i := range 3 {
		cluster.Node(i).Resume()
	}
	// The first is what was sent to the servers while they were frozen.
	extensions := 0
	before, _ := cluster.Node(0).PTTL("k")
	eventually(t, "two extensions", func() bool {
		left, _ := cluster.Node(0).PTTL("k")
		if left > before {
			extensions++
		}
		before = left
		return extensions == 2
	})
	require.NoError(t, stdin.Close())
	assert.Equal(t, result{1, "", ""}, p.result(), "read has found no line")
}

func TestLockThatIsTakenAwayEndsTheCommandAtOnce(t *testing.T) {
	t.Parallel()
	cluster := redistest.Start(t, 5)
	dir := t.TempDir()
	const ttl = 6 * time.Second
	p := command(t, on(cluster.Addrs(), "--ttl", ttl.String(), "--kill-after", "500ms", "k", "--",
		self(t), asChild+"stubborn", dir)...).start()
	written(t, dir+"/grandchild")
	for i := range 3 {
		cluster.Node(i).Set("k", "another's", time.Minute)
	}
	taken := time.Now()

	r := p.result()

	assert.Equal(t, 76, r.code)
	requireOneLine(t, r.stderr)
	assert.Contains(t, r.stderr, "a quorum of nodes no longer carries it")
	told := writtenTime(t, dir+"/term")
	assert.Less(t, told.Sub(taken), ttl/2+time.Second, "by the next extension")
	for _, who := range []string{"child", "grandchild"} {
		after := writtenTime(t, dir+"/"+who).Sub(told)
		assert.Greater(t, after, 300*time.Millisecond, "the %s had its grace", who)
		assert.Less(t, after, 2*time.Second, "the %s was killed long before validity would have ended", who)
	}
	for i := range 5 {
		owner, _ := cluster.Node(i).Get("k")
		if i < 3 {
			assert.Equal(t, "another's", owner)
		} else {
			assert.Empty(t, owner)
		}
	}
}

func TestCommandIsKilledWhenTheLockRanOutWhileWeWereStopped(t *testing.T) {
	t.Parallel()
	cluster := redistest.Start(t, 3)
	dir := t.TempDir()
	p := command(t, on(cluster.Addrs(), "--ttl", "1s", "k", "--", self(t), asChild+"stubborn", dir)...).start()
	written(t, dir+"/grandchild")
	p.signal(syscall.SIGSTOP)
	eventually(t, "the lock runs out", func() bool { return len(cluster.Node(0).Keys()) == 0 })

	continued := time.Now()
	p.signal(syscall.SIGCONT)

	r := p.result()
	assert.Equal(t, 76, r.code)
	assert.Contains(t, r.stderr, "k is lost: ")
	for _, who := range []string{"child", "grandchild"} {
		assert.Less(t, writtenTime(t, dir+"/"+who).Sub(continued), 500*time.Millisecond, who)
	}
}

func writtenTime(t *testing.T, file string) time.Time {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	ns, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	require.NoError(t, err)
	return time.Unix(0, ns)
}
