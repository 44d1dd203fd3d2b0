package app

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tidegate/cmd/app/config"
)

// A desk is a configuration in a folder of its own, and a reloader that looks at it
// when the test says so.
type desk struct {
	*testing.T
	*reloader
	dir   string
	said  *bytes.Buffer
	reads int
	taken []*config.Config
}

const (
	oldKey = "the-first-key-0001"
	newKey = "the-second-key-0002"
)

const deskConfig = `postgres: postgres://h/db
nats: nats://h
targets:
  - {name: a, provider: acme, model: m, base_url: https://h/v1, api_key_file: key, price: {input: 1, output: 2}}
  - {name: b, provider: acme, model: m, base_url: https://h/v1, api_key_file: key, price: {input: 1, output: 2}}
routes:
  - {name: r, chain: [a, b]}
`

func newDesk(t *testing.T) *desk {
	d := &desk{T: t, dir: t.TempDir(), said: &bytes.Buffer{}}
	d.write("tidegate.yaml", deskConfig)
	d.write("key", oldKey)
	d.begin()
	t.Cleanup(func() { d.says() })
	return d
}

// begin has what is there in effect.
func (d *desk) begin() {
	d.Helper()
	read := func(before *config.Config) config.Reading {
		d.reads++
		return config.Read(d.path("tidegate.yaml"), vars(), config.Known{Before: before})
	}
	first := read(nil)
	d.must(first.Err)
	d.reloader = &reloader{
		read: read, running: first.Config, files: first.Files, fixed: []string{"postgres", "nats", "worker"},
		take: func(c *config.Config) { d.taken = append(d.taken, c) }, log: zerolog.New(d.said),
	}
}

func (d *desk) path(name string) string { return filepath.Join(d.dir, name) }

func (d *desk) write(name, text string) {
	d.Helper()
	d.must(os.WriteFile(d.path(name), []byte(text), 0o600))
}

func (d *desk) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

// looks has the files looked at.
func (d *desk) looks(times int) {
	for range times {
		d.look()
	}
}

// says asserts what the log has said since the last time.
func (d *desk) says(lines ...string) {
	d.Helper()
	said := d.said.String()
	d.said.Reset()
	if strings.Contains(said, oldKey) || strings.Contains(said, newKey) {
		d.Errorf("the log shows a key:\n%s", said)
	}
	for _, line := range lines {
		if !strings.Contains(said, line) {
			d.Errorf("the log does not say %q:\n%s", line, said)
		}
	}
	if len(lines) == 0 && said != "" {
		d.Errorf("the log says\n%s", said)
	}
}

func (d *desk) took(n int) *config.Config {
	d.Helper()
	if len(d.taken) != n {
		d.Fatalf("%d configurations were taken, want %d:\n%s", len(d.taken), n, d.said)
	}
	if n == 0 {
		return nil
	}
	return d.taken[n-1]
}

func TestReloadOfAKeyFile(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.looks(2)
	d.took(0)
	d.write("key", newKey)
	d.looks(2)
	if got := d.took(1).Targets[1].APIKey.Reveal(); got != newKey {
		t.Errorf("the key is %q", got)
	}
	d.says("configuration taken: targets.a.api_key, targets.b.api_key")
	d.looks(2)
	d.took(1)
}

// A look tells nothing of a file that is still written: two that see the same do.
func TestReloadWaitsForTheLastWord(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, part := range []string{"t", "th", "the", oldKey, "the-"} {
		d.write("key", part)
		d.looks(1)
	}
	d.took(0)
	d.looks(1)
	if got := d.took(1).Targets[0].APIKey.Reveal(); got != "the-" {
		t.Errorf("the key is %q", got)
	}
	d.says("configuration taken")
}

// A file that is written on between the second look and its reading is half of one,
// and may well be a good configuration.
func TestReloadDoesNotReadHalfAFile(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	read, half := d.read, strings.Replace(deskConfig, "[a, b]", "[a]", 1)
	d.read = func(before *config.Config) config.Reading {
		d.write("tidegate.yaml", half)
		d.read = read
		return read(before)
	}
	d.write("tidegate.yaml", strings.Replace(deskConfig, "[a, b]", "[b, a]", 1))
	d.looks(2)
	d.took(0)
	d.says()
	d.write("tidegate.yaml", strings.Replace(deskConfig, "[a, b]", "[b, a]", 1)+"# whole\n")
	d.looks(2)
	if got := d.took(1).Routes[0].Chain; !slices.Equal(got, []string{"b", "a"}) {
		t.Errorf("the chain is %v", got)
	}
	d.says("configuration taken: routes.r.chain")
}

// Content is what counts: a file that is written or put in place again with what
// was there is not read.
func TestReloadOfTheSame(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.write("key", oldKey)
	d.must(os.Chtimes(d.path("tidegate.yaml"), time.Now(), time.Now().Add(time.Hour)))
	d.looks(3)
	if d.reads != 1 {
		t.Errorf("it was read %d times", d.reads)
	}
	d.says()
	d.write("tidegate.yaml", deskConfig+"# a remark\n")
	d.looks(2)
	d.took(0)
	d.says("there is nothing to take")
}

// Who says so need not wait for a second look.
func TestReloadOnHangup(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	hung, taken := make(chan os.Signal), make(chan *config.Config)
	d.hangups, d.take = hung, func(c *config.Config) { taken <- c }
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	d.write("key", newKey)
	err := d.beside(ctx, func(context.Context) error {
		hung <- syscall.SIGHUP
		if got := (<-taken).Targets[0].APIKey.Reveal(); got != newKey {
			t.Errorf("the key is %q", got)
		}
		return errors.New("it ends")
	})
	if err == nil || err.Error() != "it ends" {
		t.Errorf("what ran beside it says %v", err)
	}
	d.says("configuration taken")
}

// A Kubernetes secret is a link to a file below a link that is swapped.
func TestReloadThroughLinks(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.must(os.Remove(d.path("key")))
	for version, key := range map[string]string{"v1": oldKey, "v2": newKey} {
		d.must(os.Mkdir(d.path(version), 0o700))
		d.write(filepath.Join(version, "key"), key)
	}
	d.must(os.Symlink("v1", d.path("..data")))
	d.must(os.Symlink("..data/key", d.path("key")))
	d.begin()
	d.must(os.Symlink("v2", d.path("..next")))
	d.must(os.Rename(d.path("..next"), d.path("..data")))
	d.looks(2)
	if got := d.took(1).Targets[0].APIKey.Reveal(); got != newKey {
		t.Errorf("the key is %q", got)
	}
	d.says("configuration taken")
}

// A file that is broken, or gone, changes nothing; once it is good it is taken.
func TestReloadRefusesWhatIsBroken(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	broken := strings.Replace(deskConfig, "model: m", "model: \"\"", 1)
	d.write("tidegate.yaml", strings.Replace(broken, "chain: [a, b]", "chain: [c]", 1))
	d.looks(2)
	d.took(0)
	d.says("tidegate.yaml:4:31: targets[0].model: is empty", "tidegate.yaml:7:23: routes[0].chain[0]: there is no target", `"problems":2`, "the one of before stays")
	d.looks(2)
	d.says()
	d.must(os.Remove(d.path("key")))
	d.write("tidegate.yaml", strings.Replace(deskConfig, "[a, b]", "[b, a]", 1))
	d.looks(2)
	d.took(0)
	d.says("targets[0].api_key_file: ", "cannot be read as a key")
	for _, wrong := range []string{"", strings.Repeat(newKey, config.MaxKeyBytes), newKey + "\n" + newKey} {
		d.write("key", wrong)
		d.looks(2)
		d.says("the one of before stays")
		d.looks(2)
		d.says() // once is enough
	}
	d.took(0)
	d.write("key", newKey)
	d.looks(2)
	if got := d.took(1); got.Targets[0].APIKey.Reveal() != newKey || !slices.Equal(got.Routes[0].Chain, []string{"b", "a"}) {
		t.Errorf("it took %v", got)
	}
	d.says("configuration taken: targets.a.api_key, targets.b.api_key, routes.r.chain")
	d.must(os.Rename(d.path("tidegate.yaml"), d.path("away")))
	d.looks(2)
	d.says("no such file", "the one of before stays")
	d.must(os.Rename(d.path("away"), d.path("tidegate.yaml"))) // as editors do
	d.looks(2)
	d.took(1)
	d.says("there is nothing to take")
}

func TestReloadSaysWhatNeedsARestart(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	changed := strings.NewReplacer("postgres://h/db", "postgres://h/other", "nats://h", "nats://i", "name: r,", "name: s,", "input: 1", "input: 3").Replace(deskConfig)
	d.write("tidegate.yaml", changed+"worker: {concurrency: 7, hold_budget: 1m}\nlisten: 127.0.0.1:1\n")
	d.looks(2)
	took := d.took(1)
	d.says("postgres has changed, which needs a restart", "nats has changed, which needs a restart", "worker.concurrency has changed, which needs a restart",
		"worker.hold_budget has changed, which needs a restart", "routes.r is gone, which needs a restart", "routes.s is new, which needs a restart",
		"configuration taken: targets.a.price, targets.b.price")
	if len(took.Routes) != 1 || took.Routes[0].Name != "r" || took.Targets[0].Price.Input != 3 || took.Worker.Concurrency != config.DefaultConcurrency || took.Postgres.Reveal() != "postgres://h/db" {
		t.Errorf("it took %v", took)
	}
	d.reload()
	d.took(1)
	d.says("worker.concurrency has changed, which needs a restart", "there is nothing to take") // it is still so
}

// What concerns no command but the workers is good, or it is not.
func TestReloadOfACommandWithoutTargets(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.fixed, d.take = []string{"listen"}, nil
	d.write("tidegate.yaml", deskConfig+"listen: 127.0.0.1:1\nworker: {concurrency: 7}\n")
	d.reload()
	d.says("listen has changed, which needs a restart", "it is good")
	d.write("tidegate.yaml", deskConfig+"listen: 127.0.0.1:x\n")
	d.reload()
	d.says("tidegate.yaml:8:", "listen: the port", "the one of before stays")
}
