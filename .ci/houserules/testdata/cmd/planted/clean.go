// Package planted is a part of a command.
package planted

import (
	"fmt"

	_ "github.com/spf13/cobra"
	_ "github.com/spf13/pflag"
)

func clean() {
	fmt.Println()
}
