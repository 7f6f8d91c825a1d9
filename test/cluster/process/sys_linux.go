package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// attributes lets an attached child die with the thread that started it, and gives every child a process
// group. A detached child gets a session, so that closing the terminal does not end it.
func attributes(detached bool) *syscall.SysProcAttr {
	if detached {
		return &syscall.SysProcAttr{Setsid: true}
	}
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// startTime reads field 22 of /proc/PID/stat (proc_pid_stat(5)). A zombie counts as ended: it only waits
// for a parent to take notice.
func startTime(pid int) (uint64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The command in field 2 is in parentheses and may hold blanks and parentheses itself.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return 0, fmt.Errorf("/proc/%d/stat: expected at least 22 fields, found %d", pid, len(fields)+2)
	}
	if state := string(fields[0]); state == "Z" || state == "X" {
		return 0, os.ErrProcessDone
	}
	return strconv.ParseUint(string(fields[19]), 10, 64)
}

func alive(pid int, started uint64) bool {
	if pid <= 0 {
		return false
	}
	now, err := startTime(pid)
	return err == nil && now == started
}
