package redlock

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
)

// dialer makes the connections of a node that [Dial] was given. It refuses to
// dial except from Connect, so that no connection is made behind the lane's back
// that nobody has greeted, and it takes ctx from there: rueidis dials a dedicated
// connection without one.
type dialer struct {
	network  string
	encrypts bool

	mu   sync.Mutex // guards ctx and conn
	ctx  context.Context
	conn net.Conn
}

var errNotNow = errors.New("redlock: connections are made by the lane")

// allow lets a connection be made under ctx, whose end also closes it, until the
// returned function is called.
func (d *dialer) allow(ctx context.Context) (done func()) {
	d.mu.Lock()
	d.ctx = ctx
	d.mu.Unlock()
	unwatch := context.AfterFunc(ctx, d.hangUp)
	return func() {
		unwatch()
		d.mu.Lock()
		d.ctx = nil
		d.mu.Unlock()
	}
}

func (d *dialer) dial(_ context.Context, addr string, nd *net.Dialer, config *tls.Config) (net.Conn, error) {
	d.mu.Lock()
	ctx := d.ctx
	d.mu.Unlock()
	if ctx == nil {
		return nil, errNotNow
	}
	conn, err := d.open(ctx, addr, nd, config)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if ctx.Err() != nil { // hangUp has come and gone
		_ = conn.Close()
		return nil, context.Cause(ctx)
	}
	d.conn = conn
	return conn, nil
}

func (d *dialer) open(ctx context.Context, addr string, nd *net.Dialer, config *tls.Config) (net.Conn, error) {
	if config == nil {
		return nd.DialContext(ctx, d.network, addr)
	}
	td := tls.Dialer{NetDialer: nd, Config: config}
	return td.DialContext(ctx, d.network, addr)
}

// alive reports whether the peer has not closed the connection.
func (d *dialer) alive() bool {
	d.mu.Lock()
	conn := d.conn
	d.mu.Unlock()
	if conn == nil {
		return false
	}
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	return !closedByPeer(conn)
}

// hangUp closes the connection under a command that is waiting on it.
func (d *dialer) hangUp() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn != nil {
		_ = d.conn.Close()
		d.conn = nil
	}
}
