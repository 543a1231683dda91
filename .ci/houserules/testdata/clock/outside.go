package clock

import (
	_ "github.com/alicebob/miniredis/v2"   // want clock miniredis
	_ "github.com/redis/rueidis"           // want clock rueidis
	_ "github.com/spf13/cobra"             // want cobra
	_ "github.com/stretchr/testify/assert" // want testing
)
