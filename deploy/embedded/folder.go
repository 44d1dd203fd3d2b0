package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The locks of a folder: who has it, and whether a server lives in it.
const (
	ownerLock  = "tidegate.lock"
	serverLock = "postgres.lock"
)

// A folder is a data folder that this process has claimed.
type folder struct {
	path      string
	temporary bool
	owner     *os.File // nobody else has the folder while we hold it
	server    *os.File // held by the server's processes as well
}

// claim makes the folder ours, and waits for an earlier owner's server to end.
func claim(ctx context.Context, cfg PostgresConfig) (*folder, error) {
	sweepAll()
	if cfg.Dir == "" {
		if !cfg.Ephemeral {
			return nil, errors.New("starting a private PostgreSQL: no data folder was given")
		}
		return claimTemporary(ctx)
	}
	path, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("finding the data folder: %w", err)
	}
	if err := makePrivate(path); err != nil {
		return nil, err
	}
	return claimPath(ctx, path)
}

// makePrivate makes the folder. One that is there is taken as it is, unless
// others could put things into it: it may hold more than ours.
func makePrivate(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("making the data folder: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("looking at the data folder: %w", err)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("the data folder %s can be written by other users: run chmod go-w on it, or use another", path)
	}
	return nil
}

func claimPath(ctx context.Context, path string) (*folder, error) {
	owner, err := take(path, ownerLock)
	if err != nil {
		return nil, err
	}
	f := &folder{path: path, owner: owner}
	if f.server, err = f.awaitLastServer(ctx); err != nil {
		unlock(owner)
		return nil, err
	}
	return f, nil
}

const (
	orphanPoll    = 10 * time.Millisecond
	orphanGrace   = 2 * time.Second  // for a server that was told by the kernel
	orphanTimeout = 15 * time.Second // for one that we told
)

// awaitLastServer takes the lock that every process of a server holds. If the
// one before us was killed, its server may still be ending, or, where the kernel
// does not tell it, live on: then we tell it.
func (f *folder) awaitLastServer(ctx context.Context) (*os.File, error) {
	tick := time.NewTicker(orphanPoll)
	defer tick.Stop()
	tell, giveUp := time.After(orphanGrace), time.After(orphanTimeout)
	for {
		lock, err := tryLock(filepath.Join(f.path, serverLock))
		if !errors.Is(err, errHeld) {
			return lock, err
		}
		select {
		case <-tick.C:
		case <-tell:
			f.endOrphan()
		case <-giveUp:
			return nil, fmt.Errorf("%w: %s, by a PostgreSQL server that an earlier run left behind and that does not end: stop process %d", ErrInUse, f.path, readPidFile(f.data()).pid)
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for an earlier run's PostgreSQL to end: %w", ctx.Err())
		}
	}
}

func (f *folder) endOrphan() {
	if pid := readPidFile(f.data()).pid; pid > 1 && runsIn(pid, f.data()) {
		_ = syscall.Kill(pid, syscall.SIGINT) // an error: it has ended
	}
}

// release gives the folder back, and removes it if it was a temporary one.
func (f *folder) release() {
	if f.temporary {
		_ = os.RemoveAll(f.path) // what is left is swept by a later start
	}
	_ = f.server.Close() // not unlocked: a process of the server may be left
	unlock(f.owner)
}

func (f *folder) data() string { return filepath.Join(f.path, "data") }

// major is the major version that made the database, zero if there is none.
func (f *folder) major() (int, error) {
	if _, err := os.Stat(f.data()); errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	text, err := os.ReadFile(filepath.Join(f.data(), "PG_VERSION"))
	if err != nil {
		return 0, fmt.Errorf("%s is not a PostgreSQL database; move it away, or use another folder: %w", f.data(), err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("reading the version of %s: %w", f.data(), err)
	}
	return major, nil
}
