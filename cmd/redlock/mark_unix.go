//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/redlock-go/redlock/clock"
)

// mark is the file that says which process serves the development nodes. The
// process holds a lock (flock) on it, which the kernel takes back when it ends,
// however it ends: so the process id in a locked file is never one that has been
// given to another process meanwhile. The file itself stays.
type mark struct{ file *os.File }

const markName = "dev.pid"

// server is a process that serves development nodes.
type server struct {
	pid   int // 0: it is about to
	addrs []string
}

// markServing marks this process as the one that serves the development nodes. If
// there is one already it returns that and no mark.
func markServing(addrs []string) (*mark, server, error) {
	none := server{}
	dir, err := stateDir()
	if err != nil {
		return nil, none, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, none, exit(exitInternal, "%v", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, markName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, none, exit(exitInternal, "%v", err)
	}
	m := &mark{file: file}
	switch err := m.lock(unix.LOCK_EX); {
	case errors.Is(err, unix.EWOULDBLOCK):
		defer m.close()
		return nil, m.read(), nil
	case err != nil:
		m.close()
		return nil, none, exit(exitInternal, "lock %s: %v", file.Name(), err)
	}
	if err := m.write(addrs); err != nil {
		m.close()
		return nil, none, exit(exitInternal, "%v", err)
	}
	return m, none, nil
}

func (m *mark) lock(how int) error { return unix.Flock(int(m.file.Fd()), how|unix.LOCK_NB) }

func (m *mark) write(addrs []string) error {
	if err := m.file.Truncate(0); err != nil {
		return err
	}
	_, err := m.file.WriteAt(fmt.Appendf(nil, "%d\n%s\n", os.Getpid(), strings.Join(addrs, ",")), 0)
	return err
}

func (m *mark) read() server {
	text, err := io.ReadAll(io.NewSectionReader(m.file, 0, 1<<12))
	lines := strings.Split(string(text), "\n")
	if err != nil || len(lines) < 3 {
		return server{}
	}
	pid, _ := strconv.Atoi(lines[0])
	return server{pid: pid, addrs: strings.Split(lines[1], ",")}
}

func (m *mark) close() { _ = m.file.Close() }

// remove takes the mark away.
func (m *mark) remove() {
	_ = m.file.Truncate(0)
	m.close()
}

// stopTimeout is how long the nodes may take to end.
const stopTimeout = 10 * time.Second

// stopDevelopment ends the development nodes of this user.
func stopDevelopment(stdout io.Writer) error {
	dir, err := stateDir()
	if err != nil {
		return err
	}
	file, err := os.Open(filepath.Join(dir, markName))
	if errors.Is(err, fs.ErrNotExist) {
		return notServed(stdout)
	}
	if err != nil {
		return exit(exitInternal, "%v", err)
	}
	m := &mark{file: file}
	defer m.close()

	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	told := 0
	for {
		err := m.lock(unix.LOCK_SH)
		switch {
		case err == nil && told == 0:
			return notServed(stdout)
		case err == nil:
			fmt.Fprintf(stdout, "the development nodes have ended (process %d)\n", told)
			return nil
		case !errors.Is(err, unix.EWOULDBLOCK):
			return exit(exitInternal, "lock %s: %v", file.Name(), err)
		}
		if pid := m.read().pid; pid > 0 && told == 0 {
			if err := unix.Kill(pid, syscall.SIGTERM); err != nil {
				return exit(exitInternal, "process %d serves the development nodes and cannot be told to end: %v", pid, err)
			}
			told = pid
		}
		if clock.Sleep(ctx, clock.System(), nodesPoll) != nil {
			return exit(exitInternal, "process %d serves the development nodes and has not ended after %v: kill -9 %d ends it", told, stopTimeout, told)
		}
	}
}

func notServed(stdout io.Writer) error {
	if n := serving(context.Background(), developmentNodes); n > 0 {
		return exit(exitInternal, "nobody of yours serves the development nodes, but %d of their addresses are in use, from %s on: by another user, or something else (ss -ltnp shows it)", n, developmentNodes[0])
	}
	fmt.Fprintln(stdout, "no development nodes are served")
	return nil
}
