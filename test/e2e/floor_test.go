package main

import (
	"testing"
	"time"
)

// A target is longer where everything takes longer, and nowhere shorter.
func TestScaled(t *testing.T) {
	for floor, want := range map[time.Duration]time.Duration{
		0: 5 * time.Second, floorAtRest / 2: 5 * time.Second, floorAtRest: 5 * time.Second, 3 * floorAtRest: 15 * time.Second,
	} {
		if got := scaled(5*time.Second, floor); got != want {
			t.Errorf("at a floor of %s: %s, expected %s", floor, got, want)
		}
	}
}
