package keyset_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
	"github.com/hipaatenant/hipaa-tenant-operator/pkg/keyset"
	"github.com/hipaatenant/hipaa-tenant-operator/test/mounted"
)

func watch(t *testing.T, v *mounted.Volume, w *world) (*keyset.Keyset, chan error) {
	t.Helper()
	told := make(chan error, 100)
	o := w.options()
	o.Interval, o.OnReload = 2*time.Millisecond, func(err error) { told <- err }
	k, err := keyset.Watch(t.Context(), v.File(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k, told
}

func version(t *testing.T, k *keyset.Keyset) int64 {
	t.Helper()
	key, err := k.Primary("default")
	if err != nil {
		t.Fatal(err)
	}
	return key.Version
}

func TestWatch(t *testing.T) {
	w := newWorld(t)
	first := w.make(request())
	second := w.rotated(request(), first)
	v := mounted.New(t, keyset.File, first)
	k, told := watch(t, v, w)

	v.Write(second)
	if err := mounted.Next(t, told); err != nil || version(t, k) != 2 {
		t.Fatalf("version %d, error %v; expected the rotation to be taken", version(t, k), err)
	}
	for _, bad := range [][]byte{first, []byte("{"), nil} {
		v.Write(bad)
		want(t, mounted.Next(t, told), keyset.ErrForeign)
		if n := version(t, k); n != 2 {
			t.Errorf("version %d; expected the last good one to stay", n)
		}
	}
	v.Remove()
	want(t, mounted.Next(t, told), os.ErrNotExist)
	v.Link()
	want(t, mounted.Next(t, told), keyset.ErrForeign)
	v.Write(second)
	if err := mounted.Next(t, told); err != nil {
		t.Errorf("the good one again: %v", err)
	}
	v.Write(w.rotated(request(), second))
	if err := mounted.Next(t, told); err != nil || version(t, k) != 3 {
		t.Errorf("version %d, error %v; expected the next rotation to be taken", version(t, k), err)
	}
	if len(told) > 0 {
		t.Errorf("told once more: %v; expected each outcome once", <-told)
	}
}

// What the KMS could not open is tried again without a change of the file.
func TestWatchOutlivesTheKMS(t *testing.T) {
	w := newWorld(t)
	first := w.make(request())
	v := mounted.New(t, keyset.File, first)
	k, told := watch(t, v, w)
	away := errors.New("the KMS is away")
	w.failing(func(document.Binding) error { return away })
	v.Write(w.rotated(request(), first))
	want(t, mounted.Next(t, told), away)
	w.failing(nil)
	if err := mounted.Next(t, told); err != nil || version(t, k) != 2 {
		t.Errorf("version %d, error %v", version(t, k), err)
	}
}

// A version that did not open at the start is opened as soon as the KMS lets it.
func TestWatchOpensTheRest(t *testing.T) {
	w := newWorld(t)
	away := errors.New("the KMS is away")
	v := mounted.New(t, keyset.File, w.rotated(request(), w.make(request())))
	w.failing(func(b document.Binding) error {
		if b.Version == 1 {
			return away
		}
		return nil
	})
	k, told := watch(t, v, w)
	want(t, mounted.Next(t, told), away)
	w.failing(nil)
	if err := mounted.Next(t, told); err != nil {
		t.Error(err)
	}
	if _, err := k.Version("default", 1); err != nil {
		t.Error(err)
	}
}

// An idle application asks the KMS nothing.
func TestWatchIsQuiet(t *testing.T) {
	w := newWorld(t)
	first := w.make(request())
	v := mounted.New(t, keyset.File, first)
	k, told := watch(t, v, w)
	calls := w.count()
	// A change that is refused and one that is told prove that the file was looked at meanwhile.
	v.Write([]byte("{"))
	want(t, mounted.Next(t, told), keyset.ErrForeign)
	v.Write(first)
	if err := mounted.Next(t, told); err != nil {
		t.Fatal(err)
	}
	if n := w.count() - calls; n != 0 {
		t.Errorf("%d KMS calls for a keyset that is open", n)
	}
	k.Close()
	v.Write([]byte("}"))
	if _, err := k.Primary("default"); !errors.Is(err, keyset.ErrClosed) {
		t.Errorf("%v; expected it to be closed", err)
	}
}

func TestWatchNeedsTheFile(t *testing.T) {
	w := newWorld(t)
	_, err := keyset.Watch(t.Context(), filepath.Join(t.TempDir(), "none"), w.options())
	want(t, err, os.ErrNotExist)
	v := mounted.New(t, keyset.File, []byte("{"))
	_, err = keyset.Watch(t.Context(), v.File(), w.options())
	if !errors.Is(err, keyset.ErrForeign) || strings.Contains(err.Error(), "left as it is") {
		t.Errorf("%v; expected words for an application", err)
	}
}
