// Package tenantconfig tells a Go workload what its tenant's agreement asks of it: when a session ends, which channels are
// closed, which fields are hidden, whether calls may be recorded, which mail server may be used. The operator delivers it as
// hipaa.json in ConfigMap hipaa-config; mount that as a directory (not with subPath, which never sees a change):
//
//	config, err := tenantconfig.Watch(ctx, "/etc/hipaa/hipaa.json", tenantconfig.Options{})
//	...
//	session := tenantconfig.NewSessionTimer(config.Config)
//	...
//	if session.Expired() { ... }
//	if config.Config().ChannelDisabled("sms") { ... }
//
// A change of the HIPAATenant arrives without a restart. docs/application-contract.md says what is expected of an
// application, in any language; docs/schemas/config.v1.json is the format.
//
// This package needs the standard library alone.
package tenantconfig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// DefaultFile is where the documentation mounts the document.
const DefaultFile = "/etc/hipaa/hipaa.json"

// ErrForeign: the document is another tenant's than the one the program began with.
var ErrForeign = errors.New("tenant config of another tenant")

const defaultInterval = 10 * time.Second

// Options of Watch.
type Options struct {
	// Interval is how often the file is looked at. Default 10 s; the kubelet itself takes about a minute to bring a changed
	// ConfigMap to a volume.
	Interval time.Duration
	// OnReload is told what became of a change: nil when it was taken, else why the last good config stays in use. The same
	// error of the same content is told once. It is called from another goroutine, one call at a time, until the context of Watch ends.
	OnReload func(error)
}

// Watcher holds the last good config. Its methods may be called from several goroutines.
type Watcher struct {
	file string
	opts Options

	mu      sync.RWMutex
	config  Config
	failure error
	changed chan struct{}

	// tried is the content last looked at. Only the goroutine that follows the file reads and writes it.
	tried []byte
}

// Watch reads the document in a file and follows its changes until ctx ends. It fails when there is no valid document at the
// start: without one, nobody knows what is permitted. Later a document that is missing, half written, invalid, of another
// schema or of another tenant leaves the last good one in use, see Options.OnReload and Err.
//
// It looks at the file again and again instead of asking the system for events: that misses nothing on any file system.
func Watch(ctx context.Context, file string, o Options) (*Watcher, error) {
	if o.Interval <= 0 {
		o.Interval = defaultInterval
	}
	if o.OnReload == nil {
		o.OnReload = func(error) {}
	}
	raw, err := read(file)
	if err != nil {
		return nil, fmt.Errorf("tenantconfig: %w", err)
	}
	c, err := Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("tenantconfig: %s: %w", file, err)
	}
	w := &Watcher{file: file, opts: o, config: c, tried: raw, changed: make(chan struct{})}
	go w.run(ctx)
	return w, nil
}

// Config is the last good config. Its lists are shared: read them, do not change them.
func (w *Watcher) Config() Config {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.config
}

// Err is why the file is not what Config says; nil when it is.
func (w *Watcher) Err() error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.failure
}

// Changed is closed when Config becomes another one. Ask for the channel before the config, and again after each change.
func (w *Watcher) Changed() <-chan struct{} {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.changed
}

func (w *Watcher) run(ctx context.Context) {
	ticker := time.NewTicker(w.opts.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			w.look(ctx)
		}
	}
}

// look takes the file when it has changed, and tells what came of it when that is news.
func (w *Watcher) look(ctx context.Context) {
	raw, err := read(w.file)
	changed := err == nil && !bytes.Equal(raw, w.tried)
	if err == nil && !changed && w.Err() == nil {
		return
	}
	var c Config
	if err == nil {
		w.tried = raw
		c, err = Parse(raw)
	}
	if err == nil && c.Tenant != w.Config().Tenant {
		err = fmt.Errorf("%w: expected %q, found %q", ErrForeign, w.Config().Tenant, c.Tenant)
	}
	if err != nil {
		err = fmt.Errorf("tenantconfig: %s: %w", w.file, err)
	}
	if w.settle(c, err) || changed {
		w.tell(ctx, err)
	}
}

// settle notes the outcome, and says whether it is another one than before.
func (w *Watcher) settle(c Config, err error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	news := err == nil || w.failure == nil || w.failure.Error() != err.Error()
	w.failure = err
	if err == nil {
		w.config = c
		close(w.changed)
		w.changed = make(chan struct{})
	}
	return news
}

// tell calls OnReload. When watching ends, nothing is news.
func (w *Watcher) tell(ctx context.Context, err error) {
	if ctx.Err() == nil {
		w.opts.OnReload(err)
	}
}
