package redistest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// dir is a cluster's directory. A process that is killed cannot remove its own,
// so whoever makes one removes those that were left behind before. To tell them
// from those in use, a process holds a lock (flock) on its directory, which the
// kernel takes back when the process ends, however it ends.
type dir struct {
	path string
	lock *os.File
}

const dirPrefix = "redistest-"

func newDir() (*dir, error) {
	removeAbandoned()
	for {
		path, err := os.MkdirTemp("", dirPrefix)
		if err != nil {
			return nil, err
		}
		lock, err := lockDir(path)
		if err == nil {
			return &dir{path: path, lock: lock}, nil
		}
		// Another process can take a directory for abandoned between the moment
		// when it is made and the one when it is locked. It removes it then.
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(err, os.RemoveAll(path))
		}
	}
}

func (d *dir) remove() error {
	return errors.Join(os.RemoveAll(d.path), d.lock.Close())
}

// lockDir locks the directory at path without waiting.
func lockDir(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		_, err = os.Stat(path) // the lock may be on what was just removed
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// removeAbandoned removes what killed processes left. What it may not remove is
// another user's and stays.
func removeAbandoned() {
	paths, _ := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*"))
	for _, path := range paths {
		if lock, err := lockDir(path); err == nil {
			_ = os.RemoveAll(path)
			_ = lock.Close()
		}
	}
}
