package bench

import "syscall"

// attributes put a process into a group of its own, since the terminal's Ctrl-C
// must not reach it before us, and let the kernel kill it when we die.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
