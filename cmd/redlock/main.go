// Command redlock runs commands under a lock that is held on a majority of
// independent Redis servers.
package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"
)

func main() { os.Exit(execute(os.Args[1:])) }

// execute runs a command line and returns the exit code.
func execute(args []string) int {
	root := &cobra.Command{
		Use:   "redlock",
		Short: "Locks on a majority of independent Redis servers",
		// Errors are printed by report, as one line without the usage.
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return exit(exitUsage, "%v; see %s --help", err, c.CommandPath())
	})
	root.AddCommand(newRun(), newDev(), newVersion())
	root.SetArgs(args)
	return report(os.Stderr, root.ExecuteContext(context.Background()))
}
