package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlock/embedded"
)

// A lock on five embedded nodes goes on when two of them stop, and says that it
// cannot know when three do.
func Example() {
	nodes, err := embedded.Start(5)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer nodes.Close()
	locks, err := redlock.Dial(nodes.Addrs())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer locks.Close()

	ctx := context.Background()
	importCustomers := func() error {
		return locks.WithLock(ctx, "import:lock:customers", 30*time.Second, func(context.Context) error {
			fmt.Println("importing")
			return nil
		})
	}

	fmt.Println("five nodes:", importCustomers())

	for i := range 2 {
		if err := nodes.Stop(i); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println("three nodes:", importCustomers())

	if err := nodes.Stop(2); err != nil {
		fmt.Println(err)
	}
	fmt.Println("two nodes, no quorum:", errors.Is(importCustomers(), redlock.ErrNoQuorum))

	// Output:
	// importing
	// five nodes: <nil>
	// importing
	// three nodes: <nil>
	// two nodes, no quorum: true
}
