// Package quorum knows clock, and no Redis.
package quorum

import (
	_ "context"

	_ "github.com/redlock-go/redlock/clock"
)
