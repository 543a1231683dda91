package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/redlock-go/redlock/examples/importer/internal/customers"
	"github.com/redlock-go/redlock/redlock"
)

const (
	drainTimeout = 20 * time.Second // for requests to end by themselves after a signal
	abortTimeout = 5 * time.Second  // then, for stopped imports to roll back, release and answer
)

// serve is "importer serve": it listens until ctx ends, and then lets the
// requests that are under way end, within a bound.
func serve(ctx context.Context, args []string, stderr io.Writer) error {
	flags := newFlags("serve")
	addr := flags.String("addr", "127.0.0.1:8080", "where to listen")
	csvPath := flags.String("csv", "", "the customers to import")
	dbPath := flags.String("db", "", "the SQLite file to import into")
	pace := paceFlag(flags)
	rest, err := parse(flags, args)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usageError{fmt.Errorf("serve: it takes flags only, got %q", rest)}
	}
	if *csvPath == "" || *dbPath == "" {
		return usageError{errors.New("serve: name the CSV with --csv and the database with --db")}
	}
	nodes := nodesFromEnv()
	if len(nodes) == 0 {
		return usageError{errors.New("serve: name the lock nodes in REDLOCK_NODES, as host:port,host:port,host:port")}
	}

	log := slog.New(slog.NewTextHandler(stderr, nil))
	client, err := redlock.Dial(nodes, redlock.WithLogger(log))
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	defer func() { _ = client.Close() }() // what it did not release expires

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *addr)
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	log.Info("serving", "url", "http://"+listener.Addr().String()+"/imports/customers", "nodes", len(nodes))
	return serveUntilDone(ctx, listener, newHandler(client, func(ctx context.Context) (customers.Run, error) {
		return customers.Import(ctx, *csvPath, *dbPath, customers.Options{Pace: *pace, LockKey: "import:lock:customers"})
	}, log), drainTimeout, log)
}

func paceFlag(flags *flag.FlagSet) *time.Duration {
	return flags.Duration("pace", 0, "spread an import over about this time")
}

func nodesFromEnv() []string {
	return strings.FieldsFunc(os.Getenv("REDLOCK_NODES"), func(r rune) bool { return r == ',' || r == ' ' })
}

// serveUntilDone serves until ctx ends. Requests then have the time drain to
// end by themselves; after that their contexts end, so that imports roll back
// and locks are released, not left to expire.
func serveUntilDone(ctx context.Context, listener net.Listener, handler http.Handler, drain time.Duration, log *slog.Logger) error {
	requests, abort := context.WithCancel(context.WithoutCancel(ctx)) // the signal must not stop a running import
	defer abort()
	server := &http.Server{
		Handler:           handler,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      importTimeout + time.Minute, // it runs from the request's header on: an import must fit
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}

	log.Info("stopping", "cause", context.Cause(ctx), "requests_have", drain)
	err := shutdown(ctx, server, drain)
	if err != nil {
		log.Warn("imports are still running: stopping them")
		abort()
		err = shutdown(ctx, server, abortTimeout)
	}
	if err != nil {
		err = errors.Join(fmt.Errorf("serve: requests did not end within %v: %w", drain+abortTimeout, err), server.Close())
	}
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// shutdown has a deadline of its own: ctx has ended, which is why it is called.
func shutdown(ctx context.Context, server *http.Server, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	return server.Shutdown(ctx)
}
