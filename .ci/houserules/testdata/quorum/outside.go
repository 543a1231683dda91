package quorum

import (
	_ "github.com/alicebob/miniredis/v2" // want quorum miniredis
	_ "github.com/redis/rueidis"         // want quorum rueidis
	_ "github.com/spf13/pflag"           // want cobra
)
