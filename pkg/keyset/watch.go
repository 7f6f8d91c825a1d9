package keyset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/internal/keyring/document"
)

const (
	defaultInterval = 10 * time.Second
	// maxPause is the longest time between attempts when the KMS does not open what it should.
	maxPause = 5 * time.Minute
)

// Watch opens the document in a file, such as keyset.json in a mounted Secret, and follows its changes until ctx ends or
// Close is called. A change that cannot be taken leaves the last good keys in use, see Reload and Options.OnReload. When
// ctx ends, the keys stay in use and follow no more; Close clears them.
//
// It looks at the file again and again instead of asking the system for events: that misses nothing on any file system,
// and a keyset is read in microseconds.
func Watch(ctx context.Context, file string, o Options) (*Keyset, error) {
	if o.Interval <= 0 {
		o.Interval = defaultInterval
	}
	if o.OnReload == nil {
		o.OnReload = func(error) {}
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("keyset: %w", err)
	}
	k, err := Open(ctx, raw, o)
	if err != nil {
		return nil, err
	}
	ctx, k.stop = context.WithCancel(ctx)
	w := &watch{keyset: k, file: file, tried: raw, pause: o.Interval}
	w.settle(k.pending(), time.Now())
	go w.run(ctx)
	return k, nil
}

// watch is the state of following one file.
type watch struct {
	keyset *Keyset
	file   string
	// tried is the content last given to Reload, failure what came of it.
	tried   []byte
	failure error
	retryAt time.Time
	pause   time.Duration
	// told is what OnReload heard last.
	told string
}

func (w *watch) run(ctx context.Context) {
	ticker := time.NewTicker(w.keyset.opts.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			w.look(ctx, now)
		}
	}
}

// look reads the file, and takes it when it has changed, or when the KMS did not open all of it last time.
func (w *watch) look(ctx context.Context, now time.Time) {
	raw, err := os.ReadFile(w.file)
	if err != nil {
		w.tell(ctx, err)
		return
	}
	if bytes.Equal(raw, w.tried) && (w.failure == nil || errors.Is(w.failure, ErrForeign) || now.Before(w.retryAt)) {
		w.tell(ctx, w.failure)
		return
	}
	if !bytes.Equal(raw, w.tried) {
		w.pause, w.told = w.keyset.opts.Interval, "changed"
	}
	w.tried = raw
	err = w.keyset.Reload(ctx, raw)
	if err == nil {
		err = w.keyset.pending()
	}
	w.settle(err, now)
	w.tell(ctx, err)
}

// settle notes the outcome and when to try again.
func (w *watch) settle(err error, now time.Time) {
	w.failure = err
	w.retryAt = now.Add(w.pause)
	w.pause = min(2*w.pause, maxPause)
}

// tell calls OnReload when it has not heard the same before. When watching ends, an error is no news.
func (w *watch) tell(ctx context.Context, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text == w.told || ctx.Err() != nil {
		return
	}
	w.told = text
	w.keyset.opts.OnReload(err)
}

// pending is why versions that should decrypt are not open; nil when all are.
func (k *Keyset) pending() error {
	k.mu.RLock()
	defer k.mu.RUnlock()
	var all []error
	for _, id := range slices.SortedFunc(maps.Keys(k.unopened), document.ID.Compare) {
		all = append(all, k.unopened[id])
	}
	return errors.Join(all...)
}
