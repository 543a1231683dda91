// Package customers imports a customer CSV into a SQLite file.
//
// It takes no lock: that two imports do not run at once is up to the caller,
// who holds one around [Import]. The package only tells, afterwards, whether
// they did: see [Run].
package customers

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/redlock-go/redlock/clock"
)

// Options of [Import]. The zero value imports at once and records no lock.
type Options struct {
	// Pace spreads the import over about this time, as a slow source would,
	// so that a demonstration has the time to start a second import.
	Pace time.Duration

	// LockKey and LockToken name the lock that the caller holds. They are
	// recorded with the run, the token as a fingerprint only: who knows a
	// token can release its lock.
	LockKey   string
	LockToken string
}

// Run is an import that finished.
type Run struct {
	ID               string    `json:"run"`
	Started          time.Time `json:"started"`
	Finished         time.Time `json:"finished"`
	Rows             int       `json:"rows"`
	LockKey          string    `json:"lock_key,omitempty"`
	TokenFingerprint string    `json:"token_fingerprint,omitempty"`

	// Overlapped are the runs that were under way at the same time and
	// finished first. It is told from the wall clocks of both, which is good
	// enough for a report and would not be for a decision.
	Overlapped []Overlap `json:"overlapped"`
}

// Overlap is another run that was under way at the same time.
type Overlap struct {
	ID       string    `json:"run"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
}

// Import reads the CSV file, checks all of it, and writes it to the SQLite
// file in one transaction: it inserts new customers, updates those whose id is
// there, and leaves the others alone.
//
// An import that fails leaves the database as it was; a file that was not there
// may be, and is empty. One that ctx stops fails with the cause of ctx.
func Import(ctx context.Context, csvPath, dbPath string, opts Options) (Run, error) {
	run := Run{
		ID:               newRunID(),
		Started:          now(), // before reading: what is read now is what counts
		LockKey:          opts.LockKey,
		TokenFingerprint: fingerprint(opts.LockToken),
	}
	rows, err := ReadFile(csvPath)
	if err != nil {
		return Run{}, err
	}
	run.Rows = len(rows)

	if err := write(ctx, dbPath, rows, opts.Pace, &run); err != nil {
		if ctx.Err() != nil { // SQLite calls it "interrupted"; the cause says by whom
			err = fmt.Errorf("stopped, nothing was imported: %w", context.Cause(ctx))
		}
		return Run{}, err
	}
	return run, nil
}

func write(ctx context.Context, dbPath string, rows []Customer, pace time.Duration, run *Run) error {
	s, err := openStore(ctx, dbPath)
	if err != nil {
		return err
	}
	defer func() { _ = s.close() }() // after a commit it has nothing left to lose

	if err = s.stage(ctx, rows, pace); err == nil {
		err = s.publish(ctx, run)
	}
	if err != nil {
		return fmt.Errorf("write to %s, nothing was imported: %w", dbPath, err)
	}
	return nil
}

// now is the wall clock's time, which people and other processes can compare.
func now() time.Time {
	system := clock.System()
	return system.Time(system.Now()).UTC()
}

func newRunID() string {
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails: it ends the process instead
	return hex.EncodeToString(id)
}

// fingerprint is enough to tell two tokens apart and too little to guess one.
func fingerprint(token string) string {
	if token == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:4])
}
