package redistest

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// asProgram has the test binary start servers and end without closing them, in
// the way that the variable's value names.
const asProgram = "REDISTEST_END_BY"

func TestMain(m *testing.M) {
	if end := os.Getenv(asProgram); end != "" {
		os.Exit(program(end))
	}
	goleak.VerifyTestMain(m)
}

func program(end string) (exitCode int) {
	c, err := Launch(2)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	c.Node(1).Pause()
	fmt.Println(c.Node(0).Addr(), c.Node(1).Addr(), c.dir.path)
	switch end {
	case "panic":
		panic("as asked for")
	case "exit":
		return 0
	default:
		select {} // until it is killed
	}
}
