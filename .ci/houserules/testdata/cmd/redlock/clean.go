// Command redlock is above everything.
package main

import (
	_ "github.com/redlock-go/redlock/clock"
	_ "github.com/redlock-go/redlock/quorum"
	_ "github.com/redlock-go/redlock/redlock"
	_ "github.com/redlock-go/redlock/redlock/embedded"
)

func main() {}
