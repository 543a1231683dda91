package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/redlock-go/redlock/examples/importer/internal/customers"
)

// importFile is "importer file": one import. It holds no lock, so it can be put
// under one from outside, and tells when it was not and another import ran.
func importFile(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := newFlags("file")
	pace := paceFlag(flags)
	paths, err := parse(flags, args)
	if err != nil {
		return err
	}
	if len(paths) != 2 {
		return usageError{fmt.Errorf("file: want a CSV and a database, got %q", paths)}
	}
	csvPath, dbPath := paths[0], paths[1]

	run, err := customers.Import(ctx, csvPath, dbPath, customers.Options{
		Pace:      *pace,
		LockKey:   os.Getenv("REDLOCK_KEY"),
		LockToken: os.Getenv("REDLOCK_TOKEN"),
	})
	if err != nil {
		return err
	}
	for _, other := range run.Overlapped {
		fmt.Fprintf(stderr, "importer: this run overlapped run %s (%s to %s UTC): two imports ran at once, a lock around them prevents it\n",
			other.ID, other.Started.Format(clockTime), other.Finished.Format(clockTime))
	}
	_, err = fmt.Fprintf(stdout, "imported %d customers into %s in %v (run %s)\n",
		run.Rows, dbPath, run.Finished.Sub(run.Started).Round(time.Millisecond), run.ID)
	if err != nil {
		return errors.Join(errors.New("the customers are imported, but that cannot be told"), err)
	}
	return nil
}

const clockTime = "15:04:05.000"
