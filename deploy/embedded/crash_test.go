package embedded

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestKilledOwnerLeavesNoServer(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(roomyDir(t), "pg")
	line, kill := otherOwner(t, dir, "ready")
	pid := atoi(t, strings.Fields(line)[1])
	if _, err := StartPostgres(t.Context(), PostgresConfig{Dir: dir}); !errors.Is(err, ErrInUse) {
		t.Fatalf("a start beside another process's server: %v", err)
	}
	if !runsIn(pid, filepath.Join(dir, "data")) {
		t.Fatalf("the server is not seen to run as %d", pid)
	}
	kill()
	p := startIn(t, PostgresConfig{Dir: dir}) // waits for the old one
	if runsIn(pid, p.site.data()) {
		t.Errorf("the server of a process that was killed still runs, as %d", pid)
	}
	if got := ask(t, p, "SELECT 1"); got != "1" {
		t.Errorf("the server answers %q", got)
	}
}

func TestInterruptedInitdbIsRepaired(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(roomyDir(t), "pg")
	_, kill := otherOwner(t, dir, "creating")
	await(t, "initdb is at work", func() bool {
		_, err := os.Stat(filepath.Join(dir, "data.new", "base", "1"))
		return err == nil
	})
	kill()
	if _, err := os.Stat(filepath.Join(dir, "data")); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("initdb was to be interrupted, but there is a database (%v)", err)
	}
	p := startIn(t, PostgresConfig{Dir: dir, Ephemeral: true})
	if got := ask(t, p, "SELECT 1"); got != "1" {
		t.Errorf("the server answers %q", got)
	}
}

// Where the kernel does not end a server with its owner, the next start does.
func TestOrphanIsEnded(t *testing.T) {
	t.Parallel()
	orphan := startIn(t, PostgresConfig{Dir: filepath.Join(roomyDir(t), "pg"), Ephemeral: true})
	if err := errors.Join(orphan.site.folder.owner.Close(), orphan.site.folder.server.Close()); err != nil {
		t.Fatal(err)
	}
	p := startIn(t, PostgresConfig{Dir: orphan.Dir(), Ephemeral: true})
	<-orphan.Done()
	if got := ask(t, p, "SELECT 1"); got != "1" {
		t.Errorf("the server answers %q", got)
	}
}

func TestServerStartedByHandIsLeftAlone(t *testing.T) {
	t.Parallel()
	p := startIn(t, PostgresConfig{Dir: filepath.Join(roomyDir(t), "pg"), Ephemeral: true})
	stop(t, p)
	cmd := exec.Command(filepath.Join(p.Installation().BinDir, "postgres"), "-D", p.site.data(), "-k", p.Dir(), "-c", "listen_addresses=")
	cmd.Env, cmd.SysProcAttr = environment(), p.site.who.attributes(syscall.SIGINT)
	byHand, err := spawn(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = byHand.end(politely) })
	await(t, "the server is up", func() bool { return readPidFile(p.site.data()).readyAs(byHand.pid()) })
	_, err = StartPostgres(t.Context(), PostgresConfig{Dir: p.Dir()})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), strconv.Itoa(byHand.pid())) {
		t.Errorf("a start where somebody runs a server by hand: %v", err)
	}
	if got := ask(t, p, "SELECT 1"); got != "1" {
		t.Errorf("that server answers %q", got)
	}
}

func TestPidOfAnotherProcessDoesNotMatter(t *testing.T) {
	t.Parallel()
	p := startIn(t, PostgresConfig{Dir: filepath.Join(roomyDir(t), "pg"), Ephemeral: true})
	stop(t, p)
	ours := strconv.Itoa(os.Getpid()) + "\n" + p.site.data() + "\n1\n5432\n\n\n\nready   \n"
	if err := os.WriteFile(filepath.Join(p.site.data(), pidFileName), []byte(ours), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.site.who.own(filepath.Join(p.site.data(), pidFileName)); err != nil {
		t.Fatal(err)
	}
	startIn(t, PostgresConfig{Dir: p.Dir(), Ephemeral: true})
}

func TestSweepTakesWhatWasAbandoned(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	for _, name := range []string{"abandoned", "held", "being-made"} {
		if err := os.Mkdir(filepath.Join(base, temporaryPrefix+name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	abandoned, err := take(filepath.Join(base, temporaryPrefix+"abandoned"), ownerLock)
	if err != nil {
		t.Fatal(err)
	}
	if err := abandoned.Close(); err != nil {
		t.Fatal(err)
	}
	held, err := take(filepath.Join(base, temporaryPrefix+"held"), ownerLock)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close() //nolint:errcheck // a lock
	sweep(base)
	left, err := filepath.Glob(filepath.Join(base, "*"))
	if err != nil || len(left) != 2 || !strings.HasSuffix(left[0], "being-made") || !strings.HasSuffix(left[1], "held") {
		t.Errorf("after a sweep: %v %v", left, err)
	}
}
