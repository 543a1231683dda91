package clock_test

import (
	_ "github.com/stretchr/testify/assert"
	_ "go.uber.org/goleak"

	_ "github.com/redlock-go/redlock/clock"
)
