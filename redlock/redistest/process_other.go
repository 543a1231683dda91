//go:build !linux

package redistest

import "syscall"

// dieWithParent cannot be had here.
func dieWithParent() *syscall.SysProcAttr { return nil }

// stopped cannot be known here; it takes the signal for delivered.
func stopped(int) bool { return true }
