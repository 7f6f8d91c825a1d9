package keyringtest

import (
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/hipaatenant/hipaa-tenant-operator/test/report" //nolint:depguard // nothing that ships imports keyringtest
)

// properties counts what a provider was really tested for, by name: a property tried on several variants counts once.
type properties struct {
	mu   sync.Mutex
	kept map[string]bool
}

// check runs one property as a test of its own. The whole name counts, so that a property with parts is each of them.
func (p *properties) check(t *testing.T, name string, test func(*testing.T)) {
	t.Run(name, func(t *testing.T) {
		defer func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			before, tried := p.kept[name]
			p.kept[name] = !t.Failed() && (before || !tried)
		}()
		test(t)
	})
}

// report prints the provider's line.
func (p *properties) report(provider string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	verdict := "ok"
	if len(p.kept) == 0 || slices.Contains(slices.Collect(maps.Values(p.kept)), false) {
		verdict = "miss"
	}
	report.Line("keys: contract provider=%s properties=%d %s", provider, len(p.kept), verdict)
}
