package customers

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/redlock-go/redlock/clock"
)

//go:embed schema.sql
var schema string

// batch is how many customers are staged between two pauses.
const batch = 100

// timeLayout has a fixed width, so that SQL can compare times as text.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// store is the SQLite file. It checks nothing about who else imports and takes
// no lock beyond SQLite's own, which makes each transaction whole and no more.
type store struct {
	db *sql.DB
}

func openStore(ctx context.Context, path string) (*store, error) {
	if err := checkWritable(path); err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	query := url.Values{
		"_txlock": {"immediate"},                           // take the write lock first: an upgrade can fail half-way
		"_pragma": {"busy_timeout(5000)", "temp_store(2)"}, // a transaction takes milliseconds; 2 is memory
	}
	// A URI, so that a "?" or a "%" in the path is part of the path.
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+query.Encode())
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	db.SetMaxOpenConns(1) // a temporary table belongs to its connection

	// Opening reads nothing; this finds a file that is not a database.
	if _, err := db.ExecContext(ctx, "SELECT count(*) FROM sqlite_schema"); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), db.Close())
	}
	return &store{db}, nil
}

// checkWritable finds out early, and in the words of the operating system,
// what SQLite would say at the first write: "unable to open database file".
func checkWritable(path string) error {
	probe, err := os.CreateTemp(filepath.Dir(path), ".importer-*")
	if err != nil {
		return fmt.Errorf("its directory must exist and be writable, for SQLite's journal too: %w", reason(err))
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // SQLite will create it
	}
	if err != nil {
		return reason(err)
	}
	return f.Close()
}

// reason is err without the file's name, which the caller says, or which is the
// probe's.
func reason(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

func (s *store) close() error { return s.db.Close() }

// stage copies the customers to a temporary table, pausing between batches.
// The pauses are here because a transaction that sleeps would keep SQLite's
// write lock: the database itself would make a second import wait, and two
// imports could not be seen to overlap.
func (s *store) stage(ctx context.Context, rows []Customer, pace time.Duration) error {
	const create = `CREATE TEMP TABLE staged (id, name, email, city, country, signed_up)`
	if _, err := s.db.ExecContext(ctx, create); err != nil {
		return err
	}
	insert, err := s.db.PrepareContext(ctx, `INSERT INTO temp.staged VALUES (?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	defer insert.Close() // the table goes with the connection

	pause := pace / time.Duration((len(rows)+batch-1)/batch)
	for i, c := range rows {
		if _, err := insert.ExecContext(ctx, c.ID, c.Name, c.Email, c.City, c.Country, c.SignedUp.Format(time.DateOnly)); err != nil {
			return err
		}
		if (i+1)%batch == 0 || i+1 == len(rows) {
			if err := clock.Sleep(ctx, clock.System(), pause); err != nil {
				return err
			}
		}
	}
	return nil
}

// publish writes the staged customers and the run in one transaction, and sets
// run.Finished and run.Overlapped.
func (s *store) publish(ctx context.Context, run *Run) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit

	if _, err := tx.ExecContext(ctx, schema); err != nil {
		return err
	}
	// "WHERE true" keeps SQLite from reading ON as the ON of a join.
	const upsert = `
		INSERT INTO main.customers (id, name, email, city, country, signed_up)
		SELECT id, name, email, city, country, signed_up FROM temp.staged WHERE true
		ON CONFLICT (id) DO UPDATE SET
			name = excluded.name, email = excluded.email, city = excluded.city,
			country = excluded.country, signed_up = excluded.signed_up`
	if _, err := tx.ExecContext(ctx, upsert); err != nil {
		return err
	}

	run.Finished = now()
	if run.Overlapped, err = overlapping(ctx, tx, run.Started); err != nil {
		return err
	}
	const record = `
		INSERT INTO main.imports (run, started, finished, rows, lock_key, token_fingerprint)
		VALUES (?, ?, ?, ?, ?, ?)`
	if _, err := tx.ExecContext(ctx, record, run.ID, run.Started.Format(timeLayout), run.Finished.Format(timeLayout),
		run.Rows, run.LockKey, run.TokenFingerprint); err != nil {
		return err
	}
	return tx.Commit()
}

// overlapping returns the runs that finished after started. The transaction
// that asks is the newest, so each of them began before it ends: of two imports
// that overlap, the one that finishes last finds the other.
func overlapping(ctx context.Context, tx *sql.Tx, started time.Time) ([]Overlap, error) {
	const query = `SELECT run, started, finished FROM main.imports WHERE finished > ? ORDER BY finished`
	found, err := tx.QueryContext(ctx, query, started.Format(timeLayout))
	if err != nil {
		return nil, err
	}
	defer found.Close() // its error is found.Err's

	overlaps := []Overlap{} // not nil: JSON shows an empty list
	for found.Next() {
		var o Overlap
		var began, ended string
		if err := found.Scan(&o.ID, &began, &ended); err != nil {
			return nil, err
		}
		if o.Started, err = time.Parse(timeLayout, began); err != nil {
			return nil, err
		}
		if o.Finished, err = time.Parse(timeLayout, ended); err != nil {
			return nil, err
		}
		overlaps = append(overlaps, o)
	}
	return overlaps, found.Err()
}
