package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// The test binary is also the redlock command, with the process id of the test in
// this variable, and several commands for it to run, with a first argument such as
// "child:signals".
const (
	asCommand = "REDLOCK_TEST_COMMAND"
	asChild   = "child:"
	// devNodes replaces the fixed ports, so that tests do not meet other tests,
	// or whoever is using the machine.
	devNodes = "REDLOCK_TEST_DEVELOPMENT_NODES"
)

func TestMain(m *testing.M) {
	test, err := strconv.Atoi(os.Getenv(asCommand))
	if err == nil {
		go endWith(test)
	}
	if len(os.Args) > 1 {
		if name, ok := strings.CutPrefix(os.Args[1], asChild); ok {
			os.Exit(beChild(name, os.Args[2:]))
		}
	}
	if err == nil {
		if nodes := os.Getenv(devNodes); nodes != "" {
			developmentNodes = strings.Split(nodes, ",")
		}
		os.Exit(execute(os.Args[1:]))
	}
	goleak.VerifyTestMain(m)
}

// endWith ends this process when the test is gone, whichever way: one that panics
// must leave nothing behind.
func endWith(test int) {
	for syscall.Kill(test, 0) == nil {
		time.Sleep(time.Second)
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

// self is the test binary.
func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)
	return path
}

// bound is how long anything may take that is waited for: on a busy machine, with
// the race detector on.
const bound = time.Minute

// process is a running redlock.
type process struct {
	*exec.Cmd
	t              *testing.T
	stdout, stderr bytes.Buffer // to be read after exit
	exited         chan struct{}
}

// command prepares redlock with the given arguments, and no nodes configured.
func command(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(self(t), args...), t: t, exited: make(chan struct{})}
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	// What is left running keeps stdout open, which must not hold the test up.
	p.WaitDelay = time.Second
	p.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "REDLOCK_") })
	p.Env = append(p.Env, asCommand+"="+strconv.Itoa(os.Getpid()), "XDG_CACHE_HOME="+t.TempDir(),
		"GORACE=atexit_sleep_ms=0") // else a program with the race detector takes a second to exit
	return p
}

// start starts it. It is killed if it still runs when the test ends.
func (p *process) start() *process {
	p.t.Helper()
	require.NoError(p.t, p.Start())
	go func() {
		_ = p.Wait()
		close(p.exited)
	}()
	p.t.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.exited
	})
	return p
}

// code waits until redlock has ended and returns its exit code.
func (p *process) code() int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.ProcessState.ExitCode()
	case <-time.After(bound):
		p.t.Fatalf("redlock %q has not ended after %v", p.Args[1:], bound)
		return -1
	}
}

func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

func (p *process) signal(sig os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.Process.Signal(sig))
}

// result is how a redlock has ended.
type result struct {
	code           int
	stdout, stderr string
}

func (p *process) result() result {
	p.t.Helper()
	return result{p.code(), p.stdout.String(), p.stderr.String()}
}

// redlock runs it to its end.
func run(t *testing.T, args ...string) result {
	t.Helper()
	return command(t, args...).start().result()
}

// on returns the arguments of redlock run on nodes.
func on(nodes []string, args ...string) []string {
	return append([]string{"run", "--nodes", strings.Join(nodes, ",")}, args...)
}

// oneLine is what every message is: a line that names its author.
func requireOneLine(t *testing.T, stderr string) {
	t.Helper()
	require.Regexp(t, `\Aredlock: [^\n]+\n\z`, stderr)
}

// eventually polls until condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(bound); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not after %v: %s", bound, what)
		}
	}
}

// written returns the text of a file once there is any.
func written(t *testing.T, file string) string {
	t.Helper()
	var text []byte
	eventually(t, "something in "+file, func() bool {
		var err error
		text, err = os.ReadFile(file)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return len(text) > 0
	})
	return string(text)
}
