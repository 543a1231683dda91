package embedded

import (
	"time"

	_ "github.com/redis/rueidis"           // want rueidis
	_ "github.com/stretchr/testify/assert" // want testing
)

func tells() {
	time.NewTicker(1).Stop() // want time
}
