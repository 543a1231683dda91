package planted

import (
	"time"

	_ "github.com/alicebob/miniredis/v2" // want miniredis
	_ "github.com/redis/rueidis"         // want rueidis
)

func tells() {
	time.Sleep(0) // want time
}
