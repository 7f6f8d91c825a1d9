package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// ticks is how many times a second the kernel counts CPU time for /proc: 100 on every Linux (proc(5), USER_HZ).
const ticks = 100

// processTime is the CPU time a process has used so far, in seconds.
func processTime(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStat(string(text))
}

// parseStat reads fields 14 and 15 of /proc/<pid>/stat, user and system time. The second field, the program's name in
// brackets, may hold spaces and brackets.
func parseStat(text string) (float64, error) {
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("expected a line of /proc/<pid>/stat, found %q", text)
	}
	sum := 0.0
	for _, field := range fields[11:13] {
		n, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("expected CPU time in /proc/<pid>/stat: %w", err)
		}
		sum += float64(n) / ticks
	}
	return sum, nil
}

// machineTime is the CPU time of all cores since the machine started, in seconds.
type machineTime struct{ all, busy float64 }

func readMachineTime() (machineTime, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return machineTime{}, err
	}
	return parseMachineTime(string(text))
}

// parseMachineTime reads the first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal. Stolen
// time counts as busy: this machine did not have it.
func parseMachineTime(text string) (machineTime, error) {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return machineTime{}, fmt.Errorf("expected the line cpu of /proc/stat, found %q", line)
	}
	var m machineTime
	for i, field := range fields[1:9] {
		n, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return m, fmt.Errorf("expected CPU times in /proc/stat: %w", err)
		}
		m.all += float64(n) / ticks
		if idle := i == 3 || i == 4; !idle {
			m.busy += float64(n) / ticks
		}
	}
	return m, nil
}

// memory of a process, in MiB.
type memory struct {
	// Resident now (VmRSS).
	Resident float64 `json:"residentMiB"`
	// Peak of it since the start (VmHWM).
	Peak float64 `json:"peakMiB"`
	// Anonymous is the part that is not backed by a file (RssAnon): heap and stacks, without the program itself.
	Anonymous float64 `json:"anonymousMiB"`
}

func processMemory(pid int) (memory, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return memory{}, err
	}
	return parseMemory(string(text))
}

func parseMemory(text string) (memory, error) {
	var m memory
	want := map[string]*float64{"VmRSS": &m.Resident, "VmHWM": &m.Peak, "RssAnon": &m.Anonymous}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		into, ok := want[name]
		if !ok {
			continue
		}
		kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		if err != nil {
			return m, fmt.Errorf("expected %s of /proc/<pid>/status in kB: %w", name, err)
		}
		*into = kib / 1024
		delete(want, name)
	}
	if len(want) > 0 {
		return m, fmt.Errorf("expected VmRSS, VmHWM and RssAnon in /proc/<pid>/status, found %q", text)
	}
	return m, nil
}
