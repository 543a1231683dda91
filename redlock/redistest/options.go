package redistest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path/filepath"
)

// Option sets up all servers of a cluster.
type Option func(*settings)

type settings struct {
	password string
	secure   bool
	socket   bool
	aof      bool
	master   *Node
	args     []string

	certFile, keyFile string      // with secure
	client            *tls.Config // with secure: what a client needs to trust the certificate
}

// Password makes the servers ask for a password (requirepass).
func Password(password string) Option {
	return func(s *settings) { s.password = password }
}

// TLS makes the servers speak nothing but TLS, with a certificate for 127.0.0.1
// that [Node.TLSConfig] trusts and nobody else.
func TLS() Option { return func(s *settings) { s.secure = true } }

// UnixSocket makes the servers listen on a socket too; see [Node.Socket].
func UnixSocket() Option { return func(s *settings) { s.socket = true } }

// AOF makes the servers write everything to disk before they reply, so that
// [Node.Restart] brings the data back.
func AOF() Option { return func(s *settings) { s.aof = true } }

// ReplicaOf makes the servers replicas of master, which must not use [TLS]. They
// have started when they have its data.
func ReplicaOf(master *Node) Option { return func(s *settings) { s.master = master } }

// Args adds arguments to the servers' command lines, such as "--maxmemory",
// "1mb". They win over those that the package gives.
func Args(args ...string) Option {
	return func(s *settings) { s.args = append(s.args, args...) }
}

func newSettings(dir string, opts []Option) (*settings, error) {
	s := &settings{}
	for _, opt := range opts {
		opt(s)
	}
	if s.master != nil && s.master.set.secure {
		return nil, errors.New("redistest: ReplicaOf: the master speaks TLS only, which replicas here do not: start it without TLS")
	}
	if s.secure {
		s.certFile, s.keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
		var err error
		if s.client, err = writeCertificate(s.certFile, s.keyFile); err != nil {
			return nil, fmt.Errorf("redistest: certificate: %w", err)
		}
	}
	return s, nil
}

// commandLine returns the arguments of a server on port that keeps its files in
// dir.
func (s *settings) commandLine(port, dir string) []string {
	args := []string{
		"--bind", "127.0.0.1",
		"--dir", dir,
		"--save", "",
		"--repl-diskless-sync-delay", "0", // replicas need not wait for more of them
	}
	if s.secure {
		args = append(args, "--port", "0", "--tls-port", port, "--tls-auth-clients", "no",
			"--tls-cert-file", s.certFile, "--tls-key-file", s.keyFile, "--tls-ca-cert-file", s.certFile)
	} else {
		args = append(args, "--port", port)
	}
	if s.password != "" {
		args = append(args, "--requirepass", s.password)
	}
	if s.socket {
		args = append(args, "--unixsocket", socketIn(dir))
	}
	if s.aof {
		args = append(args, "--appendonly", "yes", "--appendfsync", "always")
	} else {
		args = append(args, "--appendonly", "no")
	}
	if s.master != nil {
		host, port, _ := net.SplitHostPort(s.master.Addr())
		args = append(args, "--replicaof", host, port)
		if s.master.set.password != "" {
			args = append(args, "--masterauth", s.master.set.password)
		}
	}
	return append(args, s.args...)
}

func socketIn(dir string) string { return filepath.Join(dir, "redis.sock") }
