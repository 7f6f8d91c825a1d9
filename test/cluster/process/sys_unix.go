//go:build unix && !linux

package process

import "syscall"

// attributes gives every child a process group. Only Linux can tie a child's life to this program's: after
// a SIGKILL of this program elsewhere, its children have to be stopped by hand.
func attributes(detached bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: !detached, Setsid: detached}
}

func startTime(int) (uint64, error) { return 0, nil }

func alive(pid int, _ uint64) bool { return pid > 0 && syscall.Kill(pid, 0) == nil }
