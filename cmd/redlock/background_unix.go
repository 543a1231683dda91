//go:build unix

package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// startInBackground starts redlock dev and waits until the development nodes are
// served, by it or by another that was faster.
func startInBackground(ctx context.Context) error {
	dir, err := stateDir()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return exit(exitInternal, "%v", err)
	}
	log, err := os.OpenFile(filepath.Join(dir, "dev.log"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return exit(exitInternal, "%v", err)
	}
	defer func() { _ = log.Close() }()
	process, err := detach(log, "dev")
	if err != nil {
		return exit(exitInternal, "start the development nodes: %v", err)
	}

	ended, failed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		if state, err := process.Wait(); err != nil || !state.Success() {
			close(failed)
		}
	}()
	n := awaitServing(ctx, developmentNodes, startTimeout, failed)
	select {
	case <-failed:
		return exit(exitNoQuorum, "the development nodes cannot be started: %s; or give nodes with --nodes or %s", lastLine(log.Name()), nodesVariable)
	default:
	}
	if n < len(developmentNodes) && ctx.Err() == nil {
		return exit(exitNoQuorum, "the development nodes do not answer (%d of %d after %v): redlock dev --stop, then try again, or give nodes with --nodes or %s", n, len(developmentNodes), startTimeout, nodesVariable)
	}
	return nil
}

// detach starts this very program in a session of its own, so that it outlives us
// and our terminal, with nothing open but the log.
func detach(log *os.File, args ...string) (*os.Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer func() { _ = null.Close() }()
	defer keepInherited()()
	return os.StartProcess(self, append([]string{self}, args...), &os.ProcAttr{
		Dir:   string(os.PathSeparator), // keeps no file system from being unmounted
		Env:   os.Environ(),
		Files: []*os.File{null, log, log},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
}

// keepInherited keeps the files that we were started with, beyond stdin, stdout
// and stderr, from those whom we start, until the returned function is called.
// The command is meant to have them. A process that stays would keep a pipe open
// whose reader waits for its end, or a lock that goes with a file.
func keepInherited() (undo func()) {
	var changed []int
	open, _ := os.ReadDir("/dev/fd")
	for _, entry := range open {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil || fd <= 2 {
			continue
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC != 0 {
			continue
		}
		unix.CloseOnExec(fd)
		changed = append(changed, fd)
	}
	return func() {
		for _, fd := range changed {
			_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0)
		}
	}
}

// lastLine returns the last line of what redlock dev has printed, without the
// prefix that each has.
func lastLine(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.TrimPrefix(lines[len(lines)-1], "redlock: ")
}
