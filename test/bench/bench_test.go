package main

import (
	"errors"
	"testing"
	"time"
)

func TestQuietest(t *testing.T) {
	for _, tc := range []struct {
		name    string
		repeat  int
		foreign []float64
		want    float64
		calls   int
	}{
		{"quiet at once", 3, []float64{0.1, 0}, 0.1, 1},
		{"quiet the second time", 3, []float64{0.5, 0.05, 0}, 0.05, 2},
		{"never quiet", 2, []float64{0.5, 0.3, 0.4, 0}, 0.3, 3},
		{"no repetition", 0, []float64{0.5, 0}, 0.5, 1},
	} {
		calls := 0
		b := &bench{options: options{repeat: tc.repeat}, began: time.Now()}
		got, err := quietest(b, func() (float64, error) {
			calls++
			return tc.foreign[calls-1], nil
		}, func(f float64) float64 { return f })
		if err != nil || got != tc.want || calls != tc.calls {
			t.Errorf("%s: %v after %d calls, error %v; expected %v after %d", tc.name, got, calls, err, tc.want, tc.calls)
		}
	}
}

func TestQuietestEndsAtAnError(t *testing.T) {
	broken := errors.New("broken")
	for _, at := range []int{1, 2} {
		calls := 0
		_, err := quietest(&bench{options: options{repeat: 5}, began: time.Now()}, func() (float64, error) {
			if calls++; calls == at {
				return 1, broken
			}
			return 1, nil
		}, func(f float64) float64 { return f })
		if !errors.Is(err, broken) || calls != at {
			t.Errorf("%d calls, error %v; expected %d and the error", calls, err, at)
		}
	}
}
