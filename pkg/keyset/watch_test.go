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
)

// volume is a mounted Secret as the kubelet keeps it: files are links into ..data, which is a link that is replaced.
type volume struct {
	t   *testing.T
	dir string
}

func newVolume(t *testing.T, raw []byte) *volume {
	v := &volume{t: t, dir: t.TempDir()}
	v.write(raw)
	v.must(os.Symlink(filepath.Join("..data", keyset.File), v.file()))
	return v
}

func (v *volume) file() string { return filepath.Join(v.dir, keyset.File) }

func (v *volume) must(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

func (v *volume) write(raw []byte) {
	v.t.Helper()
	data, err := os.MkdirTemp(v.dir, "..")
	v.must(err)
	v.must(os.WriteFile(filepath.Join(data, keyset.File), raw, 0o600))
	v.must(os.Symlink(filepath.Base(data), filepath.Join(v.dir, "..data_tmp")))
	v.must(os.Rename(filepath.Join(v.dir, "..data_tmp"), filepath.Join(v.dir, "..data")))
}

func (v *volume) watch(w *world) (*keyset.Keyset, chan error) {
	v.t.Helper()
	told := make(chan error, 100)
	o := w.options()
	o.Interval, o.OnReload = 2*time.Millisecond, func(err error) { told <- err }
	k, err := keyset.Watch(v.t.Context(), v.file(), o)
	v.must(err)
	v.t.Cleanup(k.Close)
	return k, told
}

// next waits for what OnReload is told.
func next(t *testing.T, told chan error) error {
	t.Helper()
	select {
	case err := <-told:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was told within 10 s")
		return nil
	}
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
	v := newVolume(t, first)
	k, told := v.watch(w)

	v.write(second)
	if err := next(t, told); err != nil || version(t, k) != 2 {
		t.Fatalf("version %d, error %v; expected the rotation to be taken", version(t, k), err)
	}
	for _, bad := range [][]byte{first, []byte("{"), nil} {
		v.write(bad)
		want(t, next(t, told), keyset.ErrForeign)
		if n := version(t, k); n != 2 {
			t.Errorf("version %d; expected the last good one to stay", n)
		}
	}
	v.must(os.Remove(v.file()))
	want(t, next(t, told), os.ErrNotExist)
	v.must(os.Symlink(filepath.Join("..data", keyset.File), v.file()))
	want(t, next(t, told), keyset.ErrForeign)
	v.write(second)
	if err := next(t, told); err != nil {
		t.Errorf("the good one again: %v", err)
	}
	v.write(w.rotated(request(), second))
	if err := next(t, told); err != nil || version(t, k) != 3 {
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
	v := newVolume(t, first)
	k, told := v.watch(w)
	away := errors.New("the KMS is away")
	w.failing(func(document.Binding) error { return away })
	v.write(w.rotated(request(), first))
	want(t, next(t, told), away)
	w.failing(nil)
	if err := next(t, told); err != nil || version(t, k) != 2 {
		t.Errorf("version %d, error %v", version(t, k), err)
	}
}

// A version that did not open at the start is opened as soon as the KMS lets it.
func TestWatchOpensTheRest(t *testing.T) {
	w := newWorld(t)
	away := errors.New("the KMS is away")
	v := newVolume(t, w.rotated(request(), w.make(request())))
	w.failing(func(b document.Binding) error {
		if b.Version == 1 {
			return away
		}
		return nil
	})
	k, told := v.watch(w)
	want(t, next(t, told), away)
	w.failing(nil)
	if err := next(t, told); err != nil {
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
	v := newVolume(t, first)
	k, told := v.watch(w)
	calls := w.count()
	// A change that is refused and one that is told prove that the file was looked at meanwhile.
	v.write([]byte("{"))
	want(t, next(t, told), keyset.ErrForeign)
	v.write(first)
	if err := next(t, told); err != nil {
		t.Fatal(err)
	}
	if n := w.count() - calls; n != 0 {
		t.Errorf("%d KMS calls for a keyset that is open", n)
	}
	k.Close()
	v.write([]byte("}"))
	if _, err := k.Primary("default"); !errors.Is(err, keyset.ErrClosed) {
		t.Errorf("%v; expected it to be closed", err)
	}
}

func TestWatchNeedsTheFile(t *testing.T) {
	w := newWorld(t)
	_, err := keyset.Watch(t.Context(), filepath.Join(t.TempDir(), "none"), w.options())
	want(t, err, os.ErrNotExist)
	v := newVolume(t, []byte("{"))
	_, err = keyset.Watch(t.Context(), v.file(), w.options())
	if !errors.Is(err, keyset.ErrForeign) || strings.Contains(err.Error(), "left as it is") {
		t.Errorf("%v; expected words for an application", err)
	}
}
