// Package chaos talks to Redis, and keeps its own time.
package chaos

import (
	"fmt"
	"time"

	_ "github.com/redis/rueidis"
)

func clean() {
	fmt.Println(time.Now())
}
