package embedded

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"

	"github.com/redlock-go/redlock/clock"
)

// node is one miniredis behind a listener of its own.
type node struct {
	addr   string
	clock  clock.Clock
	redis  *miniredis.Miniredis
	expiry *expiry

	mu       sync.Mutex   // guards what follows and makes start, stop and close one at a time
	listener net.Listener // nil while the node is stopped
	serving  sync.WaitGroup
	closed   bool
}

// newNode starts a node at addr, which may leave the port open with a 0.
func newNode(addr string, c clock.Clock) (*node, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	redis := miniredis.NewMiniRedis()
	n := &node{
		addr:   l.Addr().String(),
		clock:  c,
		redis:  redis,
		expiry: newExpiry(c, redis.FastForward),
	}
	return n, n.serve(l)
}

func (n *node) start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return errors.New("the cluster is closed: start a new one")
	}
	if n.listener != nil {
		return nil
	}
	l, err := net.Listen("tcp", n.addr)
	if err != nil {
		return err
	}
	return n.serve(l)
}

// serve starts to answer on l. miniredis could listen by itself, but then it
// accepts connections before it knows any command, and a client that has been
// waiting for the node would be told that HELLO does not exist.
func (n *node) serve(l net.Listener) error {
	// Dial is miniredis' way to start without a listener; the connection that
	// it makes is not needed.
	unused, err := n.redis.Dial()
	if err != nil {
		return errors.Join(err, l.Close())
	}
	_ = unused.Close()

	srv := n.redis.Server()
	self := newIdentity(n.addr)
	srv.SetPreHook(func(p *server.Peer, cmd string, args ...string) bool {
		n.expiry.charge(p)
		return self.answer(p, cmd, args)
	})
	n.listener = l
	n.serving.Go(func() { n.accept(l, srv) })
	return nil
}

// acceptPause keeps a node that has run out of file descriptors from spinning.
const acceptPause = 10 * time.Millisecond

func (n *node) accept(l net.Listener, srv *server.Server) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			_ = clock.Sleep(context.Background(), n.clock, acceptPause)
			continue
		}
		srv.ServeConn(conn)
	}
}

// stop returns when all connections are cut and no goroutine serves the node.
func (n *node) stop() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stopLocked()
}

func (n *node) stopLocked() error {
	if n.listener == nil {
		return nil
	}
	err := n.listener.Close()
	n.listener = nil
	n.serving.Wait() // from here on nobody adds a connection

	srv := n.redis.Server()
	n.redis.Close()

	// Redis forgets its scripts when it ends; miniredis keeps them. The server
	// still dispatches, and since it serves nobody nobody can come in between.
	srv.SetPreHook(nil)
	srv.Dispatch(server.NewPeer(bufio.NewWriter(io.Discard)), []string{"SCRIPT", "FLUSH"})
	// miniredis cancels this context for good when it closes; blocking commands
	// would return at once after a restart.
	n.redis.Ctx, n.redis.CtxCancel = context.WithCancel(context.Background())
	return err
}

func (n *node) close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	return n.stopLocked()
}
