package redlock_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/redlock-go/redlock/redlock/redistest"
)

// BenchmarkCycle measures acquire and release on keys of the workers' own, over
// five servers on this machine, of which all are well or one is frozen. p50 is of
// acquire and of release each.
func BenchmarkCycle(b *testing.B) {
	for _, state := range []string{"healthy", "one-frozen"} {
		for _, workers := range []int{1, 16, 64, 512} {
			b.Run(fmt.Sprintf("nodes=5/%s/workers=%d", state, workers), func(b *testing.B) {
				nodes := redistest.Start(b, 5)
				c := dial(b, nodes.Addrs())
				if state == "one-frozen" {
					nodes.Node(4).Pause()
				}
				var left atomic.Int64
				left.Store(int64(b.N))
				acquired, released := make([][]time.Duration, workers), make([][]time.Duration, workers)
				var all sync.WaitGroup
				b.ReportAllocs()
				b.ResetTimer()
				for i := range workers {
					all.Go(func() {
						ctx, key := context.Background(), "k"+strconv.Itoa(i)
						for left.Add(-1) >= 0 {
							start := time.Now()
							l, err := c.TryAcquire(ctx, key, time.Minute)
							if err != nil {
								b.Error(err)
								return
							}
							got := time.Now()
							if err := l.Release(ctx); err != nil {
								b.Error(err)
								return
							}
							acquired[i] = append(acquired[i], got.Sub(start))
							released[i] = append(released[i], time.Since(got))
						}
					})
				}
				all.Wait()
				b.StopTimer()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "cycles/s")
				b.ReportMetric(median(slices.Concat(acquired...)), "acquire-p50-ns")
				b.ReportMetric(median(slices.Concat(released...)), "release-p50-ns")
				require.NoError(b, c.Close())
			})
		}
	}
}

func median(d []time.Duration) float64 {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return float64(d[len(d)/2])
}
