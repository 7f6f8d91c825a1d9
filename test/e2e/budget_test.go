package main

import (
	"testing"
	"time"
)

// A processor's time that went back, or that nobody measured anew, is no idleness.
func TestUsageSince(t *testing.T) {
	now := time.Now()
	was := usage{cpu: 2, at: now}
	if cores, err := (usage{cpu: 3, at: now.Add(10 * time.Second)}).since(was); err != nil || cores != 0.1 {
		t.Errorf("%v cores, %v", cores, err)
	}
	for _, u := range []usage{{cpu: 0.1, at: now.Add(time.Minute)}, {cpu: 2, at: now}, {}} {
		if cores, err := u.since(was); err == nil {
			t.Errorf("%+v: %v cores, expected an error", u, cores)
		}
	}
}
