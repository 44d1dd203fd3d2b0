package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestPostgresKeepsItsData(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(roomyDir(t), "new", "folder")
	first := startIn(t, PostgresConfig{Dir: dir})
	ask(t, first, "CREATE TABLE kept (what text); INSERT INTO kept VALUES ('all')")
	stop(t, first)
	if _, err := query(t.Context(), first, "SELECT 1"); err == nil {
		t.Error("the server answers after Stop")
	}
	var said []string
	second := startIn(t, PostgresConfig{Dir: dir, Announce: func(line string) { said = append(said, line) }})
	if got := ask(t, second, "SELECT what FROM kept"); got != "all" {
		t.Errorf("after a restart, the table holds %q", got)
	}
	if len(said) > 0 {
		t.Errorf("a start that takes no while says %q", said)
	}
}

func TestPostgresIsPrivateAndDurable(t *testing.T) {
	t.Parallel()
	p := startIn(t, PostgresConfig{Dir: filepath.Join(roomyDir(t), "pg")})
	for setting, want := range map[string]string{
		"listen_addresses": "", "unix_socket_permissions": "0700", "fsync": "on",
		"full_page_writes": "on", "synchronous_commit": "on", "max_connections": "200",
		"server_encoding": "UTF8", "TimeZone": "UTC", "jit": "off",
	} {
		if got := ask(t, p, "SHOW "+setting); got != want {
			t.Errorf("%s is %q, not %q", setting, got, want)
		}
	}
	for _, path := range []string{p.Dir(), p.site.data()} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
	group, err := syscall.Getpgid(p.server.pid())
	if err != nil || group != p.server.pid() {
		t.Errorf("the server is in process group %d (%v): Ctrl-C would reach it", group, err)
	}
}

func TestEphemeralLeavesNothing(t *testing.T) {
	t.Parallel()
	p := startIn(t, PostgresConfig{Ephemeral: true})
	for setting, want := range map[string]string{"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"} {
		if got := ask(t, p, "SHOW "+setting); got != want {
			t.Errorf("%s is %q, not %q", setting, got, want)
		}
	}
	if memory := hasRoom(memoryDir); memory != strings.HasPrefix(p.Dir(), memoryDir+"/") {
		t.Errorf("there is room in memory: %v; the data is in %s", memory, p.Dir())
	}
	stop(t, p)
	if _, err := os.Stat(p.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Stop, %s is still there (%v)", p.Dir(), err)
	}
}

func TestSettingsWinButNotOverPrivacy(t *testing.T) {
	t.Parallel()
	p := startIn(t, PostgresConfig{Ephemeral: true, Settings: map[string]string{
		"work_mem": "7MB", "fsync": "on", "listen_addresses": "*", "port": "1",
	}})
	for setting, want := range map[string]string{"work_mem": "7MB", "fsync": "on", "listen_addresses": "", "port": "5432"} {
		if got := ask(t, p, "SHOW "+setting); got != want {
			t.Errorf("%s is %q, not %q", setting, got, want)
		}
	}
}

func TestEnvironmentDoesNotReachTheServer(t *testing.T) { // not parallel: it sets the environment
	t.Setenv("PGPORT", "1")
	t.Setenv("PGDATA", "/nowhere")
	t.Setenv("PGOPTIONS", "")
	t.Setenv("SOME_API_KEY", "sk-canary")
	p := startIn(t, PostgresConfig{Ephemeral: true})
	if got := ask(t, p, "SELECT current_user"); got != role {
		t.Errorf("connected as %q", got)
	}
	for _, entry := range p.server.cmd.Env {
		if strings.Contains(entry, "canary") {
			t.Errorf("the server was given %s", entry)
		}
	}
}

func TestSecondStartIsRefused(t *testing.T) {
	t.Parallel()
	p := startIn(t, PostgresConfig{Dir: filepath.Join(roomyDir(t), "pg"), Ephemeral: true})
	_, err := StartPostgres(t.Context(), PostgresConfig{Dir: p.Dir()})
	if !errors.Is(err, ErrInUse) {
		t.Fatalf("a second start: %v", err)
	}
	for _, want := range []string{p.Dir(), fmt.Sprintf("process %d", os.Getpid()), "another folder"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if got := ask(t, p, "SELECT 1"); got != "1" {
		t.Errorf("the first server answers %q", got)
	}
}

func TestStopIsSafeToRepeat(t *testing.T) {
	t.Parallel()
	p := startIn(t, PostgresConfig{Ephemeral: true})
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if err := p.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	<-p.Done()
}

func TestServerThatDiesIsNoticed(t *testing.T) {
	t.Parallel()
	p := startIn(t, PostgresConfig{Ephemeral: true})
	if err := syscall.Kill(p.server.pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if err := p.Stop(); err == nil {
		t.Error("Stop does not say that the server was killed")
	}
}

func TestStartSaysWhatTheServerSays(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(roomyDir(t), "pg")
	stop(t, startIn(t, PostgresConfig{Dir: dir, Ephemeral: true}))
	_, err := StartPostgres(t.Context(), PostgresConfig{Dir: dir, Settings: map[string]string{"shared_buffers": "a lot"}})
	if err == nil || !strings.Contains(err.Error(), `"shared_buffers"`) || strings.Contains(err.Error(), "ready to accept") {
		t.Errorf("a setting that cannot be: %v", err)
	}
	startIn(t, PostgresConfig{Dir: dir, Ephemeral: true}) // and the folder is free again
}

func TestCancelledStartLeavesNothingRunning(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(roomyDir(t), "pg")
	ctx, cancel := context.WithCancel(t.Context())
	_, err := StartPostgres(ctx, PostgresConfig{Dir: dir, Announce: func(string) { cancel() }}) // initdb is next
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("a start that was cancelled: %v", err)
	}
	startIn(t, PostgresConfig{Dir: dir, Ephemeral: true})
}

func TestLongPathsAndOddNames(t *testing.T) {
	t.Parallel()
	for name, folder := range map[string]string{
		"long": strings.Repeat("deep/", 30) + "pg",
		"odd":  "a b+c&d%20é?\"q\"",
		"list": "one,two",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startIn(t, PostgresConfig{Dir: filepath.Join(roomyDir(t), folder), Ephemeral: true})
			if got := ask(t, p, "SELECT 1"); got != "1" {
				t.Errorf("the server answers %q", got)
			}
			socket := p.site.socket
			info, err := os.Stat(socket)
			if err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("the folder of the socket: %v %v", info, err)
			}
			stop(t, p)
			if _, err := os.Stat(socket); socket != p.Dir() && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("after Stop, %s is still there (%v)", socket, err)
			}
		})
	}
}

func TestTrapInsteadOfSocketFolderIsRefused(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep/", 30)+"pg")
	trap := socketDir(dir)
	if err := os.Symlink(t.TempDir(), trap); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(trap) }) // it may be gone
	_, err := StartPostgres(t.Context(), PostgresConfig{Dir: dir, Ephemeral: true})
	if err == nil || !strings.Contains(err.Error(), trap) {
		t.Errorf("a link where the socket's folder belongs: %v", err)
	}
}
