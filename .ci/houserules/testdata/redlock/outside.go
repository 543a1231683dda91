package redlock

import (
	_ "github.com/alicebob/miniredis/v2"   // want miniredis
	_ "github.com/spf13/cobra"             // want cobra
	_ "github.com/stretchr/testify/assert" // want testing
	_ "go.uber.org/goleak"                 // want testing

	_ "github.com/redlock-go/redlock/bench"             // want redlock library
	_ "github.com/redlock-go/redlock/chaos"             // want redlock library
	_ "github.com/redlock-go/redlock/cmd/planted"       // want redlock library
	_ "github.com/redlock-go/redlock/examples/planted"  // want redlock library
	_ "github.com/redlock-go/redlock/redlock/embedded"  // want redlock
	_ "github.com/redlock-go/redlock/redlock/redistest" // want redlock
)
