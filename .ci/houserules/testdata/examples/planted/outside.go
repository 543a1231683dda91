package planted

import (
	"time"

	_ "github.com/redis/rueidis" // want rueidis
	_ "github.com/spf13/cobra"   // want cobra
)

func tells() {
	_ = time.Now() // want time
}
