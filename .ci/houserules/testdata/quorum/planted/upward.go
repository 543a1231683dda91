// Package planted is below quorum, since quorum itself would make a cycle of imports.
package planted

import (
	_ "github.com/redlock-go/redlock/bench"             // want quorum library
	_ "github.com/redlock-go/redlock/chaos"             // want quorum library
	_ "github.com/redlock-go/redlock/cmd/planted"       // want quorum library
	_ "github.com/redlock-go/redlock/examples/planted"  // want quorum library
	_ "github.com/redlock-go/redlock/redlock"           // want quorum
	_ "github.com/redlock-go/redlock/redlock/redistest" // want quorum
)
