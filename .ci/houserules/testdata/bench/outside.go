package bench

import (
	_ "github.com/alicebob/miniredis/v2" // want miniredis
	_ "github.com/spf13/cobra"           // want cobra
)
