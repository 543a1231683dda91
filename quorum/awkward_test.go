package quorum_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlock-go/redlock/quorum"
)

// awkward is a node whose connection does one thing or another in its own way.
type awkward struct {
	*node
	connect func(ctx context.Context) (time.Duration, error)
	alive   func() bool
	close   func()
}

func (a *awkward) Connect(ctx context.Context) (time.Duration, error) {
	if a.connect == nil {
		return a.node.Connect(ctx)
	}
	return a.connect(ctx)
}

func (a *awkward) Alive() bool {
	if a.alive == nil {
		return a.node.Alive()
	}
	return a.alive()
}

func (a *awkward) Close() {
	if a.close != nil {
		a.close()
	}
	a.node.Close()
}

// openAwkward is open for an awkward node.
func openAwkward(t *testing.T, a *awkward) *lane {
	t.Helper()
	l := quorum.NewLane(a, config())
	t.Cleanup(func() { l.Close(gone()) })
	<-l.Tried()
	synctest.Wait()
	return l
}

// within reports whether done is closed before d has passed.
func within(d time.Duration, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-time.After(d):
		return false
	}
}

// background runs f and tells when it has returned.
func background(f func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	return done
}
