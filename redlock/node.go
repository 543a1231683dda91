package redlock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/rueidis"

	"github.com/redlock-go/redlock/clock"
	"github.com/redlock-go/redlock/quorum"
)

type call = quorum.Call[*command]

// node is one Redis master and the single connection that its lane uses: a
// dedicated one, so that commands stay in order whatever the caller's client
// does with its other connections, and so that every new connection is greeted
// and checked before it carries a vote.
type node struct {
	name    string // host:port or socket path, never credentials
	clock   clock.Clock
	timeout time.Duration
	join    func(self) error // says whether this server may vote; see members.go

	client rueidis.Client
	dialer *dialer // nil for a client of the caller's

	mu   sync.Mutex // guards wire
	wire rueidis.DedicatedClient
}

var _ quorum.Conn[*command] = (*node)(nil)

// Connect makes a new connection, checks what is behind it, and loads the
// scripts.
func (n *node) Connect(ctx context.Context) (time.Duration, error) {
	done := func() {}
	if n.dialer != nil {
		done = n.dialer.allow(ctx)
	}
	// Whether the dial went well shows in the first command.
	wire, _ := n.client.Dedicate()
	roundTrip, err := n.greet(ctx, wire)
	done()
	if err != nil {
		wire.Close()
		return 0, n.explain(n.suspectTLS(err), 4*n.timeout)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.wire = wire
	return roundTrip, nil
}

// greet asks the server who it is, loads the scripts, and measures the round trip.
func (n *node) greet(ctx context.Context, wire rueidis.DedicatedClient) (time.Duration, error) {
	b := wire.B()
	cmds := []rueidis.Completed{
		b.Arbitrary("INFO", "server").Build(),
		b.Arbitrary("INFO", "replication").Build(),
	}
	for _, s := range allScripts {
		cmds = append(cmds, b.Arbitrary("SCRIPT", "LOAD", s.source).Build())
	}
	answers := wire.DoMulti(ctx, cmds...)

	who, err := readSelf(answers[0], answers[1])
	if err != nil {
		return 0, err
	}
	for _, a := range answers[2:] {
		// A user who may not load scripts may still be allowed to run them;
		// then each is sent with its source.
		if err := a.Error(); err != nil && !forbidden(err) {
			return 0, fmt.Errorf("load script: %w", err)
		}
	}
	if err := n.join(who); err != nil {
		return 0, err
	}

	var fastest time.Duration
	for range 2 {
		start := n.clock.Now()
		if err := wire.Do(ctx, b.Arbitrary("PING").Build()).Error(); err != nil {
			return 0, err
		}
		if took := n.clock.Now().Sub(start); fastest == 0 || took < fastest {
			fastest = took
		}
	}
	return fastest, nil
}

// Alive implements quorum.Conn. Of a caller's own client the socket is out of
// reach, so its connections are taken to be alive.
func (n *node) Alive() bool { return n.dialer == nil || n.dialer.alive() }

// Send sends a batch in one write and reads the answers into it.
func (n *node) Send(batch []*call, _ bool) error {
	n.mu.Lock()
	wire := n.wire
	n.mu.Unlock()
	if wire == nil {
		return net.ErrClosed
	}
	ctx := deadlines.Get().(*clock.Deadline) //nolint:forcetypeassert // the pool holds nothing else
	ctx.Start(n.timeout)
	defer func() {
		ctx.Stop()
		deadlines.Put(ctx)
	}()

	var forgotten []*call // calls whose script the server does not know
	var changed error     // the server is no longer what it was when it was greeted
	broken := func(c *call, r rueidis.RedisResult) error {
		if err := r.NonRedisError(); err != nil {
			return err
		}
		c.Vote, c.Err = c.Command.vote(r)
		if reply, ok := errors.AsType[*rueidis.RedisError](c.Err); ok {
			switch {
			case reply.IsNoScript():
				forgotten = append(forgotten, c)
			case reply.IsLoading(), strings.HasPrefix(reply.Error(), "READONLY"):
				changed = c.Err
			}
		}
		return nil
	}
	err := exchange(ctx, wire, batch, (*command).build, broken)
	if again := forgotten; err == nil && len(again) > 0 {
		// In the same turn of the lane, so that nothing else of these locks
		// comes in between, and whoever waited may be long gone.
		forgotten = nil
		err = exchange(ctx, wire, again, (*command).buildWithSource, broken)
	}
	if err == nil {
		err = changed // has it greeted anew, which tells a replica, and waits for one that loads
	}
	if err != nil {
		return n.explain(err, n.timeout)
	}
	return nil
}

var deadlines = sync.Pool{New: func() any { return new(clock.Deadline) }}

// exchange sends the calls and hands each its answer.
func exchange(
	ctx context.Context, wire rueidis.DedicatedClient, calls []*call,
	build func(*command, rueidis.Builder) rueidis.Completed, read func(*call, rueidis.RedisResult) error,
) error {
	if len(calls) == 1 {
		return read(calls[0], wire.Do(ctx, build(calls[0].Command, wire.B())))
	}
	cmds := make([]rueidis.Completed, len(calls))
	for i, c := range calls {
		cmds[i] = build(c.Command, wire.B())
	}
	for i, r := range wire.DoMulti(ctx, cmds...) {
		if err := read(calls[i], r); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the connection; the next Connect makes another.
func (n *node) Close() {
	n.mu.Lock()
	wire := n.wire
	n.wire = nil
	n.mu.Unlock()
	if n.dialer != nil {
		n.dialer.hangUp() // or rueidis would wait for the answers that are out
	}
	if wire != nil {
		wire.Close()
	}
}

// discreet cuts from an error reply the arguments that a server repeats when it does
// not know a command: tokens and passwords are among them.
func discreet(err error) error {
	if err == nil {
		return nil
	}
	said, _, repeated := strings.Cut(err.Error(), ", with args beginning with")
	if !repeated {
		return err
	}
	return &refusal{said: strings.TrimSuffix(said, ","), err: err}
}

// refusal is an error reply in fewer words.
type refusal struct {
	said string
	err  error
}

func (e *refusal) Error() string { return e.said }
func (e *refusal) Unwrap() error { return e.err }

// explain puts the node's trouble into words that say what to do. bound is what
// it had to answer.
func (n *node) explain(err error, bound time.Duration) error {
	err = discreet(err)
	text := err.Error()
	switch {
	case timedOut(err):
		return fmt.Errorf("no answer within %v: %w", bound, err)
	case strings.Contains(text, "received unknown message type"), strings.Contains(text, "unexpected no CRLF"):
		return fmt.Errorf("answers, but not as Redis does: is this its port, and should it be rediss://? (%w)", err)
	case strings.HasPrefix(text, "WRONGPASS"), strings.HasPrefix(text, "NOAUTH"):
		return fmt.Errorf("user or password refused: %w", err)
	}
	return err
}

// suspectTLS adds what a connection that fails before it said anything may be down
// to: neither side tells that the other should, or should not, have encrypted.
func (n *node) suspectTLS(err error) error {
	switch {
	case n.dialer == nil:
		return err
	case n.dialer.encrypts && (timedOut(err) || errors.Is(err, io.EOF)):
		return fmt.Errorf("%w: does it speak TLS, or should it be redis:// without?", err)
	case !n.dialer.encrypts && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)):
		return fmt.Errorf("%w while greeted: does it want TLS, rediss://?", err)
	}
	return err
}

func timedOut(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

// forbidden reports that the user is not allowed the command, or that the server
// does not have it.
func forbidden(err error) bool {
	text := err.Error()
	return strings.HasPrefix(text, "NOPERM") || strings.HasPrefix(strings.ToLower(text), "err unknown command")
}
