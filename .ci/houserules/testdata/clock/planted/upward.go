// Package planted is below clock, since clock itself would make a cycle of imports.
package planted

import (
	_ "github.com/redlock-go/redlock/bench"            // want clock library
	_ "github.com/redlock-go/redlock/chaos"            // want clock library
	_ "github.com/redlock-go/redlock/cmd/planted"      // want clock library
	_ "github.com/redlock-go/redlock/examples/planted" // want clock library
	_ "github.com/redlock-go/redlock/quorum"           // want clock
	_ "github.com/redlock-go/redlock/redlock"          // want clock
	_ "github.com/redlock-go/redlock/redlock/embedded" // want clock
)
