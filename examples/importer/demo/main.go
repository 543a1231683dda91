// Demo shows a lock at work, for `make run`: two imports race for one lock, then
// lock nodes fail, first so few that nothing changes, then too many.
//
// It starts five embedded nodes in this process, and runs the importer under
// `redlock run` as a person would. It prints what happens, a line each, and fails
// when something happens that should not.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redlock-go/redlock/clock"
	"github.com/redlock-go/redlock/redlock/embedded"
)

const (
	key = "import:lock:customers"
	// limit bounds the whole demonstration.
	limit = 50 * time.Second
	// pace is how long each import is made to take, so that they meet.
	pace = 2 * time.Second
)

// What `redlock run` exits with when the lock was not to be had.
const (
	exitNoQuorum = 69
	exitHeld     = 75
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: demo REDLOCK IMPORTER CSV (make run does it)")
		os.Exit(64)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, limit)
	err := demonstrate(ctx, &stage{out: os.Stdout, clock: clock.System(), redlock: os.Args[1], importer: os.Args[2], csv: os.Args[3]})
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// stage is where it all happens.
type stage struct {
	clock                  clock.Clock
	redlock, importer, csv string
	db, nodes              string

	mu  sync.Mutex // guards out
	out io.Writer
}

func demonstrate(ctx context.Context, s *stage) error {
	start := s.clock.Now()
	dir, err := os.MkdirTemp("", "redlock-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the database: %w", err)
	}
	defer os.RemoveAll(dir)
	s.db = filepath.Join(dir, "customers.db")

	cluster, err := embedded.Start(5)
	if err != nil {
		return fmt.Errorf("start five lock nodes: %w", err)
	}
	defer cluster.Close()
	s.nodes = strings.Join(cluster.Addrs(), ",")
	s.say("five independent lock nodes serve at %s", s.nodes)

	s.say("two imports of %s race for the lock %s", s.csv, key)
	if err := s.race(ctx); err != nil {
		return err
	}

	for i := range 2 {
		if err := cluster.Stop(i); err != nil {
			return err
		}
	}
	s.say("two of the five nodes are stopped: the other three are a majority, so nothing changes")
	if err := s.expect(ctx, "C", 0); err != nil {
		return err
	}

	if err := cluster.Stop(2); err != nil {
		return err
	}
	s.say("a third node is stopped: two cannot know who has the lock, so nothing may start")
	if err := s.expect(ctx, "D", exitNoQuorum); err != nil {
		return err
	}
	s.say("done in %v, all as it should be", s.clock.Now().Sub(start).Round(100*time.Millisecond))
	return nil
}

// race runs two imports at once, of which one must import and the other be told
// that it is running already.
func (s *stage) race(ctx context.Context) error {
	statuses := make([]int, 2)
	errs := make([]error, 2)
	var both sync.WaitGroup
	for i, name := range []string{"A", "B"} {
		both.Go(func() { statuses[i], errs[i] = s.run(ctx, name) })
	}
	both.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if statuses[0]+statuses[1] != exitHeld || statuses[0]*statuses[1] != 0 {
		return fmt.Errorf("the race ended with exit statuses %d and %d: one must be 0, the other %d", statuses[0], statuses[1], exitHeld)
	}
	return nil
}

// expect runs one import and checks its exit status.
func (s *stage) expect(ctx context.Context, name string, want int) error {
	status, err := s.run(ctx, name)
	if err == nil && status != want {
		err = fmt.Errorf("import %s ended with exit status %d, not %d", name, status, want)
	}
	return err
}

// run imports under the lock and says what comes of it.
func (s *stage) run(ctx context.Context, name string) (int, error) {
	cmd := exec.CommandContext(ctx, s.redlock, "run", key, "--", s.importer, "file", s.csv, s.db, "--pace", pace.String())
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // redlock run passes it on
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = append(os.Environ(), "REDLOCK_NODES="+s.nodes)
	output, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	var copied sync.WaitGroup
	copied.Go(func() {
		for lines := bufio.NewScanner(output); lines.Scan(); {
			s.say("  %s: %s", name, lines.Text())
		}
	})
	err := cmd.Run()
	_ = w.Close()
	copied.Wait()
	if ctx.Err() != nil {
		return 0, fmt.Errorf("import %s: %w", name, context.Cause(ctx))
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, fmt.Errorf("import %s: %w", name, err)
	}
	status := cmd.ProcessState.ExitCode()
	s.say("  %s: exit status %d, %s", name, status, meaning(status))
	return status, nil
}

func meaning(status int) string {
	switch status {
	case 0:
		return "imported"
	case exitHeld:
		return "not started, because it is running already"
	case exitNoQuorum:
		return "not started, because too few lock nodes answer"
	default:
		return "which is not expected here"
	}
}

func (s *stage) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, format+"\n", args...)
}
