//go:build unix

package child

import "golang.org/x/sys/unix"

// terminal is the one that controls this process. Only one process group can use
// it at a time, the one in its foreground.
type terminal struct {
	modes *unix.Termios // before a command had it; nil: none ever had
}

// open calls f with the terminal, if there is one.
func (*terminal) open(f func(fd int) bool) bool {
	// Not os.Open, which would have the runtime poll it.
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }()
	return f(fd)
}

// give puts a group in the foreground if we are, and reports whether it is there.
func (t *terminal) give(group int) bool {
	return t.open(func(fd int) bool {
		front, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
		if err != nil || front != unix.Getpgrp() {
			return err == nil && front == group
		}
		if t.modes == nil {
			t.modes, _ = unix.IoctlGetTermios(fd, getTermios)
		}
		return unix.IoctlSetPointerInt(fd, unix.TIOCSPGRP, group) == nil
	})
}

// take puts us in the foreground if the group is, and reports whether it was.
func (t *terminal) take(group int) bool {
	return t.open(func(fd int) bool {
		front, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
		if err != nil || front != group {
			return false
		}
		// We are in the background, which is no obstacle since TTOU is ignored.
		return unix.IoctlSetPointerInt(fd, unix.TIOCSPGRP, unix.Getpgrp()) == nil
	})
}

// restore undoes what a command that could not clean up has done to the
// terminal: an editor leaves it without echo.
func (t *terminal) restore() {
	t.open(func(fd int) bool {
		return t.modes != nil && unix.IoctlSetTermios(fd, setTermios, t.modes) == nil
	})
}
