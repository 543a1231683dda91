package redlock_test

import (
	_ "github.com/redlock-go/redlock/bench"            // want library
	_ "github.com/redlock-go/redlock/chaos"            // want library
	_ "github.com/redlock-go/redlock/cmd/planted"      // want library
	_ "github.com/redlock-go/redlock/examples/planted" // want library
)
