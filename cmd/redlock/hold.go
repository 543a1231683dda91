package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redlock-go/redlock/clock"
	"github.com/redlock-go/redlock/cmd/redlock/internal/child"
	"github.com/redlock-go/redlock/redlock"
)

const (
	// leftoverAfter is how long what a command leaves running is waited for
	// without a word.
	leftoverAfter = time.Second
	// unkillableAfter is how long a killed process may take to be gone. One that
	// takes longer hangs in the kernel or belongs to another user.
	unkillableAfter = 5 * time.Second
	// releaseTimeout bounds the release. The library needs a few node timeouts
	// at the most.
	releaseTimeout = 10 * time.Second
)

// holding is one command that is run under a lock.
type holding struct {
	runOptions
	key     string
	command []string
	stderr  io.Writer

	rounds rounds
	lost   bool // which has been told
}

// run does it all, from the nodes to the release. Its error is an exitError, also
// where only the command's exit code is to be passed on.
func (h *holding) run(ctx context.Context) error {
	// First of all, so that a typo does not take the lock.
	path, err := exec.LookPath(h.command[0])
	if err != nil && !errors.Is(err, exec.ErrDot) { // a PATH with the current directory is the user's choice
		return cannotRun(h.command[0], err)
	}
	addrs, err := h.addresses()
	if err != nil {
		return err
	}

	// A signal ends what comes before the command, and is the command's from
	// then on. Some may gather in between, and none is to be dropped.
	signals := make(chan os.Signal, 64)
	child.Notify(signals)
	ctx, stopListening := untilSignal(ctx, signals)
	defer stopListening()

	if addrs == nil {
		if addrs, err = h.development(ctx); err != nil {
			return err
		}
	}
	client, err := h.dial(ctx, addrs)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // after the release, which it lets finish

	lock, err := h.acquire(ctx, client)
	if err != nil {
		return err
	}
	defer h.release(lock)
	stopListening()
	if ctx.Err() != nil {
		return h.interrupted(ctx)
	}
	if left := lock.Validity(); left <= h.killAfter {
		return exit(exitNoQuorum, "%s was locked so slowly that only %v of it are left, nothing was run: give it a longer --ttl, or faster nodes", h.key, left)
	}
	group, err := child.Start(path, h.command, h.environment(lock), signals)
	if err != nil {
		return cannotRun(h.command[0], err)
	}
	return h.supervise(lock, group, signals)
}

// dial connects to the nodes. It can take a while where some do not answer, and
// leaves nothing behind when it is cut short.
func (h *holding) dial(ctx context.Context, addrs []string) (*redlock.Client, error) {
	opts := []redlock.Option{redlock.WithObserver(h.rounds.observer())}
	if h.quorumGiven {
		opts = append(opts, redlock.WithQuorum(h.quorum))
	}
	if h.verbose {
		opts = append(opts, redlock.WithLogger(newLogger(h.stderr)))
	}
	type result struct {
		client *redlock.Client
		err    error
	}
	dialled := make(chan result, 1)
	go func() {
		client, err := redlock.Dial(addrs, opts...)
		dialled <- result{client, err}
	}()
	select {
	case r := <-dialled:
		if r.err != nil {
			return nil, clientFailed(r.err)
		}
		return r.client, nil
	case <-ctx.Done():
		return nil, h.interrupted(ctx)
	}
}

func (h *holding) acquire(ctx context.Context, client *redlock.Client) (*redlock.Lock, error) {
	attempt := client.Acquire
	opts := []redlock.AcquireOption{redlock.AutoExtend(true)}
	waiting := ctx
	switch {
	case h.noWait:
		attempt = client.TryAcquire
	case h.waitGiven:
		opts = append(opts, redlock.UntilDone())
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeout(ctx, h.wait)
		defer cancel()
	}
	lock, err := attempt(waiting, h.key, h.ttl, opts...)

	var argument *redlock.ArgumentError
	switch {
	case err == nil:
		return lock, nil
	case ctx.Err() != nil:
		return nil, h.interrupted(ctx)
	case errors.Is(err, redlock.ErrHeld), waiting.Err() != nil && h.rounds.held():
		// An attempt that the end of the wait cut short does not know who has
		// the lock, but the one before it does.
		if h.waitGiven {
			return nil, exit(h.conflict, "%s is still held by another owner after %v; try later, or wait longer", h.key, h.wait)
		}
		return nil, exit(h.conflict, "%s is held by another owner; try later, or wait with --wait 1m", h.key)
	case errors.Is(err, redlock.ErrNoQuorum):
		return nil, exit(exitNoQuorum, "%v; nothing was run: see to it that enough of these nodes run and can be reached from here", err)
	case errors.As(err, &argument):
		return nil, exit(exitUsage, "%v", err)
	default:
		return nil, exit(exitInternal, "%v", err)
	}
}

// environment returns what the command sees: ours, with what it is run under.
func (h *holding) environment(lock *redlock.Lock) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "REDLOCK_KEY=") || strings.HasPrefix(v, "REDLOCK_TOKEN=")
	})
	return append(env, "REDLOCK_KEY="+lock.Key(), "REDLOCK_TOKEN="+lock.Token())
}

// supervise returns when nobody of the group is left.
func (h *holding) supervise(lock *redlock.Lock, group *child.Group, signals <-chan os.Signal) error {
	var (
		guard      = watch(clock.System(), lock, group, h.killAfter)
		lost       = guard.lost
		killed     = guard.killed
		exited     = group.Exited()
		leftover   <-chan struct{}
		unkillable <-chan struct{}
		survived   bool
	)
	for gone := false; !gone && !survived; {
		select {
		case sig := <-signals:
			_ = group.Signal(sig)
		case sig := <-group.Stopped():
			group.Job(sig, guard.check)
		case <-exited:
			exited = nil
			group.TakeTerminal()
			leftover = after(leftoverAfter)
		case <-leftover:
			leftover = nil
			say(h.stderr, "%s has ended with %d, but what it started still runs: %s stays locked until that ends, too (kill -- -%d ends it)",
				h.command[0], group.Code(), h.key, group.ID())
		case <-lost:
			lost = nil
			h.sayLost(lock, guard)
		case <-killed:
			killed = nil
			unkillable = after(unkillableAfter)
		case <-unkillable:
			survived = true
		case <-group.Gone():
			gone = true
		}
	}

	wasLost, failed := guard.stop()
	if wasLost && !h.lost {
		h.sayLost(lock, guard)
	}
	switch {
	case survived:
		group.TakeTerminal()
		return exit(exitLost, "%s could not be killed%s: end process group %d before it does harm", h.command[0], because(failed), group.ID())
	case wasLost:
		return &exitError{code: exitLost}
	default:
		return &exitError{code: group.Code()}
	}
}

// sayLost says why the command is ended.
func (h *holding) sayLost(lock *redlock.Lock, guard *guard) {
	h.lost = true
	why := context.Cause(lock.Context())
	if guard.ranOut() {
		why = h.rounds.notExtended()
	}
	if why == nil {
		why = errors.New("it was not extended in time")
	}
	say(h.stderr, "%s is lost: %v; %s is ended, and what it did last may not have been alone: check that, and the nodes, before you run it again", h.key, why, h.command[0])
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return fmt.Sprintf(" (%v)", err)
}

// release gives the lock back. It never changes the exit code: the command is
// done, and the keys expire by themselves.
func (h *holding) release(lock *redlock.Lock) {
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	if err := lock.Release(ctx); err != nil && !h.lost {
		say(h.stderr, "%s could not be released and stays locked until it expires, in %v at the most: %v", h.key, h.ttl, err)
	}
}

// signalError says which signal ended a context.
type signalError struct{ signal os.Signal }

func (e *signalError) Error() string { return "signal: " + e.signal.String() }

// untilSignal returns a context that ends at the first signal, with a
// signalError. It takes no more signals once the returned function has returned.
func untilSignal(ctx context.Context, signals <-chan os.Signal) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	enough, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case sig := <-signals:
			cancel(&signalError{sig})
		case <-enough:
		}
	}()
	return ctx, sync.OnceFunc(func() {
		close(enough)
		<-ended
	})
}

// interrupted is the end of a run whose command was not started.
func (h *holding) interrupted(ctx context.Context) error {
	code := exitInternal
	if by, ok := errors.AsType[*signalError](context.Cause(ctx)); ok {
		if n, ok := by.signal.(syscall.Signal); ok {
			code = exitSignal + int(n)
		}
	}
	return exit(code, "%v before %s was started, nothing was run", context.Cause(ctx), h.command[0])
}

// after returns a channel that is closed once d has passed.
func after(d time.Duration) <-chan struct{} {
	c := make(chan struct{})
	clock.System().AfterFunc(d, func() { close(c) })
	return c
}
