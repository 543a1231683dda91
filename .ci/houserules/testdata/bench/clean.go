// Package bench talks to Redis, and keeps its own time.
package bench

import (
	"fmt"
	"time"

	_ "github.com/redis/rueidis"
)

func clean() {
	fmt.Println(time.Now())
}
