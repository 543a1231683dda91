package redlock

import (
	"fmt"
	hidden "time"
)

func tells() {
	later := hidden.Sleep // want time
	later(0)
	fmt.Print(hidden.Now())      // want print time
	fmt.Printf("%v", hidden.UTC) // want print
}
