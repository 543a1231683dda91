package redistest

import (
	"fmt"

	_ "github.com/redis/rueidis" // want rueidis
)

func prints() {
	fmt.Println() // want print
}
