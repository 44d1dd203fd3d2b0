package embedded

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// attributes of a process that is to run as this identity: a process group of
// its own, since the terminal's Ctrl-C must not reach a server before us, and
// the signal that it gets when we die.
func (who identity) attributes(orphaned syscall.Signal) *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: orphaned}
	switch {
	case who.namespace:
		attributes.Cloneflags = syscall.CLONE_NEWUSER
		attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: insideID, HostID: who.uid, Size: 1}}
		attributes.GidMappings = []syscall.SysProcIDMap{{ContainerID: insideID, HostID: who.gid, Size: 1}}
		attributes.Credential = &syscall.Credential{Uid: insideID, Gid: insideID, NoSetGroups: true}
	case who.uid != os.Geteuid():
		attributes.Credential = &syscall.Credential{Uid: uint32(who.uid), Gid: uint32(who.gid)}
	}
	return attributes
}

// insideID is what root is called in the namespace of its server: daemon's
// number, but any would do that is not zero.
const insideID = 1

// hasNamespaces tells that a user namespace is worth trying.
const hasNamespaces = true

// runsIn tells whether the process lives and works in the folder, as every
// server does in its data folder.
func runsIn(pid int, dir string) bool {
	where, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "cwd"))
	if err != nil {
		return false
	}
	real, err := filepath.EvalSymlinks(dir)
	return err == nil && where == real
}
