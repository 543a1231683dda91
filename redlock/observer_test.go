package redlock_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/quorum"
	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlock/redistest"
)

func TestTheObserverAndTheLogAreToldAndNoSecretsAreIn(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 3, redistest.Password("correct horse"))
	var mu sync.Mutex
	var log bytes.Buffer
	ops := map[string]quorum.Outcome{}
	var seen []redlock.NodeEvent
	urls := make([]string, 0, 3)
	for _, n := range nodes.Nodes() {
		urls = append(urls, n.URL())
	}
	c := dial(t, urls,
		redlock.WithLogger(slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, nil))),
		redlock.WithObserver(redlock.Observer{
			Round: func(e redlock.RoundEvent) {
				mu.Lock()
				defer mu.Unlock()
				assert.Equal(t, "k", e.Key)
				assert.Equal(t, e.Err == nil, e.Tally.Outcome() == quorum.Won, "%+v", e)
				ops[e.Op] = e.Tally.Outcome()
			},
			Node: func(e redlock.NodeEvent) {
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, e)
			},
		}))
	l := acquire(t, c, "k", time.Minute)
	require.NoError(t, l.Extend(context.Background(), time.Minute))
	_, err := c.Attach(context.Background(), l.Handle())
	require.NoError(t, err)
	require.NoError(t, l.Release(context.Background()))
	nodes.Node(0).Kill()
	nodes.Node(1).Kill()
	_, err = c.TryAcquire(context.Background(), "k", time.Minute)
	require.ErrorIs(t, err, redlock.ErrNoQuorum)
	nodes.Node(0).Restart()
	eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		last := seen[len(seen)-1]
		return last.Node == nodes.Node(0).Addr() && last.Err == nil
	}, "nobody was told that the node is back")

	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, map[string]quorum.Outcome{"acquire": quorum.Lost, "extend": quorum.Won, "attach": quorum.Won, "release": quorum.Won}, ops)
	require.Contains(t, log.String(), "redlock: node cannot be reached")
	require.Contains(t, log.String(), "redlock: node can be reached")
	for _, secret := range []string{l.Token(), "correct", "horse"} {
		require.NotContains(t, log.String()+err.Error(), secret)
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	b  *bytes.Buffer
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func TestAQuorumErrorHoldsTheNumbers(t *testing.T) {
	t.Parallel()
	nodes := redistest.Start(t, 5)
	c := dial(t, nodes.Addrs())
	for i := range 3 {
		nodes.Node(i).Kill()
	}
	_, err := c.TryAcquire(context.Background(), "k", time.Minute)
	require.Regexp(t, `^acquire "k": too few nodes answered \(yes \d, no 0, unknown \d of 5\) in [0-9.]+(µs|ms|s): node `, err.Error())
	var failed *redlock.QuorumError
	require.ErrorAs(t, err, &failed)
	require.Len(t, failed.Votes, 5)
	require.Equal(t, "acquire", failed.Op)
	require.Equal(t, "k", failed.Key)
	require.Positive(t, failed.Elapsed)
	require.Equal(t, nodes.Node(0).Addr(), failed.Votes[0].Node)
	require.Error(t, failed.Votes[0].Err)
}
