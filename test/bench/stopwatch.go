package main

import (
	"fmt"
	"maps"
	"os"
	"time"

	"github.com/hipaatenant/hipaa-tenant-operator/test/cluster"
)

// Names of processes that are not components of the cluster.
const (
	processOperator = "operator"
	processBench    = "bench"
)

// span is what an interval cost.
type span struct {
	Seconds float64 `json:"seconds"`
	// CPU time in seconds, by process: components of the cluster, operator, bench.
	CPU map[string]float64 `json:"cpuSeconds"`
	// Foreign is the part of the machine's CPU time that other programs took, 0 to 1.
	Foreign float64 `json:"foreign"`
}

// describe says how long it took and how fast that was.
func (s span) describe(writes int) string {
	return fmt.Sprintf("%.1f s, %.0f writes/s, %.0f %% of the CPU taken by others", s.Seconds, float64(writes)/s.Seconds, 100*s.Foreign)
}

// share of a process in the CPU time of API server, etcd and itself, 0 to 1.
func (s span) share(process string) float64 {
	return s.CPU[process] / s.total(process)
}

// total CPU time of API server, etcd and one more process.
func (s span) total(process string) float64 {
	return s.CPU[cluster.APIServer] + s.CPU[cluster.Etcd] + s.CPU[process]
}

// stopwatch measures spans.
type stopwatch struct {
	pids  func() map[string]int
	began reading
}

// reading is the state of all clocks at one moment. CPU times are in seconds.
type reading struct {
	at      time.Time
	process map[string]float64
	machine machineTime
}

// newStopwatch measures this program and what pids tells of at each reading.
func newStopwatch(pids ...func() map[string]int) *stopwatch {
	return &stopwatch{pids: func() map[string]int {
		all := map[string]int{processBench: os.Getpid()}
		for _, f := range pids {
			maps.Copy(all, f())
		}
		return all
	}}
}

func (w *stopwatch) start() (err error) {
	w.began, err = w.read()
	return err
}

// lap is the span since start.
func (w *stopwatch) lap() (span, error) {
	now, err := w.read()
	return now.since(w.began), err
}

func (w *stopwatch) read() (reading, error) {
	r := reading{process: map[string]float64{}}
	for name, pid := range w.pids() {
		t, err := processTime(pid)
		if err != nil {
			return r, err
		}
		r.process[name] = t
	}
	var err error
	r.machine, err = readMachineTime()
	r.at = time.Now()
	return r, err
}

// since is the span between two readings. A process that started in between counts from its start.
func (r reading) since(before reading) span {
	s := span{Seconds: r.at.Sub(before.at).Seconds(), CPU: map[string]float64{}}
	own := 0.0
	for name, t := range r.process {
		s.CPU[name] = t - before.process[name]
		own += s.CPU[name]
	}
	if all := r.machine.all - before.machine.all; all > 0 {
		s.Foreign = max(0, (r.machine.busy-before.machine.busy-own)/all)
	}
	return s
}
