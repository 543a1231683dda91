package embedded

import (
	"context"
	"testing"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// dial returns a client set up as the lock's own are.
func dial(t *testing.T, addr string) rueidis.Client {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress:       []string{addr},
		ForceSingleClient: true,
		DisableCache:      true,
		PipelineMultiplex: -1,
		DisableRetry:      true,
	})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// do sends one command and returns the reply as RESP3 has it: string, int64,
// []any, map[string]any or, for a null, nil.
func do(t *testing.T, c rueidis.Client, args ...string) any {
	t.Helper()
	reply, err := c.Do(t.Context(), c.B().Arbitrary(args...).Build()).ToAny()
	if rueidis.IsRedisNil(err) {
		return nil
	}
	require.NoError(t, err, "%q", args)
	return reply
}

func doErr(ctx context.Context, c rueidis.Client, args ...string) error {
	return c.Do(ctx, c.B().Arbitrary(args...).Build()).Error()
}

func start(t *testing.T, n int) *Cluster {
	t.Helper()
	c, err := Start(n)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}
