//go:build !linux

package embedded

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// attributes of a process that is to run as this identity: a process group of
// its own, since the terminal's Ctrl-C must not reach a server before us. There
// is no signal here for when we die: the next start ends what is left.
func (who identity) attributes(syscall.Signal) *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setpgid: true}
	if who.uid != os.Geteuid() {
		attributes.Credential = &syscall.Credential{Uid: uint32(who.uid), Gid: uint32(who.gid)}
	}
	return attributes
}

// hasNamespaces tells that there are no user namespaces.
const hasNamespaces = false

// runsIn tells whether the process lives and is a server with this data folder,
// going by its command line.
func runsIn(pid int, dir string) bool {
	line, err := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return false
	}
	real, err := filepath.EvalSymlinks(dir)
	return err == nil && (strings.Contains(string(line), dir) || strings.Contains(string(line), real))
}
