package embedded

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What temporary folders are called.
const (
	temporaryPrefix     = "tidegate-pg-"
	temporaryNATSPrefix = "tidegate-nats-"
)

const (
	memoryDir = "/dev/shm"
	roomy     = 1 << 30     // bytes that must be free for data to go to memory
	unclaimed = time.Minute // an empty folder of this age was left before it was locked

	// claimTries is how often a temporary folder is made: a sweeping neighbour may
	// take one before it is locked.
	claimTries = 3
)

// claimTemporary makes a folder that goes with Stop, in memory if there is
// room. What runs before that were killed have left was swept away first.
func claimTemporary(ctx context.Context) (*folder, error) {
	var failures []error
	for range claimTries {
		path, err := makeTemporary()
		if err == nil {
			var f *folder
			if f, err = claimPath(ctx, path); err == nil {
				f.temporary = true
				return f, nil
			}
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

func makeTemporary() (string, error) {
	if hasRoom(memoryDir) {
		if path, err := os.MkdirTemp(memoryDir, temporaryPrefix); err == nil {
			return path, nil
		}
	}
	return os.MkdirTemp("", temporaryPrefix)
}

func hasRoom(dir string) bool {
	var stat unix.Statfs_t
	err := unix.Statfs(dir, &stat)
	return err == nil && uint64(stat.Bavail)*uint64(stat.Bsize) >= roomy
}

// sweepAll sweeps wherever temporary folders are made. Every start does it, so
// that what a killed process left lasts until the next one at most.
func sweepAll() {
	sweep(os.TempDir())
	sweep(memoryDir)
}

// sweep removes the temporary folders of this user whose owner and server are
// both gone: nobody holds their locks.
func sweep(base string) {
	for prefix, locks := range map[string][]string{
		temporaryPrefix:     {ownerLock, serverLock},
		temporaryNATSPrefix: {natsLock},
	} {
		paths, err := filepath.Glob(filepath.Join(base, prefix+"*"))
		if err != nil {
			return // the temporary folder's own name is no pattern: nothing is swept there
		}
		for _, path := range paths {
			sweepOne(path, locks)
		}
	}
}

// sweepOne removes a folder while it holds all of its locks.
func sweepOne(path string, locks []string) {
	info, err := os.Lstat(path)
	if err != nil || !info.IsDir() || !ownedByUs(info) {
		return
	}
	if _, err := os.Stat(filepath.Join(path, locks[0])); err != nil {
		if time.Since(info.ModTime()) > unclaimed {
			_ = os.Remove(path) // an empty one only
		}
		return // being made
	}
	for _, name := range locks {
		lock, err := tryLock(filepath.Join(path, name))
		if err != nil {
			return // somebody lives there
		}
		defer unlock(lock)
	}
	_ = os.RemoveAll(path) // a later start tries again
	if socket := socketDir(path); socket != path {
		_ = os.RemoveAll(socket)
	}
}

func ownedByUs(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
