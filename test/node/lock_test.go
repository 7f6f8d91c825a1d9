package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"testing"
	"time"
)

// One run at a time is on a machine. Another says once what it waits for, and begins when that has ended.
func TestAlone(t *testing.T) {
	m := plant(t)
	release, err := m.alone(t.Context(), func(other string) { t.Errorf("expected to wait for nobody, found %q", other) })
	if err != nil {
		t.Fatal(err)
	}
	said, began := make(chan string, 2), make(chan error)
	go func() {
		second, err := m.alone(t.Context(), func(other string) { said <- other })
		if err == nil {
			err = second()
		}
		began <- err
	}()
	select {
	case got := <-said:
		if want := fmt.Sprintf("process %d", os.Getpid()); got != want {
			t.Errorf("expected to hear of %s, found %q", want, got)
		}
	case err := <-began:
		t.Fatalf("expected the second to wait, found it had its turn at once (%v)", err)
	}
	select {
	case err := <-began:
		t.Fatalf("expected the second to wait, found it had its turn (%v)", err)
	case <-time.After(300 * time.Millisecond):
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if err := <-began; err != nil {
		t.Fatal(err)
	}
	if len(said) > 0 {
		t.Errorf("expected it to be said once, found again %q", <-said)
	}
	if _, err := os.Stat(m.path(lockFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("expected no file to be left, found %v", err)
	}
}

// A lock on a file that is there no more keeps nobody out, and so counts for nothing.
func TestLockOfARemovedFile(t *testing.T) {
	m := plant(t)
	first, err := m.lock()
	if err != nil {
		t.Fatal(err)
	}
	waiting, err := os.Open(first.Name())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(first.Name()), first.Close()); err != nil {
		t.Fatal(err)
	}
	again, err := m.lock()
	if err != nil {
		t.Fatal(err)
	}
	if held, err := locked(waiting, m.path(lockFile)); held || err != nil {
		t.Errorf("expected a lock on the removed file to be none, found %t (%v)", held, err)
	}
	if err := errors.Join(again.Close(), waiting.Close()); err != nil {
		t.Error(err)
	}
}

func TestAloneEndsWithItsUser(t *testing.T) {
	m := plant(t)
	release, err := m.alone(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := m.alone(ctx, func(string) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("expected the waiting to be given up, found %v", err)
	}
	if err := release(); err != nil {
		t.Error(err)
	}
}
