package redlock

import (
	"context"
	"errors"
	"time"
)

// WithLock runs fn while holding key, extending the lock for as long as fn takes.
//
// fn's context ends with a cause that matches [ErrLost], at the latest when the
// lock's validity does: fn must stop then, since another may be running. WithLock
// waits for fn, and releases the lock when fn returns or panics, whatever has
// become of ctx.
//
// It returns what [Client.Acquire] returns when the lock was not to be had, and
// else fn's error, joined with [ErrLost] when the lock was lost before fn
// returned, even where fn returned nil. A release that fails is logged and does
// not fail what is done: the keys expire by themselves.
func (c *Client) WithLock(ctx context.Context, key string, ttl time.Duration, fn func(context.Context) error, opts ...AcquireOption) error {
	_, err := Run(ctx, c, key, ttl, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, fn(ctx)
	}, opts...)
	return err
}

// Run is [Client.WithLock] for a function that returns a value. The value is
// returned together with [ErrLost] where fn finished without noticing the loss.
func Run[T any](ctx context.Context, c *Client, key string, ttl time.Duration, fn func(context.Context) (T, error), opts ...AcquireOption) (T, error) {
	r := run(ctx, c, key, ttl, fn, opts)
	return r.Value, r.Err
}

// run acquires, runs fn, and releases, and keeps the books of it.
func run[T any](ctx context.Context, c *Client, key string, ttl time.Duration, fn func(context.Context) (T, error), opts []AcquireOption) (r Result[T]) {
	a, err := c.acquisition(ctx, key, ttl, append([]AcquireOption{AutoExtend(true)}, opts...))
	if err != nil {
		r.Err = err
		return r
	}
	asked := c.clock.Now()
	lock, err := a.retrying(ctx)
	got := c.clock.Now()
	r.Attempts, r.Waited = a.attempts, got.Sub(asked)
	if err != nil {
		r.Err = err
		return r
	}
	r.Acquired = true

	// Runs on return, on panic (which goes on after it) and on runtime.Goexit.
	defer func() {
		if lost := lock.err(); lost != nil && !errors.Is(r.Err, ErrLost) {
			r.Err = errors.Join(r.Err, lost)
		}
		if err := lock.Release(ctx); err != nil {
			r.ReleaseErr = err
			c.log.Warn("redlock: release failed, the key stays until it expires", "key", key, "error", err)
		}
		r.Held = c.clock.Now().Sub(got)
	}()

	under, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	life := lock.Context()
	defer context.AfterFunc(life, func() { cancel(context.Cause(life)) })()

	r.Value, r.Err = fn(under)
	return r
}
