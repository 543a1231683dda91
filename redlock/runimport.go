package redlock

import (
	"context"
	"time"
)

// Result tells how an import went. Err is set whether it did not start or failed.
type Result[T any] struct {
	Acquired   bool // the lock was had, so the function was called
	Value      T
	Err        error         // why the import did not start, or failed; matches ErrLost when the lock was lost meanwhile
	ReleaseErr error         // the lock could not be given back and stays until it expires; the import is none the worse
	Attempts   int           // to get the lock
	Waited     time.Duration // for the lock
	Held       time.Duration // from getting the lock to having released it
}

// RunImport runs the import called name while holding import:lock:name for five
// minutes at a time, extending it as [Client.WithLock] does. Where it was not
// Acquired, and so not run, the result's Err matches [ErrHeld] when the import is
// running already, for an answer of 409, and [ErrNoQuorum] when too few nodes
// answered, for 503. Any other error is a failed import, for 500.
func RunImport[T any](ctx context.Context, c *Client, name string, fn func(context.Context) (T, error), opts ...ImportOption) Result[T] {
	if name == "" {
		return Result[T]{Err: invalid("import name", `""`, "must not be empty")}
	}
	cfg := importConfig{ttl: TTLMedium}
	for _, o := range opts {
		o.importing(&cfg)
	}
	return run(ctx, c, "import:lock:"+name, cfg.ttl, fn, cfg.acquire)
}
