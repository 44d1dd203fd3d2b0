package embedded

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	temporaryPrefix = "tidegate-pg-"
	memoryDir       = "/dev/shm"
	roomy           = 1 << 30 // bytes that must be free for data to go to memory
)

// claimTemporary makes a folder that goes with Stop, in memory if there is
// room. What runs before that were killed have left is swept away first.
func claimTemporary(ctx context.Context) (*folder, error) {
	const tries = 3 // a sweeping neighbour may take a folder before it is locked
	var failures []error
	for range tries {
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
	sweep(os.TempDir())
	if hasRoom(memoryDir) {
		sweep(memoryDir)
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

// sweep removes the temporary folders whose owner and server are both gone.
func sweep(base string) {
	paths, err := filepath.Glob(filepath.Join(base, temporaryPrefix+"*"))
	if err != nil {
		return // the pattern is a constant
	}
	for _, path := range paths {
		if _, err := os.Stat(filepath.Join(path, ownerLock)); err != nil {
			continue // being made, or another user's
		}
		if owner, err := tryLock(filepath.Join(path, ownerLock)); err == nil {
			sweepOwned(path)
			unlock(owner)
		}
	}
}

func sweepOwned(path string) {
	if server, err := tryLock(filepath.Join(path, serverLock)); err == nil {
		_ = os.RemoveAll(path) // a later start tries again
		unlock(server)
	}
}
