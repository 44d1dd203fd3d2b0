package embedded

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
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

// A folder is swept if all of its locks are free, and never while one is held.
func TestSweepTakesWhatWasAbandoned(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	folder := func(name string, locks ...string) string {
		path := filepath.Join(base, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, lock := range locks {
			write(t, path, lock, "1\n")
		}
		return path
	}
	hold := func(path, name string) {
		lock, err := take(path, name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unlock(lock) })
	}
	folder(temporaryPrefix+"abandoned", ownerLock, serverLock)
	folder(temporaryNATSPrefix+"abandoned", natsLock)
	old := folder(temporaryNATSPrefix + "never-claimed")
	if err := os.Chtimes(old, time.Time{}, time.Now().Add(-2*unclaimed)); err != nil {
		t.Fatal(err)
	}
	kept := []string{
		folder("somebody-elses", ownerLock, natsLock),
		folder(temporaryNATSPrefix + "being-made"),
		folder(temporaryNATSPrefix+"held", natsLock),
		folder(temporaryPrefix + "being-made"),
		folder(temporaryPrefix+"held", ownerLock, serverLock),
		folder(temporaryPrefix+"with-a-server", ownerLock, serverLock),
	}
	hold(kept[2], natsLock)
	hold(kept[4], ownerLock)
	hold(kept[5], serverLock)
	sweep(base)
	left, err := filepath.Glob(filepath.Join(base, "*"))
	if err != nil || !slices.Equal(left, kept) {
		t.Errorf("after a sweep: %v %v", left, err)
	}
}

func TestClaimIsOneProcessAtATime(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "data")
	if WasClaimed(dir) {
		t.Error("it was claimed before it was there")
	}
	release, err := Claim(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Claim(dir); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "process "+strconv.Itoa(os.Getpid())) {
		t.Errorf("a second claim: %v", err)
	}
	release()
	if !WasClaimed(dir) {
		t.Error("nobody remembers that it was claimed")
	}
	again, err := Claim(dir)
	if err != nil {
		t.Fatal(err)
	}
	again()
}
