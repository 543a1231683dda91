package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/redlock-go/redlock/examples/importer/internal/customers"
	"github.com/redlock-go/redlock/redlock"
)

// importTimeout bounds one import, and with it how long a request can take.
const importTimeout = 10 * time.Minute

// retryAfter is what a caller is asked to wait, in seconds. Nobody knows how
// long the running import takes; this is short beside an import and long beside
// a request.
const retryAfter = "10"

// importFunc does the import. It must stop when its context ends.
type importFunc func(context.Context) (customers.Run, error)

// newHandler serves imports under the lock import:lock:customers.
func newHandler(client *redlock.Client, importCustomers importFunc, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /imports/customers", func(w http.ResponseWriter, r *http.Request) {
		// The request's context: a caller who leaves stops the import, and
		// the lock is released all the same.
		ctx, cancel := context.WithTimeout(r.Context(), importTimeout)
		defer cancel()
		result := redlock.RunImport(ctx, client, "customers", importCustomers)

		status, body := answer(result)
		switch attrs := []any{"status", status, "attempts", result.Attempts, "waited", result.Waited}; {
		case result.Err == nil: // a release that failed is in the client's log, and the import is none the worse for it
			log.Info("imported customers", append(attrs, "run", result.Value.ID, "rows", result.Value.Rows, "held", result.Held)...)
		case status == http.StatusConflict: // the lock at work
			log.Info("refused to import customers", append(attrs, "error", result.Err)...)
		default:
			log.Error("did not import customers", append(attrs, "held", result.Held, "error", result.Err)...)
		}
		if status == http.StatusConflict {
			w.Header().Set("Retry-After", retryAfter)
		}
		writeJSON(w, status, body)
	})
	// It tells that the process serves, and asks no lock node: an outage of
	// the nodes is no reason to restart the service.
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	return mux
}

// answer turns a result into a status and a body. The cause of a failure is for
// the log: it names nodes and files, which are not the caller's business.
func answer(result redlock.Result[customers.Run]) (status int, body any) {
	switch err := result.Err; {
	case err == nil:
		return http.StatusOK, result.Value
	case !result.Acquired && errors.Is(err, redlock.ErrHeld):
		return http.StatusConflict, problem{"an import of customers is running already"}
	case !result.Acquired && errors.Is(err, redlock.ErrNoQuorum):
		return http.StatusServiceUnavailable, problem{"too few lock nodes answered: nothing was imported"}
	case errors.Is(err, redlock.ErrLost):
		return http.StatusInternalServerError, problem{"the lock was lost during the import: another import may have run at the same time"}
	default:
		return http.StatusInternalServerError, problem{"the import failed: nothing was imported"}
	}
}

type problem struct {
	Error string `json:"error"`
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // it fails when the caller has left
}
