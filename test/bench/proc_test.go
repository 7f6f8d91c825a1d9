package main

import (
	"os"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	for _, tc := range []struct {
		name string
		line string
		want float64
	}{
		{"plain", "7 (etcd) S 1 7 7 0 -1 4194560 100 0 0 0 1234 66 0 0 20 0 9 0 1000 1 2", 13},
		{"brackets and spaces in the name", "7 (a) b (c d) S 1 7 7 0 -1 4194560 100 0 0 0 100 50 0 0 20 0 9 0 1000 1 2", 1.5},
	} {
		if got, err := parseStat(tc.line); err != nil || got != tc.want {
			t.Errorf("%s: %v s, error %v; expected %v", tc.name, got, err, tc.want)
		}
	}
	for _, line := range []string{"", "7 (etcd) S 1 7", "7 (etcd) S 1 7 7 0 -1 4194560 100 0 0 0 x 66 0"} {
		if got, err := parseStat(line); err == nil {
			t.Errorf("%q: %v s; expected an error", line, got)
		}
	}
}

func TestParseMachineTime(t *testing.T) {
	got, err := parseMachineTime("cpu  100 200 300 4000 500 60 70 80 9000 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n")
	want := machineTime{all: 53.1, busy: 8.1} // neither idle nor waiting; guests are part of user time
	if err != nil || diff(got.all, want.all) > 1e-9 || diff(got.busy, want.busy) > 1e-9 {
		t.Errorf("%+v, error %v; expected %+v", got, err, want)
	}
	for _, text := range []string{"", "cpu 1 2 3", "intr 1 2 3 4 5 6 7 8", "cpu a 2 3 4 5 6 7 8"} {
		if got, err := parseMachineTime(text); err == nil {
			t.Errorf("%q: %+v; expected an error", text, got)
		}
	}
}

func diff(a, b float64) float64 { return max(a-b, b-a) }

func TestParseMemory(t *testing.T) {
	got, err := parseMemory("Name:\tmanager\nVmHWM:\t  102400 kB\nVmRSS:\t   51200 kB\nRssAnon:\t   25600 kB\nThreads:\t9\n")
	if want := (memory{Resident: 50, Peak: 100, Anonymous: 25}); err != nil || got != want {
		t.Errorf("%+v, error %v; expected %+v", got, err, want)
	}
	for _, text := range []string{"", "VmRSS: 1 kB\nVmHWM: 1 kB\n", "VmRSS: x kB\nVmHWM: 1 kB\nRssAnon: 1 kB\n"} {
		if got, err := parseMemory(text); err == nil {
			t.Errorf("%q: %+v; expected an error", text, got)
		}
	}
}

// The kernel's real files have the form the parsers expect, and CPU time grows.
func TestThisProcess(t *testing.T) {
	w := newStopwatch()
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); time.Since(began) < 100*time.Millisecond; {
		// burn
	}
	s, err := w.lap()
	if err != nil {
		t.Fatal(err)
	}
	if cpu := s.CPU[processBench]; cpu <= 0 || cpu > 10*s.Seconds*100 {
		t.Errorf("%v s of CPU time in %v s; expected some", cpu, s.Seconds)
	}
	m, err := processMemory(os.Getpid())
	if err != nil || m.Resident <= 0 || m.Peak < m.Resident || m.Anonymous > m.Resident {
		t.Errorf("%+v, error %v; expected memory in use, at most the peak", m, err)
	}
}

func TestReadingSince(t *testing.T) {
	began := time.Now()
	before := reading{at: began, process: map[string]float64{"etcd": 1}, machine: machineTime{all: 100, busy: 50}}
	after := reading{at: began.Add(5 * time.Second), process: map[string]float64{"etcd": 3, "operator": 1}, machine: machineTime{all: 110, busy: 57}}
	s := after.since(before)
	if s.Seconds != 5 || s.CPU["etcd"] != 2 || s.CPU["operator"] != 1 || diff(s.Foreign, 0.4) > 1e-9 {
		t.Errorf("%+v; expected 5 s, etcd 2, operator 1, and 4 of 10 s taken by others", s)
	}
	after.machine = machineTime{all: 110, busy: 52} // clocks of processes and machine are not read at the same moment
	if s := after.since(before); s.Foreign != 0 {
		t.Errorf("others took %v; expected 0, never less", s.Foreign)
	}
}

func TestShare(t *testing.T) {
	s := span{CPU: map[string]float64{"kube-apiserver": 6, "etcd": 1, "operator": 1, "kube-controller-manager": 100, "bench": 100}}
	if got := s.share("operator"); got != 0.125 {
		t.Errorf("share %v; expected 1 of 8, without the controller manager and this program", got)
	}
}
