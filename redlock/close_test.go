package redlock_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlock/redistest"
)

func TestCallersOwnClientsCanBeUsed(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 3)
	var clients []rueidis.Client
	for _, addr := range nodes.Addrs() {
		// As people make them: several connections, which a lane must not spread over.
		client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, ForceSingleClient: true, DisableCache: true})
		require.NoError(t, err)
		t.Cleanup(client.Close)
		clients = append(clients, client)
	}
	c, err := redlock.New(clients)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 100 {
				l, err := c.TryAcquire(context.Background(), strconv.Itoa(i), time.Minute)
				if assert.NoError(t, err) {
					assert.NoError(t, l.Extend(context.Background(), time.Minute))
					assert.NoError(t, l.Release(context.Background()))
				}
			}
		})
	}
	wg.Wait()
	nodes.Node(0).Restart()
	l := acquire(t, c, "k", time.Minute)
	require.NoError(t, l.Release(context.Background()))
	eventually(t, noKeys(nodes), "keys were left behind")
	_, err = c.TryAcquire(context.Background(), "k", -1)
	require.Error(t, err)
	require.NoError(t, c.Close())
	require.NoError(t, clients[2].Do(context.Background(), clients[2].B().Ping().Build()).Error(), "a client that is not ours was closed")

	nodes.Node(1).Kill()
	_, err = c.TryAcquire(context.Background(), "k", time.Minute)
	require.ErrorIs(t, err, redlock.ErrClosed)
}

func TestCloseSendsWhatIsOwedAndEndsWhatIsHeld(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 3)
	c := dial(t, nodes.Addrs())
	kept := acquire(t, c, "kept", time.Hour, redlock.AutoExtend(true))
	var wg sync.WaitGroup
	for i := range 50 {
		l := acquire(t, c, strconv.Itoa(i), time.Hour)
		ctx, cancel := context.WithCancel(context.Background())
		wg.Go(func() { _ = l.Release(ctx); cancel() })
	}
	wg.Wait()
	require.NoError(t, c.Close())
	require.ErrorIs(t, c.Close(), redlock.ErrClosed)

	cause := context.Cause(kept.Context())
	require.ErrorIs(t, cause, redlock.ErrClosed)
	require.ErrorIs(t, cause, redlock.ErrLost)
	require.ErrorIs(t, kept.Extend(context.Background(), time.Hour), redlock.ErrLost)
	require.ErrorIs(t, kept.Release(context.Background()), redlock.ErrClosed)
	for _, n := range nodes.Nodes() {
		require.Subset(t, []string{"kept"}, n.Keys(), "a release did not go out")
	}
	_, err := c.Acquire(context.Background(), "k", time.Minute)
	require.ErrorIs(t, err, redlock.ErrClosed)
	_, err = c.Attach(context.Background(), kept.Handle())
	require.ErrorIs(t, err, redlock.ErrClosed)
	_, err = c.Inspect(context.Background(), "k")
	require.ErrorIs(t, err, redlock.ErrClosed)
}

func TestCloseDuringAcquisitionsLeavesNoKey(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 5)
	for round := range 20 {
		c := dial(t, nodes.Addrs())
		var workers sync.WaitGroup
		kept := make([]string, 16) // of locks that Close came before the release of
		for i := range kept {
			workers.Go(func() {
				for n := 0; ; n++ {
					key := fmt.Sprint(round, " ", i, " ", n)
					l, err := c.TryAcquire(context.Background(), key, time.Hour)
					if err != nil {
						return
					}
					if l.Release(context.Background()) != nil {
						kept[i] = key
						return
					}
				}
			})
		}
		time.Sleep(time.Duration(round%5) * time.Millisecond) // somewhere in the middle of it
		require.NoError(t, c.Close())
		workers.Wait()
		for _, n := range nodes.Nodes() {
			for _, key := range n.Keys() {
				require.Contains(t, kept, key, "an acquisition that failed left a key for an hour")
				command(t, n, "DEL", key)
			}
		}
	}
}

func TestCloseIsBoundedWhileAllNodesHang(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 3)
	c := dial(t, nodes.Addrs(), redlock.WithNodeTimeout(time.Second))
	l := acquire(t, c, "k", time.Hour)
	waiting := make(chan error, 1)
	for _, n := range nodes.Nodes() {
		n.Pause()
	}
	go func() { waiting <- l.Release(context.Background()) }()
	go func() { _, _ = c.Acquire(context.Background(), "other", time.Hour, redlock.UntilDone()) }()
	closed := make(chan struct{})
	go func() { _ = c.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(patience):
		t.Fatal("Close hangs with its nodes")
	}
	if err := <-waiting; !errors.Is(err, redlock.ErrClosed) { // the release came first
		require.ErrorIs(t, err, redlock.ErrNoQuorum)
	}
}
