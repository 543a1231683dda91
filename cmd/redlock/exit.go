package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"strings"
	"syscall"

	"github.com/redlock-go/redlock/redlock"
)

// Exit codes besides the command's own. Those below 100 are from sysexits.h, the
// others are a shell's.
const (
	exitUsage     = 64  // EX_USAGE
	exitNoQuorum  = 69  // EX_UNAVAILABLE
	exitInternal  = 70  // EX_SOFTWARE
	exitHeld      = 75  // EX_TEMPFAIL
	exitLost      = 76  // EX_PROTOCOL
	exitCannotRun = 126 // the command is there and cannot be executed
	exitNotFound  = 127
	exitSignal    = 128 // and the number of the signal
)

// exitError ends redlock with a code and, unless it is empty, a line on stderr.
type exitError struct {
	code int
	says string
}

func (e *exitError) Error() string { return e.says }

func exit(code int, format string, args ...any) error {
	return &exitError{code: code, says: fmt.Sprintf(format, args...)}
}

// report prints err as one line and returns the exit code.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	var exit *exitError
	if !errors.As(err, &exit) {
		// Whatever a command of ours returns is an exitError, so this is cobra's.
		exit = &exitError{code: exitUsage, says: err.Error() + "; see redlock --help"}
	}
	if exit.says != "" {
		say(stderr, "%s", exit.says)
	}
	return exit.code
}

// say prints a line for people.
func say(stderr io.Writer, format string, args ...any) {
	text := strings.TrimPrefix(fmt.Sprintf(format, args...), "redlock: ") // the library's errors have it too
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), " ")
	fmt.Fprintf(stderr, "redlock: %s\n", text)
}

// clientFailed says why there is no client for the nodes.
func clientFailed(err error) error {
	var argument *redlock.ArgumentError
	var member *redlock.MemberError
	if errors.As(err, &argument) || errors.As(err, &member) {
		return exit(exitUsage, "%v", err)
	}
	return exit(exitInternal, "%v", err)
}

// cannotRun says why the program at path, or the one called name, is not run.
func cannotRun(name string, err error) error {
	var path *fs.PathError
	var lookup *exec.Error
	reason := err
	switch {
	case errors.As(err, &path):
		reason = path.Err
	case errors.As(err, &lookup):
		reason = lookup.Err
	}
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return exit(exitNotFound, "%q: command not found: check its name and PATH (built-ins of a shell need sh -c)", name)
	case errors.Is(err, fs.ErrNotExist):
		return exit(exitNotFound, "%q: %v: check the path, and the #! line if it is a script", name, reason)
	case errors.Is(err, syscall.ENOEXEC):
		return exit(exitCannotRun, "%q: %v: a script needs a #! line, a program has to be for this machine", name, reason)
	default:
		return exit(exitCannotRun, "%q: %v: give a program that you may execute", name, reason)
	}
}
