package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/examples/importer/internal/customers"
	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlock/embedded"
)

// service is the handler behind a real listener, with locks on the nodes.
func service(t *testing.T, nodes []string, importCustomers importFunc) *httptest.Server {
	t.Helper()
	client, err := redlock.Dial(nodes)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	server := httptest.NewServer(newHandler(client, importCustomers, slog.New(slog.DiscardHandler)))
	t.Cleanup(server.Close)
	return server
}

type reply struct {
	status     int
	body       string
	retryAfter string
}

// request may be called by any goroutine: what fails in it fails the test and answers nothing.
func request(t *testing.T, method, url string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if !assert.NoError(t, err) {
		return reply{}
	}
	// A connection of its own: nothing of it is left when the test looks for leaks.
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if !assert.NoError(t, err) {
		return reply{}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	assert.NoError(t, err)
	return reply{resp.StatusCode, string(body), resp.Header.Get("Retry-After")}
}

func postImport(t *testing.T, server *httptest.Server) reply {
	t.Helper()
	return request(t, http.MethodPost, server.URL+"/imports/customers")
}

func done(context.Context) (customers.Run, error) {
	return customers.Run{ID: "6f2c", Rows: 3000, Overlapped: []customers.Overlap{}}, nil
}

func TestAnImportIsAnsweredWithItsResult(t *testing.T) {
	got := postImport(t, service(t, embedded.Nodes(t, 5), done))
	assert.Equal(t, http.StatusOK, got.status)
	assert.JSONEq(t, `{"run":"6f2c","started":"0001-01-01T00:00:00Z","finished":"0001-01-01T00:00:00Z","rows":3000,"overlapped":[]}`, got.body)
}

func TestOfTwoImportsAtOnceOneRunsAndOneIsRefused(t *testing.T) {
	nodes := embedded.Nodes(t, 5)
	began, end := make(chan struct{}), make(chan struct{})
	// Two services, as on two machines: they share the lock nodes only.
	first := service(t, nodes, func(ctx context.Context) (customers.Run, error) {
		close(began)
		<-end
		return done(ctx)
	})
	second := service(t, nodes, func(ctx context.Context) (customers.Run, error) {
		t.Error("two imports at once")
		return done(ctx)
	})

	running := make(chan reply, 1)
	go func() { running <- postImport(t, first) }()
	<-began
	refused := postImport(t, second)
	close(end)

	assert.Equal(t, http.StatusConflict, refused.status)
	assert.Equal(t, "10", refused.retryAfter)
	assert.JSONEq(t, `{"error":"an import of customers is running already"}`, refused.body)
	assert.Equal(t, http.StatusOK, (<-running).status)
}

func TestAfterAnImportTheNextOneRuns(t *testing.T) {
	server := service(t, embedded.Nodes(t, 5), done)
	for range 3 {
		assert.Equal(t, http.StatusOK, postImport(t, server).status)
	}
}

func TestAnImportThatFailsIsAnsweredWith500AndFreesTheLock(t *testing.T) {
	nodes := embedded.Nodes(t, 5)
	failing := service(t, nodes, func(context.Context) (customers.Run, error) {
		return customers.Run{}, errors.New("/srv/customers.csv: line 2 is bad")
	})
	got := postImport(t, failing)
	assert.Equal(t, http.StatusInternalServerError, got.status)
	assert.JSONEq(t, `{"error":"the import failed: nothing was imported"}`, got.body, "the cause is for the log")
	assert.Equal(t, http.StatusOK, postImport(t, service(t, nodes, done)).status)
}

func TestTwoOfFiveNodesMayBeDownAndThreeMayNot(t *testing.T) {
	cluster, err := embedded.Start(5)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cluster.Close()) })
	calls := 0
	server := service(t, cluster.Addrs(), func(ctx context.Context) (customers.Run, error) {
		calls++
		return done(ctx)
	})

	require.NoError(t, cluster.Stop(0))
	require.NoError(t, cluster.Stop(1))
	assert.Equal(t, http.StatusOK, postImport(t, server).status)

	require.NoError(t, cluster.Stop(2))
	got := postImport(t, server)
	assert.Equal(t, http.StatusServiceUnavailable, got.status)
	assert.JSONEq(t, `{"error":"too few lock nodes answered: nothing was imported"}`, got.body)
	assert.Equal(t, 1, calls, "an import without its lock")
	assert.Equal(t, http.StatusOK, request(t, http.MethodGet, server.URL+"/healthz").status)
}

func TestACallerWhoLeavesStopsTheImportAndFreesTheLock(t *testing.T) {
	nodes := embedded.Nodes(t, 5)
	began, stopped := make(chan struct{}), make(chan struct{})
	server := service(t, nodes, func(ctx context.Context) (customers.Run, error) {
		close(began)
		<-ctx.Done()
		close(stopped)
		return customers.Run{}, ctx.Err()
	})
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-began
		leave()
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/imports/customers", http.NoBody)
	require.NoError(t, err)
	resp, err := server.Client().Do(req)
	if err == nil {
		resp.Body.Close()
	}
	require.ErrorIs(t, err, context.Canceled)
	<-stopped
	assert.Equal(t, http.StatusOK, postImport(t, service(t, nodes, done)).status)
}

func TestOtherMethodsAndPathsAreRefused(t *testing.T) {
	server := service(t, embedded.Nodes(t, 1), done)
	assert.Equal(t, http.StatusMethodNotAllowed, request(t, http.MethodGet, server.URL+"/imports/customers").status)
	assert.Equal(t, http.StatusNotFound, request(t, http.MethodPost, server.URL+"/imports/products").status)
}

func TestEveryOutcomeHasItsStatus(t *testing.T) {
	failed := errors.New("disk full")
	for _, test := range []struct {
		name     string
		acquired bool
		err      error
		want     int
	}{
		{"done", true, nil, http.StatusOK},
		{"held by another", false, redlock.ErrHeld, http.StatusConflict},
		{"too few nodes", false, redlock.ErrNoQuorum, http.StatusServiceUnavailable},
		{"failed", true, failed, http.StatusInternalServerError},
		{"lock lost, import done", true, redlock.ErrLost, http.StatusInternalServerError},
		{"lock lost, import failed", true, errors.Join(failed, redlock.ErrLost), http.StatusInternalServerError},
		{"the import met a lock of its own that was held", true, redlock.ErrHeld, http.StatusInternalServerError},
		{"the import met too few nodes of its own", true, redlock.ErrNoQuorum, http.StatusInternalServerError},
		{"the caller left while waiting", false, context.Canceled, http.StatusInternalServerError},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, _ := answer(redlock.Result[customers.Run]{Acquired: test.acquired, Err: test.err})
			assert.Equal(t, test.want, status)
		})
	}
}

func TestALostLockIsNotCalledNothingImported(t *testing.T) {
	_, body := answer(redlock.Result[customers.Run]{Acquired: true, Err: redlock.ErrLost})
	assert.Equal(t, problem{"the lock was lost during the import: another import may have run at the same time"}, body)
}
