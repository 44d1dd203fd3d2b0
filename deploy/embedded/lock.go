package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// errHeld is why a lock was not had: another process holds it.
var errHeld = errors.New("held by another process")

// tryLock takes the lock that a file stands for, and makes the file. It is
// given back when the file is closed here and in every process that inherited
// it. It returns errHeld if it is taken.
func tryLock(path string) (*os.File, error) {
	for {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, fmt.Errorf("opening a lock: %w", err)
		}
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil && isStill(file, path) {
			return file, nil
		}
		_ = file.Close() // nothing was written
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errHeld
		}
		if err != nil {
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
	}
}

// unlock gives a lock back at once, also if a process that is just being forked
// has a copy of the file.
func unlock(lock *os.File) {
	_ = syscall.Flock(int(lock.Fd()), syscall.LOCK_UN) // closing does it too
	_ = lock.Close()                                   // nothing is left to write
}

// isStill tells whether the path names the file that was opened: it may have
// been removed by the process that held the lock before.
func isStill(file *os.File, path string) bool {
	ours, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(ours, named)
}

// sign writes into a lock who holds it.
func sign(lock *os.File) error {
	if err := lock.Truncate(0); err != nil {
		return fmt.Errorf("signing a lock: %w", err)
	}
	if _, err := lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return fmt.Errorf("signing a lock: %w", err)
	}
	return nil
}

// holder says who holds a lock, as far as that is known.
func holder(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return "another process"
	}
	defer file.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(file, 32))
	pid := strings.TrimSpace(string(text))
	if err != nil || pid == "" {
		return "another process"
	}
	return "process " + pid
}

// take takes a lock and signs it; if it is held, the error is ErrInUse and says
// by whom and what can be done.
func take(dir, name string) (*os.File, error) {
	path := dir + "/" + name
	lock, err := tryLock(path)
	if errors.Is(err, errHeld) {
		return nil, fmt.Errorf("%w: %s, by %s: stop that one first, or use another folder", ErrInUse, dir, holder(path))
	}
	if err != nil {
		return nil, err
	}
	if err := sign(lock); err != nil {
		unlock(lock)
		return nil, err
	}
	return lock, nil
}

// Claim makes dir, if it is missing, and has it for this process alone until
// release is called or the process ends, however it ends. If another process has
// it, the error is ErrInUse and names that one. It may hold folders that are
// claimed by themselves, as those of Postgres and NATS are.
func Claim(dir string) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data folder: %w", err)
	}
	lock, err := take(dir, ownerLock)
	if err != nil {
		return nil, err
	}
	return func() { unlock(lock) }, nil
}

// WasClaimed tells whether somebody has, or had, dir by Claim, or as the folder of
// Postgres or NATS: their locks stay in it, also after a crash.
func WasClaimed(dir string) bool {
	for _, name := range []string{ownerLock, natsLock} {
		if info, err := os.Lstat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
			return true
		}
	}
	return false
}
