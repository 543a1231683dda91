package quorum

import "time"

func tells() {
	start := time.Now()                 // want time
	_ = time.Since(start)               // want time
	_ = time.Until(start)               // want time
	time.Sleep(0)                       // want time
	<-time.After(0)                     // want time
	<-time.Tick(1)                      // want time
	time.AfterFunc(0, func() {}).Stop() // want time
	time.NewTimer(0).Stop()             // want time
	time.NewTicker(1).Stop()            // want time
}
