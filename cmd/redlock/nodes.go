package main

import (
	"context"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redlock-go/redlock/clock"
	"github.com/redlock-go/redlock/quorum"
)

// developmentNodes is where the development nodes of a machine are, so that two
// terminals find the same ones. Tests have their own.
var developmentNodes = []string{
	"127.0.0.1:17379", "127.0.0.1:17380", "127.0.0.1:17381", "127.0.0.1:17382", "127.0.0.1:17383",
}

// nodesVariable names the nodes where no flag does.
const nodesVariable = "REDLOCK_NODES"

// addresses returns the nodes that were given, nil for the development nodes.
func (o *runOptions) addresses() ([]string, error) {
	list, from := o.nodes, "--nodes"
	if !o.nodesGiven {
		text, given := os.LookupEnv(nodesVariable)
		if !given {
			return nil, nil
		}
		list, from = strings.Split(text, ","), nodesVariable
	}
	addrs := make([]string, len(list))
	for i, addr := range list {
		addrs[i] = strings.TrimSpace(addr)
	}
	// Most likely a variable that was not filled in. To take the development
	// nodes instead would let the same command run on every machine at once.
	if strings.Join(addrs, "") == "" {
		return nil, exit(exitUsage, "%s names no nodes: give host:port, redis://, rediss:// or unix://, separated by commas, or leave it out to use the development nodes of this machine", from)
	}
	return addrs, nil
}

const (
	// settleTimeout is how long development nodes may take to come up that some
	// other process has begun to start.
	settleTimeout = time.Second
	// startTimeout is how long those may take that we start.
	startTimeout = 10 * time.Second
	nodesPoll    = 10 * time.Millisecond
)

// development sees to it that the development nodes run, and returns them.
func (h *holding) development(ctx context.Context) ([]string, error) {
	n := serving(ctx, developmentNodes)
	if 0 < n && n < len(developmentNodes) {
		// Perhaps they are just being started.
		n = awaitServing(ctx, developmentNodes, settleTimeout, nil)
	}
	if n < quorum.Majority(len(developmentNodes)) && ctx.Err() == nil {
		if err := startInBackground(ctx); err != nil {
			return nil, err
		}
	}
	if ctx.Err() != nil {
		return nil, h.interrupted(ctx)
	}
	say(h.stderr, "using the development nodes of this machine, which exclude nobody on any other (%s to %s; redlock dev --stop ends them): for real ones give --nodes or %s",
		developmentNodes[0], developmentNodes[len(developmentNodes)-1], nodesVariable)
	return developmentNodes, nil
}

// serving returns how many of the addresses accept connections.
func serving(ctx context.Context, addrs []string) int {
	const timeout = 200 * time.Millisecond // on loopback
	dialer := net.Dialer{Timeout: timeout}
	var up atomic.Int32
	var dialling sync.WaitGroup
	for _, addr := range addrs {
		dialling.Go(func() {
			if conn, err := dialer.DialContext(ctx, "tcp", addr); err == nil {
				_ = conn.Close()
				up.Add(1)
			}
		})
	}
	dialling.Wait()
	return int(up.Load())
}

// awaitServing waits until all addresses accept connections, and returns how many
// do: fewer when the time is up, or ctx or stop ends first.
func awaitServing(ctx context.Context, addrs []string, timeout time.Duration, stop <-chan struct{}) int {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		// Not under ctx, so that it tells how things are at the end, too.
		n := serving(context.Background(), addrs)
		select {
		case <-stop:
			return n
		default:
		}
		if n == len(addrs) || clock.Sleep(ctx, clock.System(), nodesPoll) != nil {
			return n
		}
	}
}
