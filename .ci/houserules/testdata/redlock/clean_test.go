package redlock_test

import (
	"fmt"
	"time"

	_ "github.com/redis/rueidis"
	_ "github.com/stretchr/testify/assert"
	_ "go.uber.org/goleak"

	_ "github.com/redlock-go/redlock/redlock/embedded"
	_ "github.com/redlock-go/redlock/redlock/redistest"
)

func clean() {
	time.Sleep(0)
	fmt.Println(time.Now())
}
