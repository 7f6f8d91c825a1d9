package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// lockFile is locked by the one run that a machine has at a time. It is outside the runs' directories, where root alone writes.
const lockFile = "/run/hipaa-e2e.lock"

// Alone waits until no other run is on this machine: what a run puts back in the end is what it found, and that must not be what
// another has changed. What it waits for is said once. The lock ends with release, or with this program.
func Alone(ctx context.Context, say func(other string)) (release func() error, err error) {
	return here.alone(ctx, say)
}

func (m machine) alone(ctx context.Context, say func(other string)) (release func() error, err error) {
	var lock *os.File
	said := false
	err = wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(context.Context) (done bool, err error) {
		lock, err = m.lock()
		if lock == nil && err == nil && !said {
			text, _ := os.ReadFile(m.path(lockFile)) // the other may just have ended, or not have written yet
			if said = len(text) > 0; said {
				say(strings.TrimSpace(string(text)))
			}
		}
		return lock != nil, err
	})
	if err != nil {
		return nil, fmt.Errorf("waiting for the end of another run: %w", err)
	}
	return func() error { return errors.Join(os.Remove(lock.Name()), lock.Close()) }, nil
}

// lock takes the lock, with a note of who has it. It is nil when another has it.
func (m machine) lock() (*os.File, error) {
	file, err := os.OpenFile(m.path(lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	mine, err := locked(file, m.path(lockFile))
	if err == nil && mine {
		err = note(file, fmt.Sprintf("process %d\n", os.Getpid()))
	}
	if err != nil || !mine {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// locked says that a lock on the file could be taken, and that the file is still the one of this path: who had the lock before has
// removed it in the end, and a third may have a new one.
func locked(file *os.File, path string) (bool, error) {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	mine, err := file.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(there, mine), err
}

// note writes a text in place of what a killed run may have left.
func note(file *os.File, text string) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteString(text)
	return err
}
