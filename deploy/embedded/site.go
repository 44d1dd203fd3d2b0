package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A site is a claimed folder together with the programs that are run there and
// the user that they run as.
type site struct {
	Installation
	folder *folder
	who    identity
	socket string // the folder of the socket
}

func newSite(ctx context.Context, cfg PostgresConfig, folder *folder, installation Installation) (*site, error) {
	who, err := chooseIdentity(ctx, cfg.identities, installation, folder.path)
	if err != nil {
		return nil, err
	}
	s := &site{Installation: installation, folder: folder, who: who, socket: socketDir(folder.path)}
	return s, who.ownAll(s.data())
}

func (s *site) data() string    { return s.folder.data() }
func (s *site) logFile() string { return filepath.Join(s.folder.path, "postgres.log") }

// command prepares a program of the installation: in our folder, as the user
// that the site is for, with the lock that tells whether any of them lives.
func (s *site) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.BinDir, program), args...)
	cmd.Dir = s.folder.path
	cmd.Env = environment()
	cmd.SysProcAttr = s.who.attributes(syscall.SIGINT)
	cmd.ExtraFiles = []*os.File{s.folder.server}
	return cmd
}

// environment is what the server may know: no key of a provider, and none of
// the variables by which PostgreSQL would let itself be configured.
func environment() []string {
	kept := []string{"LC_ALL=C", "TZ=UTC"}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		if value, ok := os.LookupEnv(name); ok {
			kept = append(kept, name+"="+value)
		}
	}
	return kept
}

// initialise makes the database if there is none. It is made under another
// name and renamed when it is whole, so that an interrupted start leaves nothing
// that looks like a database.
func (s *site) initialise(ctx context.Context, cfg PostgresConfig) error {
	if major, err := s.folder.major(); err != nil || major != 0 {
		return err
	}
	cfg.Announce(fmt.Sprintf("creating a private PostgreSQL %s database in %s", s.Version, s.folder.path))
	scratch := s.data() + ".new"
	if err := os.RemoveAll(scratch); err != nil {
		return fmt.Errorf("clearing away an interrupted start: %w", err)
	}
	args := []string{
		"--pgdata=" + scratch, "--username=" + role, "--auth=trust",
		"--encoding=UTF8", "--no-locale", "--no-instructions",
	}
	if cfg.Ephemeral {
		args = append(args, "--no-sync")
	}
	if err := s.runInitdb(ctx, args); err != nil {
		return err
	}
	if err := os.Rename(scratch, s.data()); err != nil {
		return fmt.Errorf("putting the new database in place: %w", err)
	}
	return nil
}

func (s *site) runInitdb(ctx context.Context, args []string) error {
	var said strings.Builder
	cmd := s.command("initdb", args...)
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.WaitDelay = time.Second
	initdb, err := spawn(cmd)
	if err != nil {
		return err
	}
	select {
	case <-initdb.ended:
	case <-ctx.Done():
		_ = initdb.end(atOnce)
		return fmt.Errorf("running initdb: %w", ctx.Err())
	}
	if err := initdb.outcome(); err != nil {
		return fmt.Errorf("running initdb: %w\n%s", err, strings.TrimSpace(said.String()))
	}
	return nil
}

// forgetLastServer removes the pid file of a server that was killed. PostgreSQL
// would refuse to start if that pid were another process's by now. We hold the
// locks, so the only server that can run here is one that was started by hand.
func (s *site) forgetLastServer() error {
	last := readPidFile(s.data())
	if last.pid == 0 {
		return nil
	}
	if runsIn(last.pid, s.data()) {
		return fmt.Errorf("%w: %s, by a PostgreSQL server that was not started by tidegate: stop process %d", ErrInUse, s.data(), last.pid)
	}
	err := os.Remove(filepath.Join(s.data(), pidFileName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the pid file of a server that is gone: %w", err)
	}
	return nil
}

// arguments of the server: the settings, and where its data and its socket are.
func (s *site) arguments(cfg PostgresConfig) []string {
	settings := map[string]string{
		"cluster_name":    "tidegate",
		"jit":             "off",    // compiling costs more than our queries
		"log_line_prefix": "%m %p ", // time and process
		"max_connections": "200",
		"max_wal_senders": "0", // nobody replicates a private server …
		"shared_buffers":  "128MB",
		"wal_compression": "on",
		"wal_level":       "minimal", // … so the log need not allow for it
	}
	if cfg.Ephemeral {
		maps.Copy(settings, map[string]string{
			"dynamic_shared_memory_type": "mmap", // in the folder, with which it goes
			"fsync":                      "off",
			"full_page_writes":           "off",
			"log_checkpoints":            "off",
			"synchronous_commit":         "off",
		})
	}
	maps.Copy(settings, cfg.Settings)
	maps.Copy(settings, map[string]string{ // what makes it private is not up for change
		"listen_addresses":        "",
		"port":                    port,
		"unix_socket_directories": `"` + strings.ReplaceAll(s.socket, `"`, `""`) + `"`, // a list
		"unix_socket_permissions": "0700",
	})
	args := []string{"-D", s.data()}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}
