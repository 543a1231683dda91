package redistest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

const (
	startTimeout = 20 * time.Second // until a server answers: a busy machine with the race detector on
	endTimeout   = 10 * time.Second // until a process has ended that was told to
	poll         = 2 * time.Millisecond
)

// findBinary returns the redis-server to run.
func findBinary() (string, error) {
	const install = "install it (Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis) or set REDIS_SERVER to one"
	name := os.Getenv("REDIS_SERVER")
	if name == "" {
		path, err := exec.LookPath("redis-server")
		if err != nil {
			return "", fmt.Errorf("redistest: no redis-server in the PATH: %s", install)
		}
		return path, nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("redistest: no redis-server at REDIS_SERVER=%s (%w): %s", name, errors.Unwrap(err), install)
	}
	return path, nil
}

// process is a running program.
type process struct {
	*os.Process
	exited chan struct{} // closed when the process has ended and been waited for
	state  error         // how it ended; to be read after exited
}

// startProcess runs a program whose output goes to log.
func startProcess(log *os.File, binary string, args ...string) (*process, error) {
	cmd := exec.Command(binary, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = dieWithParent()
	p := &process{exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		// Linux kills a child along with its parent when the thread ends that
		// started it, not the process (PR_SET_PDEATHSIG in prctl(2)), and Go ends
		// threads as it likes. So the goroutine that starts the process keeps its
		// thread until the process has ended. The thread is no extra: waiting for
		// a process takes one anyway.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.state = cmd.Wait()
		close(p.exited)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	p.Process = cmd.Process
	return p, nil
}

func (p *process) ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// end sends a signal that ends the process and waits until it has. A process
// that has ended already is fine.
func (p *process) end(sig syscall.Signal) error {
	if err := p.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%v: %w", sig, err)
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(endTimeout):
		return fmt.Errorf("process %d has not ended %v after the signal %q", p.Pid, endTimeout, sig)
	}
}

// pause stops the process and returns when it has stopped.
func (p *process) pause() error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for deadline := time.Now().Add(endTimeout); !stopped(p.Pid); time.Sleep(poll) {
		if p.ended() {
			return os.ErrProcessDone
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d has not stopped %v after SIGSTOP", p.Pid, endTimeout)
		}
	}
	return nil
}
