// Package redlockotel is above redlock, though it lies in its folder.
package redlockotel

import (
	_ "github.com/redlock-go/redlock/redlock"
)
