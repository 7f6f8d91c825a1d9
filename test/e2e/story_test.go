package main

import (
	"testing"
)

// Stories take place in others, which are told in any case.
func TestTells(t *testing.T) {
	o := options{Only: []string{"probe"}}
	for name, want := range map[string]bool{"install": true, "onboard": true, "app": true, "probe": true, "upgrade": false, "budget": false} {
		if o.tells(name) != want {
			t.Errorf("-only probe tells %s: %t, expected %t", name, !want, want)
		}
	}
	for _, name := range names() {
		if !(&options{}).tells(name) {
			t.Errorf("without -only, %s is not told", name)
		}
	}
}
