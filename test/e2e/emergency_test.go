package main

import (
	"errors"
	"strings"
	"testing"
)

// A request without an answer is tried again once.
func TestAnswered(t *testing.T) {
	tries := 0
	got, err := answered(func() (bool, error) {
		if tries++; tries == 1 {
			return false, errors.New("too slow")
		}
		return true, nil
	})
	if err != nil || !got.allowed || got.unclear != 1 || tries != 2 {
		t.Errorf("%+v after %d tries, %v", got, tries, err)
	}
	if _, err := answered(func() (bool, error) { return false, errors.New("too slow") }); err == nil || !strings.Contains(err.Error(), "twice in a row: too slow") {
		t.Errorf("error %v", err)
	}
}
