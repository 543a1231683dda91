package clock_test

import (
	_ "github.com/alicebob/miniredis/v2" // want clock
	_ "github.com/redis/rueidis"         // want clock
)
