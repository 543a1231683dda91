package planted

import "fmt"

func prints() {
	fmt.Println() // want print
	println()     // want debug
}
