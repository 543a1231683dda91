package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/redlock/embedded"
)

func TestAServiceThatIsTerminatedFinishesItsImport(t *testing.T) {
	dbPath := filepath.Join(t.TempDir(), "customers.db")
	cmd, _, _ := importer(t, "serve", "--addr", "127.0.0.1:0", "--csv", "customers.csv", "--db", dbPath, "--pace", "2s")
	cmd.Env = append(cmd.Env, "REDLOCK_NODES="+strings.Join(embedded.Nodes(t, 3), ","))
	logged, stderr := io.Pipe()
	cmd.Stderr = stderr
	require.NoError(t, cmd.Start())
	at := importURL(t, logged)

	// Two, so that one is refused: then the other one is under way.
	replies := make(chan reply, 2)
	for range 2 {
		go func() { replies <- request(t, http.MethodPost, at) }()
	}
	require.Equal(t, http.StatusConflict, (<-replies).status)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))

	got := <-replies
	assert.Equal(t, http.StatusOK, got.status)
	assert.Contains(t, got.body, `"rows":3000`)
	assert.Contains(t, got.body, `"overlapped":[]`)
	require.NoError(t, cmd.Wait(), "exit status 0")
	require.NoError(t, stderr.Close())
	assert.Equal(t, 3000, count(t, dbPath, "customers"))
	assert.Equal(t, 1, count(t, dbPath, "imports WHERE lock_key = 'import:lock:customers'"))
}

// importURL waits until the service says where it serves, and then reads on, so
// that its log does not fill the pipe.
func importURL(t *testing.T, logged io.Reader) string {
	t.Helper()
	lines := bufio.NewScanner(logged)
	for lines.Scan() {
		if url := regexp.MustCompile(`http://\S+/imports/customers`).FindString(lines.Text()); url != "" {
			go func() { _, _ = io.Copy(io.Discard, logged) }()
			return url
		}
	}
	require.Fail(t, "the service ended without serving")
	return ""
}

func TestARequestThatOutlastsTheDrainIsStoppedAndAnswered(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	began := make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
		w.WriteHeader(http.StatusInternalServerError)
	})
	served := make(chan error, 1)
	go func() {
		served <- serveUntilDone(ctx, listener, handler, 50*time.Millisecond, slog.New(slog.DiscardHandler))
	}()
	running := make(chan reply, 1)
	go func() { running <- request(t, http.MethodPost, "http://"+listener.Addr().String()) }()
	<-began
	stop()
	assert.Equal(t, http.StatusInternalServerError, (<-running).status)
	require.NoError(t, <-served)
}

func TestAServiceThatCannotListenSaysSo(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	t.Setenv("REDLOCK_NODES", strings.Join(embedded.Nodes(t, 3), ","))
	err = serve(t.Context(), []string{"--addr", taken.Addr().String(), "--csv", "customers.csv", "--db", "x.db"}, io.Discard)
	require.ErrorIs(t, err, syscall.EADDRINUSE)
}

func TestAServiceWithBadNodesSaysSo(t *testing.T) {
	t.Setenv("REDLOCK_NODES", "127.0.0.1:7001, 127.0.0.1:7001")
	err := serve(t.Context(), []string{"--csv", "customers.csv", "--db", "x.db"}, io.Discard)
	require.ErrorContains(t, err, "127.0.0.1:7001")
	_, isUsage := errors.AsType[usageError](err)
	assert.False(t, isUsage)
}
