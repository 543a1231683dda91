package quorum_test

import (
	"fmt"
	"time"

	_ "github.com/stretchr/testify/assert"

	_ "github.com/redlock-go/redlock/clock"
	_ "github.com/redlock-go/redlock/quorum"
)

func clean() {
	fmt.Println(time.Now())
}
