package redlock_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/redis/rueidis"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlock/embedded"
)

// nodes stands for your own masters.
func nodes() (addrs []string, stop func()) {
	cluster, err := embedded.Start(3)
	if err != nil {
		panic(err)
	}
	return cluster.Addrs(), func() { _ = cluster.Close() }
}

func client() (c *redlock.Client, stop func()) {
	addrs, stopNodes := nodes()
	c, err := redlock.Dial(addrs)
	if err != nil {
		panic(err)
	}
	return c, func() { _ = c.Close(); stopNodes() }
}

func ExampleDial() {
	addrs, stop := nodes() // such as "10.0.0.1:6379", "rediss://user:password@redis-2:6379"
	defer stop()

	c, err := redlock.Dial(addrs, redlock.WithNodeTimeout(200*time.Millisecond))
	if err != nil {
		fmt.Println(err) // a bad address or option; a node that is down is no error
		return
	}
	defer c.Close()
	fmt.Println("ready")
	// Output: ready
}

func ExampleNew() {
	addrs, stop := nodes()
	defer stop()

	var clients []rueidis.Client
	for _, addr := range addrs {
		client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, ForceSingleClient: true, DisableCache: true})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer client.Close()
		clients = append(clients, client)
	}
	c, err := redlock.New(clients)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Println("ready")
	// Output: ready
}

func ExampleClient_TryAcquire() {
	c, stop := client()
	defer stop()
	ctx := context.Background()

	lock, err := c.TryAcquire(ctx, "cache:rebuild:products", redlock.TTLShort)
	switch {
	case errors.Is(err, redlock.ErrHeld):
		fmt.Println("somebody is at it")
	case err != nil:
		fmt.Println("the nodes are in trouble:", err)
	default:
		defer lock.Release(ctx)
		fmt.Println("rebuilding, for", lock.Validity().Round(time.Second), "at the most")
	}
	// Output: rebuilding, for 30s at the most
}

func ExampleClient_Acquire() {
	c, stop := client()
	defer stop()
	ctx := context.Background()

	lock, err := c.Acquire(ctx, "job:lock:email-queue", redlock.TTLShort, redlock.UntilDone(), redlock.AutoExtend(true))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lock.Release(ctx)

	select {
	case <-lock.Context().Done(): // lost: stop
		fmt.Println(context.Cause(lock.Context()))
	case <-time.After(10 * time.Millisecond): // the work
		fmt.Println("sent")
	}
	// Output: sent
}

func ExampleClient_WithLock() {
	c, stop := client()
	defer stop()

	err := c.WithLock(context.Background(), "job:lock:email-queue", redlock.TTLShort, func(ctx context.Context) error {
		// ctx ends when the lock is lost.
		fmt.Println("sending")
		return ctx.Err()
	})
	fmt.Println(err)
	// Output:
	// sending
	// <nil>
}

func ExampleRun() {
	c, stop := client()
	defer stop()

	rows, err := redlock.Run(context.Background(), c, "report:monthly", redlock.TTLMedium, func(context.Context) (int, error) {
		return 1200, nil
	})
	fmt.Println(rows, err)
	// Output: 1200 <nil>
}

func ExampleRunImport() {
	c, stop := client()
	defer stop()

	r := redlock.RunImport(context.Background(), c, "customers", func(context.Context) (int, error) {
		return 3000, nil
	})
	status := http.StatusOK
	switch {
	case errors.Is(r.Err, redlock.ErrHeld):
		status = http.StatusConflict // it is running already
	case errors.Is(r.Err, redlock.ErrNoQuorum):
		status = http.StatusServiceUnavailable
	case r.Err != nil:
		status = http.StatusInternalServerError
	}
	fmt.Println(status, r.Value, "customers")
	// Output: 200 3000 customers
}

func ExampleClient_Attach() {
	c, stop := client()
	defer stop()
	ctx := context.Background()

	// One process takes the lock and passes the handle on ...
	lock, err := c.Acquire(ctx, "deploy", redlock.TTLMedium)
	if err != nil {
		fmt.Println(err)
		return
	}
	handle, _ := json.Marshal(lock.Handle())

	// ... to another, which takes it up and gives it back.
	var h redlock.Handle
	if err := json.Unmarshal(handle, &h); err != nil {
		fmt.Println(err)
		return
	}
	same, err := c.Attach(ctx, h)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(same.Key(), same.Release(ctx))
	// Output: deploy <nil>
}

func ExampleClient_Inspect() {
	c, stop := client()
	defer stop()
	ctx := context.Background()
	lock, err := c.Acquire(ctx, "deploy", redlock.TTLMedium)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lock.Release(ctx)

	seen, err := c.Inspect(ctx, "deploy")
	fmt.Println(seen.Held, seen.Owner == redlock.Fingerprint(lock.Token()), len(seen.Nodes), err)
	// Output: true true 3 <nil>
}

func ExampleLock_Extend() {
	c, stop := client()
	defer stop()
	ctx := context.Background()
	lock, err := c.Acquire(ctx, "deploy", redlock.TTLShort)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lock.Release(ctx)

	if err := lock.Extend(ctx, redlock.TTLLong); err != nil {
		fmt.Println("stop:", err) // ErrLost: somebody else may have it
	}
	fmt.Println(lock.Validity().Round(time.Minute))
	// Output: 10m0s
}
