package tenantconfig_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/pkg/tenantconfig"
	"github.com/hipaatenant/hipaa-tenant-operator/test/mounted"
)

func watch(ctx context.Context, t *testing.T, v *mounted.Volume) (*tenantconfig.Watcher, chan error) {
	t.Helper()
	told := make(chan error, 100)
	w, err := tenantconfig.Watch(ctx, v.File(), tenantconfig.Options{Interval: 2 * time.Millisecond, OnReload: func(err error) { told <- err }})
	if err != nil {
		t.Fatal(err)
	}
	return w, told
}

func minutes(t *testing.T, n int) []byte {
	return changed(t, full(), "session.idleTimeoutSeconds", 60*n)
}

func TestWatch(t *testing.T) {
	v := mounted.New(t, "hipaa.json", minutes(t, 15))
	w, told := watch(t.Context(), t, v)
	if got := w.Config().IdleTimeout(); got != 15*time.Minute {
		t.Fatalf("timeout %s at the start", got)
	}
	announced := w.Changed()
	v.Write(minutes(t, 10))
	if err := mounted.Next(t, told); err != nil || w.Config().IdleTimeout() != 10*time.Minute || w.Err() != nil {
		t.Fatalf("timeout %s, error %v, %v; expected the change to be taken", w.Config().IdleTimeout(), err, w.Err())
	}
	select {
	case <-announced:
	default:
		t.Error("Changed did not tell of the change")
	}
	for _, bad := range []struct {
		raw  []byte
		want error
	}{
		{nil, tenantconfig.ErrInvalid},
		{minutes(t, 5)[:100], tenantconfig.ErrInvalid},
		{minutes(t, -5), tenantconfig.ErrInvalid},
		{changed(t, full(), "schema", "hipaatenant.dev/config/v2"), tenantconfig.ErrSchema},
		{changed(t, full(), "tenant", "birch"), tenantconfig.ErrForeign},
	} {
		v.Write(bad.raw)
		if err := mounted.Next(t, told); !errors.Is(err, bad.want) || !errors.Is(w.Err(), bad.want) {
			t.Errorf("%s: told %v, Err %v; expected %v", bad.raw, err, w.Err(), bad.want)
		}
		if got := w.Config().IdleTimeout(); got != 10*time.Minute {
			t.Errorf("%s: timeout %s; expected the last good one to stay", bad.raw, got)
		}
	}
	v.Remove()
	if err := mounted.Next(t, told); !errors.Is(err, os.ErrNotExist) || w.Config().Tenant != "acme" {
		t.Errorf("%v; expected that there is no file, and the last good config", err)
	}
	v.Write(minutes(t, 5))
	v.Link()
	if err := mounted.Next(t, told); err != nil || w.Config().IdleTimeout() != 5*time.Minute || w.Err() != nil {
		t.Errorf("timeout %s, %v; expected the good one again", w.Config().IdleTimeout(), err)
	}
	if len(told) > 0 {
		t.Errorf("told once more: %v; expected each outcome once", <-told)
	}
}

// The same bad document is told once, and the good one that was there before it is taken back.
func TestWatchGoesBack(t *testing.T) {
	v := mounted.New(t, "hipaa.json", minutes(t, 15))
	w, told := watch(t.Context(), t, v)
	v.Write([]byte("{"))
	if err := mounted.Next(t, told); !errors.Is(err, tenantconfig.ErrInvalid) {
		t.Fatal(err)
	}
	v.Write(minutes(t, 15))
	if err := mounted.Next(t, told); err != nil || w.Err() != nil {
		t.Errorf("told %v, Err %v; expected the error to be over", err, w.Err())
	}
	if len(told) > 0 {
		t.Errorf("told once more: %v", <-told)
	}
}

// Without a document nobody knows what is permitted: the program does not begin.
func TestWatchNeedsADocument(t *testing.T) {
	if _, err := tenantconfig.Watch(t.Context(), filepath.Join(t.TempDir(), "none"), tenantconfig.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	v := mounted.New(t, "hipaa.json", []byte("{"))
	if _, err := tenantconfig.Watch(t.Context(), v.File(), tenantconfig.Options{}); !errors.Is(err, tenantconfig.ErrInvalid) {
		t.Error(err)
	}
}

// Readers and changes go side by side: what is read is always one whole document.
func TestWatchUnderLoad(t *testing.T) {
	var documents [2][]byte
	for i, region := range []string{"us-east-1", "us-west-2"} {
		c := full()
		c.Region, c.Session.IdleTimeoutSeconds = region, 60*(i+1)
		documents[i] = encode(t, c)
	}
	v := mounted.New(t, "hipaa.json", documents[0])
	ctx, stop := context.WithCancel(t.Context())
	w, told := watch(ctx, t, v)
	session := tenantconfig.NewSessionTimer(w.Config)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				c := w.Config()
				if whole := c.Region == "us-east-1"; whole != (c.IdleTimeout() == time.Minute) {
					t.Errorf("region %s beside timeout %s", c.Region, c.IdleTimeout())
					return
				}
				session.UserInput()
				session.Expired()
			}
		})
	}
	for i := range 10 {
		v.Write(documents[(i+1)%2])
		if err := mounted.Next(t, told); err != nil {
			t.Error(err)
		}
	}
	stop()
	readers.Wait()
}
