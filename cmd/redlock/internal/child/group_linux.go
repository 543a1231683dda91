package child

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes has the kernel kill the command when this process is gone, however
// it went: nobody would extend its lock any more.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// populated tells whether anybody in the group still runs. A zombie does not: in
// a container whose process 1 waits for nobody there are some that stay.
func populated(group int) bool {
	if errors.Is(unix.Kill(-group, 0), unix.ESRCH) {
		return false
	}
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return true
	}
	seen := false
	for _, p := range processes {
		if _, err := strconv.Atoi(p.Name()); err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + p.Name() + "/stat")
		if err != nil {
			continue // it has ended meanwhile
		}
		seen = true
		// pid (name) state parent group ...; the name may have parentheses and
		// blanks of its own.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) > 2 && string(fields[2]) == strconv.Itoa(group) && !bytes.ContainsAny(fields[0], "ZX") {
			return true
		}
	}
	return !seen // no proc file system is mounted there
}
