package bench

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"

	"tidegate/deploy/embedded"
	"tidegate/routing/simulator"
)

// A Ground is what all rows of a benchmark share. Its methods are safe for
// concurrent use, Close excepted.
type Ground struct {
	program   string
	dir       string
	postgres  *embedded.Postgres
	simulator *Process
	base      string // of the simulator, as in http://127.0.0.1:8090
}

// Open makes the folder and starts Postgres and the simulated providers. Whoever
// opened it must Close it.
func Open(ctx context.Context, program string, providers simulator.Config) (*Ground, error) {
	program, err := filepath.Abs(program)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("the built program: %w; run `make build` first", err)
	}
	g := &Ground{program: program}
	if g.dir, err = os.MkdirTemp("", "tidegate-bench-*"); err != nil {
		return nil, err
	}
	if err := errors.Join(g.startPostgres(ctx), g.simulate(ctx, providers)); err != nil {
		g.Close()
		return nil, err
	}
	return g, nil
}

// startPostgres starts a durable server. Checkpoints are by time alone, so that
// they fall on all rows alike.
func (g *Ground) startPostgres(ctx context.Context) (err error) {
	g.postgres, err = embedded.StartPostgres(ctx, embedded.PostgresConfig{
		Dir:      filepath.Join(g.dir, "postgres"),
		Settings: map[string]string{"max_wal_size": "8GB"},
		Announce: func(line string) { Say("%s", line) },
	})
	return err
}

// Close stops everything and removes the folder.
func (g *Ground) Close() {
	if g.simulator != nil {
		g.simulator.Stop()
	}
	if g.postgres != nil {
		if err := g.postgres.Stop(); err != nil {
			Say("%v", err)
		}
	}
	_ = os.RemoveAll(g.dir)
}

// CreateDatabase makes an empty database and returns its URL.
func (g *Ground) CreateDatabase(ctx context.Context, name string) (string, error) {
	admin, err := pgx.Connect(ctx, g.postgres.URL())
	if err != nil {
		return "", fmt.Errorf("connecting to make a database: %w", err)
	}
	defer func() { _ = admin.Close(ctx) }()
	if _, err := admin.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return "", fmt.Errorf("making the database %s: %w", name, err)
	}
	at, err := url.Parse(g.postgres.URL())
	if err != nil {
		return "", err
	}
	at.Path = "/" + name
	return at.String(), nil
}
