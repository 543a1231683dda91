package redistest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Node is one redis-server. Its methods are safe for concurrent use; those
// without an error fail the test that started it.
type Node struct {
	report reporter
	binary string
	set    *settings
	dir    string
	port   string // fixed once the node has started

	mu      sync.Mutex // makes starting and ending one at a time and guards process
	process *process   // nil before the first start; may have ended
}

func newNode(report reporter, binary, parent string, i int, set *settings) (*Node, error) {
	n := &Node{report: report, binary: binary, set: set, dir: filepath.Join(parent, strconv.Itoa(i))}
	return n, os.Mkdir(n.dir, 0o700)
}

// Addr returns the server's address as host:port.
func (n *Node) Addr() string { return net.JoinHostPort("127.0.0.1", n.port) }

// URL returns the server's address with its password and whether it speaks TLS.
func (n *Node) URL() string {
	u := url.URL{Scheme: "redis", Host: n.Addr()}
	if n.set.secure {
		u.Scheme = "rediss"
	}
	if n.set.password != "" {
		u.User = url.UserPassword("", n.set.password)
	}
	return u.String()
}

// Socket returns the path of the server's socket, with [UnixSocket].
func (n *Node) Socket() string { return socketIn(n.dir) }

// TLSConfig returns what a client needs to trust the server, with [TLS].
func (n *Node) TLSConfig() *tls.Config { return n.set.client.Clone() }

// Pause freezes the server (SIGSTOP): the kernel goes on accepting connections
// and data for it, but it does nothing until [Node.Resume].
func (n *Node) Pause() {
	n.report.Helper()
	n.must("pause", n.running((*process).pause))
}

// Resume lets a paused server go on, with everything that it was sent meanwhile.
func (n *Node) Resume() {
	n.report.Helper()
	n.must("resume", n.running(func(p *process) error { return p.Signal(syscall.SIGCONT) }))
}

// Kill ends the server at once (SIGKILL), also a paused one. It is gone when
// Kill returns. A server that is gone stays so.
func (n *Node) Kill() {
	n.report.Helper()
	n.must("kill", n.kill())
}

// Terminate asks the server to shut down (SIGTERM) and waits until it has. A
// paused one has to be resumed first.
func (n *Node) Terminate() {
	n.report.Helper()
	n.must("terminate", n.running(func(p *process) error { return p.end(syscall.SIGTERM) }))
}

// Restart starts the server again on its port, killing it first if it runs. It
// comes back empty, with [AOF] with its data.
func (n *Node) Restart() {
	n.report.Helper()
	n.must("restart", errors.Join(n.kill(), n.start()))
}

func (n *Node) must(do string, err error) {
	n.report.Helper()
	if err != nil {
		n.report.Fatalf("redistest: %s %s: %v", do, n.Addr(), err)
	}
}

// running calls f with the server's process unless that has ended.
func (n *Node) running(f func(*process) error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil || n.process.ended() {
		return errors.New("the server is not running: start it with Restart")
	}
	return f(n.process)
}

func (n *Node) kill() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil {
		return nil
	}
	return n.process.end(syscall.SIGKILL)
}

// startAnywhere starts the server on the first of pick's ports that it gets.
func (n *Node) startAnywhere(pick func() (string, error)) error {
	for {
		port, err := pick()
		if err != nil {
			return fmt.Errorf("redistest: %w", err)
		}
		n.port = port
		switch err := n.start(); {
		case err == nil:
			return nil
		case errors.Is(err, errPortTaken):
			// Taken between finding it free and using it. That is rare, so
			// trying again comes to an end.
		default:
			return fmt.Errorf("redistest: redis-server on %s: %w", n.Addr(), err)
		}
	}
}

// start starts the server on its port and returns when it answers.
func (n *Node) start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	log, err := os.Create(filepath.Join(n.dir, "log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the server has its own
	if n.process, err = startProcess(log, n.binary, n.set.commandLine(n.port, n.dir)...); err != nil {
		return err
	}
	if err := n.awaitReady(); err != nil {
		return errors.Join(err, n.process.end(syscall.SIGKILL))
	}
	return nil
}

func (n *Node) awaitReady() error {
	deadline := time.Now().Add(startTimeout)
	for {
		err := n.ready()
		if err == nil {
			return nil
		}
		select {
		case <-n.process.exited:
			lines := n.lastLines()
			if strings.Contains(lines, "Address already in use") {
				return errPortTaken
			}
			return fmt.Errorf("it ended (%w); its last lines:\n%s", n.process.state, lines)
		case <-time.After(poll):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("it does not answer after %v (%w); its last lines:\n%s", startTimeout, err, n.lastLines())
		}
	}
}

// ready returns nil if the server on the port is this one and serves. Another
// test's server may have been faster in taking the port.
func (n *Node) ready() error {
	if _, err := n.Do("PING"); err != nil { // an error while it loads its data
		return err
	}
	server, err := n.info("server")
	if err != nil {
		return err
	}
	if pid := server["process_id"]; pid != strconv.Itoa(n.process.Pid) {
		return fmt.Errorf("process %s answers, not %d", pid, n.process.Pid)
	}
	if n.set.master == nil {
		return nil
	}
	replication, err := n.info("replication")
	if err == nil && replication["master_link_status"] != "up" {
		err = errors.New("it has not got its master's data yet")
	}
	return err
}

// lastLines returns the end of what the server printed since its last start.
func (n *Node) lastLines() string {
	const keep = 10
	log, err := os.ReadFile(filepath.Join(n.dir, "log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return "\t" + strings.Join(lines[max(0, len(lines)-keep):], "\n\t")
}
