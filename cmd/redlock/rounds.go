package main

import (
	"context"
	"errors"
	"sync"

	"github.com/redlock-go/redlock/redlock"
)

// rounds remembers how the last rounds over the nodes went, to say why a lock was
// not to be had, or could not be extended.
type rounds struct {
	mu      sync.Mutex // guards the rest
	acquire error
	extend  error
}

func (r *rounds) observer() redlock.Observer {
	return redlock.Observer{Round: func(e redlock.RoundEvent) {
		// A round that was cut short says nothing.
		if errors.Is(e.Err, context.Canceled) || errors.Is(e.Err, context.DeadlineExceeded) {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		switch e.Op {
		case "acquire":
			r.acquire = e.Err
		case "extend":
			r.extend = e.Err
		}
	}}
}

// held reports whether the last full attempt found another owner.
func (r *rounds) held() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Is(r.acquire, redlock.ErrHeld)
}

// notExtended returns why the lock was not extended the last time, nil if it was.
func (r *rounds) notExtended() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.extend
}
