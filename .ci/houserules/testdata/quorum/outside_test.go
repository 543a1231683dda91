package quorum_test

import (
	_ "github.com/alicebob/miniredis/v2" // want quorum
	_ "github.com/redis/rueidis"         // want quorum
)
