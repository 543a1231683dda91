package planted

import (
	"time"

	_ "github.com/redis/rueidis"
)

func cleanToo() {
	time.Sleep(0)
}
