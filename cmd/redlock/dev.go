package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlock/embedded"
)

const devHelp = `Serve the development nodes of this machine until Ctrl-C or TERM, and print the
line that has other programs use them.

redlock run uses them when it is given no nodes. If they do not run, it starts
them in the background, where they stay until redlock dev --stop.

They keep everything in memory, have no password, and listen on this machine
only: a lock on them excludes nobody on any other machine, and nobody at all
once they have ended. Never use them in production.

Exit code:
    0  ended as asked for, or somebody serves the nodes already
   64  wrong usage
   69  an address is in use by something else
   70  redlock itself failed`

type devOptions struct {
	count  int
	listen []string
	stop   bool

	listenGiven bool
}

func newDev() *cobra.Command {
	var o devOptions
	c := &cobra.Command{
		Use:   "dev",
		Short: "Serve nodes for development",
		Long:  devHelp,
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o.listenGiven = c.Flags().Changed("listen")
			switch {
			case c.Flags().NFlag() > 1:
				return exit(exitUsage, "--count, --listen and --stop: give one of them")
			case o.stop:
				return stopDevelopment(c.OutOrStdout())
			}
			return o.serve(c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	f := c.Flags()
	f.IntVarP(&o.count, "count", "n", len(developmentNodes), "how many nodes, on ports from "+port(developmentNodes[0])+" on")
	f.StringSliceVar(&o.listen, "listen", nil, "serve nodes at these addresses instead, such as 127.0.0.1:7001,127.0.0.1:7002;\nport 0 is any free one")
	f.BoolVar(&o.stop, "stop", false, "end the development nodes, wherever they were started")
	f.SortFlags = false
	return c
}

func port(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// serve runs the nodes until a signal comes.
func (o *devOptions) serve(stdout, stderr io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()

	addrs := o.listen
	if !o.listenGiven {
		var err error
		if addrs, err = fixedAddresses(o.count); err != nil {
			return err
		}
		mark, other, err := markServing(addrs)
		if err != nil {
			return err
		}
		if mark == nil {
			return alreadyServed(stdout, stderr, other.addrs, fmt.Sprintf("by process %d; redlock dev --stop ends them", other.pid))
		}
		defer mark.remove()
	}
	nodes, err := embedded.StartAt(addrs...)
	if errors.Is(err, syscall.EADDRINUSE) && !o.listenGiven && answering(ctx, addrs) {
		return alreadyServed(stdout, stderr, addrs, "by somebody else")
	}
	var network *net.OpError
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return exit(exitNoQuorum, "%v: end what listens there (ss -ltnp shows it), or choose other addresses with --listen", err)
	case errors.As(err, &network):
		return exit(exitNoQuorum, "%v", err)
	case err != nil:
		return exit(exitUsage, "%v", err)
	}
	printExport(stdout, nodes.Addrs())
	say(stderr, "%d nodes for development are served until Ctrl-C or TERM", len(nodes.Addrs()))

	<-ctx.Done()
	if err := nodes.Close(); err != nil {
		return exit(exitInternal, "%v", err)
	}
	return nil
}

func alreadyServed(stdout, stderr io.Writer, addrs []string, by string) error {
	if len(addrs) > 0 { // else they are about to be
		printExport(stdout, addrs)
	}
	say(stderr, "development nodes are served already, %s", by)
	return nil
}

func printExport(stdout io.Writer, addrs []string) {
	fmt.Fprintf(stdout, "export %s=%s\n", nodesVariable, strings.Join(addrs, ","))
}

// fixedAddresses returns the addresses of the first n development nodes, and for
// more than those the ports that follow.
func fixedAddresses(n int) ([]string, error) {
	const most = 100
	if n < 1 || n > most {
		return nil, exit(exitUsage, "--count %d: must be from 1 to %d", n, most)
	}
	addrs := developmentNodes[:min(n, len(developmentNodes)):min(n, len(developmentNodes))]
	host, last, err := net.SplitHostPort(developmentNodes[len(developmentNodes)-1])
	if err != nil {
		return nil, exit(exitInternal, "%v", err)
	}
	number, err := strconv.Atoi(last)
	if err != nil {
		return nil, exit(exitInternal, "%v", err)
	}
	for i := 1; len(addrs) < n; i++ {
		addrs = append(addrs, net.JoinHostPort(host, strconv.Itoa(number+i)))
	}
	return addrs, nil
}

// answering reports whether a lock node answers at each address.
func answering(ctx context.Context, addrs []string) bool {
	const soon = 200 * time.Millisecond // on loopback
	client, err := redlock.Dial(addrs, redlock.WithNodeTimeout(soon))
	if err != nil {
		return false
	}
	defer func() { _ = client.Close() }()
	seen, _ := client.Inspect(ctx, "redlock:dev")
	for _, n := range seen.Nodes {
		if n.Err != nil {
			return false
		}
	}
	return len(seen.Nodes) > 0
}

// stateDir is where the development nodes' log and mark are kept.
func stateDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", exit(exitUsage, "the development nodes have no place for their files: %v; set HOME, or give nodes with --nodes or %s", err, nodesVariable)
	}
	return dir + string(os.PathSeparator) + "redlock", nil
}
