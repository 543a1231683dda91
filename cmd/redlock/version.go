package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run: func(c *cobra.Command, _ []string) {
			info, _ := debug.ReadBuildInfo()
			printVersion(c.OutOrStdout(), info)
		},
	}
}

// printVersion prints what Go noted when it built the program; info may be nil.
func printVersion(w io.Writer, info *debug.BuildInfo) {
	version, about := "unknown", []string(nil)
	if info != nil {
		version = strings.Trim(info.Main.Version, "()") // (devel) outside version control
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				about = append(about, "revision "+s.Value)
			case s.Key == "vcs.modified" && s.Value == "true":
				about = append(about, "modified")
			}
		}
	}
	about = append(about, runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH)
	fmt.Fprintf(w, "redlock %s (%s)\n", version, strings.Join(about, ", "))
}
