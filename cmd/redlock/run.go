package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/redlock-go/redlock/redlock"
)

const runUsage = "redlock run [flags] KEY -- COMMAND [ARG...]"

const runHelp = `Run COMMAND while holding the lock KEY. The lock is extended for as long as
COMMAND runs, and released when COMMAND and all that it has started have ended,
except what has left its process group, as daemons do.

No shell is involved: write sh -c '...' for one. stdin, stdout and stderr are
COMMAND's. It finds REDLOCK_KEY and REDLOCK_TOKEN in its environment. INT, TERM,
HUP, QUIT, USR1 and USR2 are forwarded to all of its process group.

When the lock can no longer be extended, the process group is sent TERM before
the lock ends (see --kill-after), and KILL at the latest when it does. On Linux,
COMMAND dies with redlock, however that ends.

Nodes come from --nodes, or REDLOCK_NODES: host:port, redis://, rediss:// or
unix://, separated by commas. With neither, the development nodes of this
machine are used, and started in the background when they do not run (see
redlock dev --help): they exclude nobody on any other machine.

Exit code:
  that of COMMAND, 128+N if signal N ended it, or
   64  wrong usage, nothing was run
   69  too few nodes answered, nothing was run
   70  redlock itself failed
   75  another owner has the lock, nothing was run (see --conflict-exit-code)
   76  the lock was lost, COMMAND was ended
  126  COMMAND cannot be executed
  127  COMMAND was not found
  128+N  signal N came before COMMAND was started`

const runExamples = `  redlock run import:lock:customers -- ./import customers.csv
  redlock run --wait 1m job:lock:email-queue -- ./send-mails
  redlock run --no-wait -E 0 cache:rebuild:products -- make cache
  REDLOCK_NODES=10.0.0.1:6379,10.0.0.2:6379,10.0.0.3:6379 redlock run deploy -- sh -c 'pull && restart'`

// runOptions are the flags of run.
type runOptions struct {
	nodes     []string
	quorum    int
	ttl       time.Duration
	wait      time.Duration
	noWait    bool
	conflict  int
	killAfter time.Duration
	verbose   bool

	// Whether the flags were given.
	nodesGiven, quorumGiven, waitGiven bool
}

func newRun() *cobra.Command {
	var o runOptions
	c := &cobra.Command{
		Use:     "run [flags] KEY -- COMMAND [ARG...]",
		Short:   "Run a command while holding a lock",
		Long:    runHelp,
		Example: runExamples,
		// cobra would add [flags] at the end, where they are the command's.
		DisableFlagsInUseLine: true,
		RunE: func(c *cobra.Command, args []string) error {
			f := c.Flags()
			o.nodesGiven, o.quorumGiven, o.waitGiven = f.Changed("nodes"), f.Changed("quorum"), f.Changed("wait")
			if !f.Changed("kill-after") {
				o.killAfter = o.ttl / 5
			}
			key, command, err := splitArgs(args, c.ArgsLenAtDash())
			if err != nil {
				return err
			}
			if err := o.check(); err != nil {
				return err
			}
			h := &holding{runOptions: o, key: key, command: command, stderr: os.Stderr}
			return h.run(c.Context())
		},
	}
	f := c.Flags()
	f.StringSliceVar(&o.nodes, "nodes", nil, "the nodes, separated by commas (default $REDLOCK_NODES)")
	f.IntVar(&o.quorum, "quorum", 0, "how many nodes have to agree (default the majority)")
	f.DurationVar(&o.ttl, "ttl", redlock.TTLShort, "how long the lock lives without being extended")
	f.DurationVarP(&o.wait, "wait", "w", 0, "wait this long for the lock, such as 30s or 5m (default 3 more\nattempts, some 200ms apart)")
	f.BoolVarP(&o.noWait, "no-wait", "n", false, "try only once")
	f.IntVarP(&o.conflict, "conflict-exit-code", "E", exitHeld, "exit code when another owner has the lock")
	f.DurationVar(&o.killAfter, "kill-after", 0, "how long before the lock ends TERM is sent, and so how much\ntime there is until KILL (default a fifth of --ttl)")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "log on stderr how the nodes come and go")
	f.SortFlags = false
	return c
}

// splitArgs finds the key and the command. dash is how many arguments there are
// before --, or -1.
func splitArgs(args []string, dash int) (key string, command []string, err error) {
	switch {
	case len(args) == 0 || dash == 0:
		return "", nil, exit(exitUsage, "the key is missing: %s", runUsage)
	case dash < 0 && len(args) > 1:
		return "", nil, exit(exitUsage, "-- is missing before the command: %s", runUsage)
	case len(args) == 1:
		return "", nil, exit(exitUsage, "the command is missing: %s", runUsage)
	case dash > 1:
		return "", nil, exit(exitUsage, "%d arguments before --, only the key belongs there: %s", dash, runUsage)
	}
	return args[0], args[1:], nil
}

// check refuses what the library cannot know of.
func (o *runOptions) check() error {
	switch {
	case o.waitGiven && o.noWait:
		return exit(exitUsage, "--wait and --no-wait: give one of them")
	case o.waitGiven && o.wait <= 0:
		return exit(exitUsage, "--wait %v: must be positive; --no-wait tries only once", o.wait)
	case o.conflict < 0 || o.conflict > 255:
		return exit(exitUsage, "--conflict-exit-code %d: must be from 0 to 255", o.conflict)
	case o.ttl <= 0:
		return exit(exitUsage, "--ttl %v: must be positive", o.ttl)
	case o.killAfter < 0:
		return exit(exitUsage, "--kill-after %v: must not be negative", o.killAfter)
	case o.killAfter > o.ttl/2:
		// The lock is extended after a third of the ttl at the earliest.
		return exit(exitUsage, "--kill-after %v: must not be more than half of --ttl %v, or there is no time to extend the lock", o.killAfter, o.ttl)
	}
	return nil
}
