package redlockotel

import (
	_ "github.com/redis/rueidis" // want rueidis

	_ "github.com/redlock-go/redlock/bench" // want library
)
