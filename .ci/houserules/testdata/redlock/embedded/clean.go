// Package embedded has nodes in this process.
package embedded

import (
	_ "testing"

	_ "github.com/alicebob/miniredis/v2"

	_ "github.com/redlock-go/redlock/clock"
)
