// Package redistest starts servers for tests.
package redistest

import (
	"time"

	_ "github.com/stretchr/testify/assert"
)

func clean() {
	time.Sleep(time.Until(time.Now()))
}
