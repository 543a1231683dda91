// Package clock makes the time that everything else takes from it.
package clock

import "time"

func clean() {
	time.Sleep(time.Until(time.Now().Add(-time.Since(time.Now()))))
	<-time.After(0)
	<-time.Tick(1)
	time.AfterFunc(0, func() {}).Stop()
	time.NewTimer(0).Stop()
	time.NewTicker(1).Stop()
}
