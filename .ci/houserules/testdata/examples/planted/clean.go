// Package planted is a part of an example.
package planted

import "fmt"

func clean() {
	fmt.Println()
}
