// Importer imports a customer CSV into a SQLite file, and shows two ways to
// keep two imports from running at once: "importer file" takes no lock and is
// run under "redlock run"; "importer serve" is an HTTP service that takes the
// lock itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

const usage = `importer imports a customer CSV into a SQLite file.

usage:
  importer file CSV DB [--pace D]
      Import once, without taking a lock: run it under "redlock run".
      --pace D   spread the import over about D, such as 2s (default 0s)

  importer serve --csv CSV --db DB [--addr HOST:PORT] [--pace D]
      Import at every POST /imports/customers, one at a time across all
      processes that use the same lock nodes.
      --addr     where to listen (default 127.0.0.1:8080)

environment:
  REDLOCK_NODES               serve: the lock nodes, host:port, separated by commas
  REDLOCK_KEY, REDLOCK_TOKEN  file: the lock that is held, set by "redlock run"

exit status:
  0 done   1 failed, nothing was imported   64 wrong usage
  130, 143 stopped by SIGINT or SIGTERM, nothing was imported;
           serve exits with 0 once the last import has ended
`

// Exit statuses. 64 is EX_USAGE of sysexits.h; a process that a signal ended
// has 128 and the signal's number, as in a shell.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 64
	exitInterrupted = 128 + int(syscall.SIGINT)
	exitTerminated  = 128 + int(syscall.SIGTERM)
)

// usageError is a mistake on the command line or in the environment.
type usageError struct{ error }

func main() {
	// Two contexts, to know which signal it was.
	terminated, stopTerminated := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	ctx, stopInterrupted := signal.NotifyContext(terminated, os.Interrupt)
	context.AfterFunc(ctx, stopInterrupted) // a second Ctrl-C ends the process at once

	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if status == exitFailed && ctx.Err() != nil {
		status = exitInterrupted
		if terminated.Err() != nil {
			status = exitTerminated
		}
	}
	stopInterrupted()
	stopTerminated()
	os.Exit(status)
}

// run is the program without its process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	err := dispatch(ctx, args, stdout, stderr)
	if err == nil {
		return exitOK
	}
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return exitOK
	}
	fmt.Fprintf(stderr, "importer: %v\n", err)
	if _, ok := errors.AsType[usageError](err); ok {
		fmt.Fprintln(stderr, `importer: "importer -h" explains the usage`)
		return exitUsage
	}
	return exitFailed
}

func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return usageError{errors.New("say what to do: file or serve")}
	}
	switch args[0] {
	case "file":
		return importFile(ctx, args[1:], stdout, stderr)
	case "serve":
		return serve(ctx, args[1:], stderr)
	case "-h", "-help", "--help", "help":
		return flag.ErrHelp
	default:
		return usageError{fmt.Errorf("%q is not something to do: file or serve", args[0])}
	}
}

// newFlags returns an empty set of flags that prints nothing by itself: run does.
func newFlags(command string) *flag.FlagSet {
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	return flags
}

// parse sets the flags, which may stand before, between and after the
// arguments that it returns; package flag alone stops at the first argument.
func parse(flags *flag.FlagSet, args []string) ([]string, error) {
	var rest []string
	for {
		if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
			return nil, err
		} else if err != nil {
			return nil, usageError{fmt.Errorf("%s: %w", flags.Name(), err)}
		}
		parsed := len(args) - flags.NArg()
		if flags.NArg() == 0 || parsed > 0 && args[parsed-1] == "--" {
			return slices.Concat(rest, flags.Args()), nil
		}
		rest = append(rest, flags.Arg(0))
		args = flags.Args()[1:]
	}
}
