package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/hcl"
	"github.com/hashicorp/vault/sdk/logical"
)

// policies are what `vault policy write` stored, by name.
type policies struct {
	mu     sync.Mutex
	byName map[string][]rule
}

// rule is one path of a policy.
type rule struct {
	path         string
	capabilities []string
}

// write replaces a policy by one in HCL, of paths and capabilities alone.
func (p *policies) write(name, text string) error {
	var parsed struct {
		Path map[string][]struct {
			Capabilities []string `hcl:"capabilities"`
		} `hcl:"path"`
	}
	if err := hcl.Decode(&parsed, text); err != nil {
		return fmt.Errorf("failed to parse policy: %w", err)
	}
	var rules []rule
	for path, blocks := range parsed.Path {
		for _, b := range blocks {
			rules = append(rules, rule{path, b.Capabilities})
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byName[name] = rules
	return nil
}

// allow says whether one of the policies allows an operation. As in Vault, the most specific path that matches decides
// alone, and the capabilities that several policies give on that path are added up.
func (p *policies) allow(names []string, op logical.Operation, path string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	var matching []rule
	for _, name := range names {
		for _, r := range p.byName[name] {
			if r.matches(path) {
				matching = append(matching, r)
			}
		}
	}
	if len(matching) == 0 {
		return false
	}
	best := slices.MaxFunc(matching, func(a, b rule) int { return moreSpecific(a.path, b.path) })
	allowed := false
	for _, r := range matching {
		if r.path != best.path {
			continue
		}
		if slices.Contains(r.capabilities, "deny") {
			return false
		}
		allowed = allowed || slices.Contains(r.capabilities, string(op))
	}
	return allowed
}

// matches: + stands for one segment, * at the end for anything.
func (r rule) matches(path string) bool {
	pattern, open := strings.CutSuffix(r.path, "*")
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(got) < len(want) || len(got) > len(want) && !open {
		return false
	}
	for i, segment := range want {
		begun := open && i == len(want)-1 && strings.HasPrefix(got[i], segment)
		if segment != "+" && segment != got[i] && !begun {
			return false
		}
	}
	return true
}

// moreSpecific orders paths by Vault's rules for priority: the later the first wildcard, no * at the end, fewer +, longer.
func moreSpecific(a, b string) int {
	first := func(s string) int {
		if i := strings.IndexAny(s, "+*"); i >= 0 {
			return i
		}
		return len(a) + len(b)
	}
	open := func(s string) int {
		if strings.HasSuffix(s, "*") {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(first(a), first(b)),
		cmp.Compare(open(b), open(a)),
		cmp.Compare(strings.Count(b, "+"), strings.Count(a, "+")),
		cmp.Compare(len(a), len(b)),
		cmp.Compare(a, b),
	)
}
