package main

import (
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/redlock-go/redlock/redlock/redistest"
)

const (
	ctrlC = "\x03"
	ctrlD = "\x04"
	ctrlZ = "\x1a"
)

// terminalSession is a shell at a terminal, as somebody sits in front of it.
type terminalSession struct {
	t      *testing.T
	master *os.File

	mu   sync.Mutex // guards the rest
	text strings.Builder
	seen int // how much of text expect has been through
}

// openTerminal starts an interactive sh, in which redlock calls redlock run.
func openTerminal(t *testing.T, nodes []string) *terminalSession {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	// Not Fd(), which would make reads uninterruptible by Close.
	raw, err := master.SyscallConn()
	require.NoError(t, err)
	var number int
	require.NoError(t, raw.Control(func(fd uintptr) {
		require.NoError(t, unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0))
		number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		require.NoError(t, err)
	}))
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)

	s := &terminalSession{t: t, master: master}
	shell := exec.Command("sh", "-i")
	shell.Env = slices.Concat(command(t).Env, []string{
		"PS1=ready> ", "PS2=", "ENV=", "TERM=dumb", nodesVariable + "=" + strings.Join(nodes, ","), "REDLOCK=" + self(t),
	})
	shell.Stdin, shell.Stdout, shell.Stderr = slave, slave, slave
	shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, shell.Start())
	require.NoError(t, slave.Close())
	var reading sync.WaitGroup
	reading.Go(s.read)
	t.Cleanup(func() {
		_ = shell.Process.Kill() // and with it, by HUP, what is in the foreground
		_ = shell.Wait()
		_ = master.Close()
		reading.Wait()
		if t.Failed() {
			t.Logf("the terminal shows:\n%s", s.text.String())
		}
	})
	s.expect("ready> ")
	return s
}

func (s *terminalSession) read() {
	var buf [4 << 10]byte
	for {
		n, err := s.master.Read(buf[:])
		s.mu.Lock()
		s.text.Write(buf[:n])
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// types types text, and Enter unless it ends in a control character.
func (s *terminalSession) types(text string) {
	s.t.Helper()
	if text >= " " || text == "" {
		text += "\r"
	}
	_, err := s.master.WriteString(text)
	require.NoError(s.t, err)
}

// expect waits until the terminal shows text, after what was expected before.
func (s *terminalSession) expect(text string) {
	s.t.Helper()
	eventually(s.t, "the terminal shows "+strconv.Quote(text), func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		at := strings.Index(s.text.String()[s.seen:], text)
		if at >= 0 {
			s.seen += at + len(text)
		}
		return at >= 0
	})
}

// expectCode has the shell print the exit code of what has ended before.
func (s *terminalSession) expectCode(code int) {
	s.t.Helper()
	s.expect("ready> ")
	s.types(`echo "code=$?"`)
	s.expect("code=" + strconv.Itoa(code) + "\r\n")
	s.expect("ready> ")
}

func TestInteractiveCommandHasTheTerminal(t *testing.T) {
	s := openTerminal(t, redistest.Start(t, 1).Addrs())
	s.types(`"$REDLOCK" run k -- sh -c 'echo name?; read name; echo "hello $name"'`)
	s.expect("name?\r\n")
	s.types("there")
	s.expect("hello there\r\n")
	s.expectCode(0)
}

func TestCommandThatSetsTheTerminalUpHasIt(t *testing.T) {
	s := openTerminal(t, redistest.Start(t, 1).Addrs())
	s.types(`"$REDLOCK" run k -- sh -c 'stty -echo; echo go; read x; stty echo; echo "got $x"'`)
	s.expect("go\r\n")
	s.types("secret")
	s.expect("got secret\r\n")
	s.expectCode(0)
	s.mu.Lock()
	defer s.mu.Unlock()
	assert.Equal(t, 1, strings.Count(s.text.String(), "secret"), "it was not echoed")
}

func TestCtrlCReachesTheCommand(t *testing.T) {
	cluster := redistest.Start(t, 1)
	for name, script := range map[string]string{
		"that uses the terminal":  "trap 'echo caught; exit 7' INT; echo in; read x",
		"that does not":           "trap 'echo caught; exit 7' INT; echo in; while :; do sleep 0.01; done",
		"in what it has started":  "trap 'echo caught; exit 7' INT; sh -c 'echo in; exec sleep 1000'",
		"that starts interactive": "trap 'echo caught; exit 7' INT; sh -c 'echo in; read x'",
	} {
		t.Run(name, func(t *testing.T) {
			s := openTerminal(t, cluster.Addrs())
			s.types(`"$REDLOCK" run k -- sh -c "` + script + `"`)
			s.expect("in\r\n")
			s.types(ctrlC)
			s.expect("caught\r\n")
			s.expectCode(7)
			assert.Empty(t, cluster.Node(0).Keys())
		})
	}
}

func TestCtrlZStopsTheJobAndForegroundContinuesIt(t *testing.T) {
	for name, script := range map[string]string{
		"with the terminal":    "echo in; read x; echo got $x; read y; exit $y",
		"without the terminal": "echo in; read x < $FIFO; echo got $x; read y; exit $y",
	} {
		t.Run(name, func(t *testing.T) {
			cluster := redistest.Start(t, 1)
			s := openTerminal(t, cluster.Addrs())
			fifo := t.TempDir() + "/fifo"
			require.NoError(t, syscall.Mkfifo(fifo, 0o600))
			writer, err := os.OpenFile(fifo, os.O_RDWR, 0)
			require.NoError(t, err)
			defer writer.Close()
			s.types("FIFO=" + fifo + "; export FIFO")
			s.expect("ready> ")
			s.types(`"$REDLOCK" run k -- sh -c '` + script + `'`)
			s.expect("in\r\n")
			s.types(ctrlZ)
			s.expect("Stopped")
			s.expect("ready> ")
			s.types("echo shell is $((1))")
			s.expect("shell is 1\r\n")
			s.types("fg")
			s.expect("run k --")
			if name == "with the terminal" {
				s.types("one")
			} else {
				_, err := writer.WriteString("one\n")
				require.NoError(t, err)
			}
			s.expect("got one\r\n")
			s.types("4")
			s.expectCode(4)
			assert.Empty(t, cluster.Node(0).Keys())
		})
	}
}

// Nobody extends the lock while the job is stopped.
func TestCtrlZStopsWhatIgnoresItToo(t *testing.T) {
	nodes := redistest.Start(t, 1).Addrs()
	for name, wait := range map[string]string{
		"with the terminal":    "read x",
		"without the terminal": "wait",
	} {
		t.Run(name, func(t *testing.T) {
			s := openTerminal(t, nodes)
			file := t.TempDir() + "/beat"
			s.types(`"$REDLOCK" run k -- sh -c '"$REDLOCK" ` + asChild + "beat " + file + " & " + wait + "'")
			written(t, file)
			s.types(ctrlZ)
			s.expect("Stopped")
			eventually(t, "it is stopped", func() bool {
				last := written(t, file)
				time.Sleep(100 * time.Millisecond)
				return last == written(t, file)
			})
			last := written(t, file)
			s.types("fg")
			eventually(t, "it goes on", func() bool { return last != written(t, file) })
		})
	}
}

func TestCtrlZStopsTheWaitForTheLock(t *testing.T) {
	cluster := redistest.Start(t, 1)
	cluster.Node(0).Set("k", "another's", time.Minute)
	s := openTerminal(t, cluster.Addrs())
	s.types(`"$REDLOCK" run -w 1m k -- echo in`)
	before := sets(cluster.Node(0))
	eventually(t, "it waits", func() bool { return sets(cluster.Node(0)) != before })
	s.types(ctrlZ)
	s.expect("Stopped")
	_, err := cluster.Node(0).Do("DEL", "k")
	require.NoError(t, err)
	s.types("fg")
	s.expect("in\r\n")
	s.expectCode(0)
}

func TestStoppedJobWhoseLockRanOutIsNotContinued(t *testing.T) {
	t.Parallel()
	cluster := redistest.Start(t, 1)
	s := openTerminal(t, cluster.Addrs())
	ran := t.TempDir() + "/ran"
	s.types(`"$REDLOCK" run --ttl 1s k -- sh -c 'echo in; read x; echo ran > ` + ran + `'`)
	s.expect("in\r\n")
	s.types(ctrlZ)
	s.expect("Stopped")
	eventually(t, "the lock runs out", func() bool { return len(cluster.Node(0).Keys()) == 0 })
	s.types("fg")
	s.expect("k is lost")
	s.expectCode(76)
	assert.NoFileExists(t, ran)
}

func TestBackgroundJobThatWantsTheTerminalStopsUntilItIsInTheForeground(t *testing.T) {
	s := openTerminal(t, redistest.Start(t, 1).Addrs())
	s.types(`"$REDLOCK" run k -- sh -c 'echo in; read x; echo got $x' &`)
	s.expect("in\r\n")
	eventually(t, "the job is stopped", func() bool {
		s.types("jobs") // a shell tells of it at a prompt
		s.expect("ready> ")
		s.mu.Lock()
		defer s.mu.Unlock()
		return strings.Contains(s.text.String(), "Stopped")
	})
	s.types("fg")
	s.expect("run k --")
	s.types("two")
	s.expect("got two\r\n")
	s.expectCode(0)
}

func TestOtherEndOfAPipelineKeepsTheTerminal(t *testing.T) {
	s := openTerminal(t, redistest.Start(t, 1).Addrs())
	s.types(`"$REDLOCK" run k -- echo one | sh -c 'read x; echo "$x?"; read y < /dev/tty; echo "$x $y"'`)
	s.expect("one?\r\n")
	s.types("two")
	s.expect("one two\r\n")
	s.expectCode(0)
}

func TestTerminalIsAsBeforeWhenTheCommandWasKilled(t *testing.T) {
	t.Parallel()
	cluster := redistest.Start(t, 3)
	s := openTerminal(t, cluster.Addrs())
	s.types(`"$REDLOCK" run --ttl 1s k -- sh -c 'trap "" TERM INT; stty raw -echo; echo in$((1)); while :; do read x; done'`)
	s.expect("in1")
	cluster.Node(0).Pause()
	cluster.Node(1).Pause()
	defer cluster.Node(0).Resume()
	defer cluster.Node(1).Resume()
	s.expect("k is lost")
	s.expectCode(76)
	s.types("stty -a")
	s.expect(" icanon")
	s.expect(" echo ")
}

func TestEndOfInputReachesTheCommand(t *testing.T) {
	s := openTerminal(t, redistest.Start(t, 1).Addrs())
	s.types(`"$REDLOCK" run k -- cat`)
	s.types("line")
	s.expect("line\r\n")
	s.expect("line\r\n")
	s.types(ctrlD)
	s.expectCode(0)
}
