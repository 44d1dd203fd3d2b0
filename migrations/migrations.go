package migrations

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// Schema holds every table of tidegate and of its River.
const Schema = "tidegate"

// lockKey is the advisory lock under which migrations run: "tide" in ASCII.
const lockKey = 0x74696465

// askAgain is how often a migration asks whether another one is done.
const askAgain = 50 * time.Millisecond

//go:embed *.sql
var files embed.FS

// A Step is one migration of ours.
type Step struct {
	Number int
	Name   string // of its file, without the ending
	sql    string
}

// Steps lists our migrations in order.
func Steps() ([]Step, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("listing the migrations: %w", err)
	}
	var steps []Step
	for i, name := range names { // Glob sorts
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		number, err := strconv.Atoi(name[:min(4, len(name))])
		if err != nil || number != i+1 {
			return nil, fmt.Errorf("%s: migrations are numbered 0001, 0002, … without a gap", name)
		}
		steps = append(steps, Step{number, strings.TrimSuffix(name, path.Ext(name)), string(text)})
	}
	return steps, nil
}

// Up applies what is missing and returns the names of what it applied, none if
// the database was up to date. It needs one connection of pool, and one beside
// it, which holds the lock: when that one closes, so does the lock.
func Up(ctx context.Context, pool *pgxpool.Pool) ([]string, error) {
	conn, err := pgx.ConnectConfig(ctx, pool.Config().ConnConfig)
	if err != nil {
		return nil, fmt.Errorf("connecting to migrate: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is left to be lost
	if err := lock(ctx, conn); err != nil {
		return nil, fmt.Errorf("waiting for another migration: %w", err)
	}
	if err := checkOurs(ctx, conn); err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, prepare); err != nil {
		return nil, fmt.Errorf("creating the schema %s: %w", Schema, err)
	}
	applied, err := upRiver(ctx, pool)
	if err != nil {
		return applied, err
	}
	return upOurs(ctx, conn, applied)
}

// lock waits for other migrations. It asks again and again, since a statement that waits
// is one that CREATE INDEX CONCURRENTLY waits for in turn.
func lock(ctx context.Context, conn *pgx.Conn) error {
	ticker := time.NewTicker(askAgain)
	defer ticker.Stop()
	for {
		var ours bool
		if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", lockKey).Scan(&ours); err != nil || ours {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

const prepare = `
CREATE SCHEMA IF NOT EXISTS tidegate;
CREATE TABLE IF NOT EXISTS tidegate.migrations (
	number     int PRIMARY KEY,
	name       text NOT NULL,
	applied_at timestamptz NOT NULL DEFAULT now()
);`

const isBegun = `
SELECT EXISTS (SELECT FROM information_schema.columns WHERE table_schema = $1 AND table_name = 'migrations' AND column_name = 'number')`

const foreignTables = `
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
	AND NOT starts_with(c.relname::text, 'river_') AND NOT (c.relname = 'migrations' AND $2)
ORDER BY 1`

// checkOurs refuses a schema of the same name that somebody else has filled,
// before River's tables are in it. Where one of our migrations was applied, the
// schema is ours.
func checkOurs(ctx context.Context, conn *pgx.Conn) error {
	var begun bool
	if err := conn.QueryRow(ctx, isBegun, Schema).Scan(&begun); err != nil {
		return fmt.Errorf("looking for the schema %s: %w", Schema, err)
	}
	if begun {
		left, err := missing(ctx, conn)
		if steps, _ := Steps(); err != nil || len(left) < len(steps) {
			return err
		}
	}
	rows, err := conn.Query(ctx, foreignTables, Schema, begun)
	if err != nil {
		return fmt.Errorf("looking into the schema %s: %w", Schema, err)
	}
	foreign, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("looking into the schema %s: %w", Schema, err)
	}
	if len(foreign) > 0 {
		return fmt.Errorf("the schema %s has tables that are not tidegate's (%s): move them or use another database; nothing was changed", Schema, strings.Join(foreign, ", "))
	}
	return nil
}

func upRiver(ctx context.Context, pool *pgxpool.Pool) ([]string, error) {
	river, err := newRiver(pool)
	if err != nil {
		return nil, err
	}
	done, err := river.Migrate(ctx, rivermigrate.DirectionUp, nil)
	if err != nil {
		return nil, fmt.Errorf("migrating River's tables: %w", err)
	}
	var applied []string
	for _, version := range done.Versions {
		applied = append(applied, fmt.Sprintf("river_%03d_%s", version.Version, strings.ReplaceAll(version.Name, " ", "_")))
	}
	return applied, nil
}

func newRiver(pool *pgxpool.Pool) (*rivermigrate.Migrator[pgx.Tx], error) {
	river, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: Schema, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, fmt.Errorf("preparing River's migrations: %w", err)
	}
	return river, nil
}

func upOurs(ctx context.Context, conn *pgx.Conn, applied []string) ([]string, error) {
	missing, err := missing(ctx, conn)
	if err != nil {
		return applied, err
	}
	for _, step := range missing {
		if err := apply(ctx, conn, step); err != nil {
			return applied, err
		}
		applied = append(applied, step.Name)
	}
	return applied, nil
}

const writeDown = "INSERT INTO tidegate.migrations (number, name) VALUES ($1, $2)"

func apply(ctx context.Context, conn *pgx.Conn, step Step) error {
	var err error
	if index := step.concurrent(); index != "" {
		err = applyBeside(ctx, conn, step, index)
	} else {
		err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, step.sql); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, writeDown, step.Number, step.Name)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("migration %s: %w", step.Name, err)
	}
	return nil
}

var concurrently = regexp.MustCompile(`(?m)^CREATE INDEX CONCURRENTLY IF NOT EXISTS (\w+) `)

// concurrent names the index that a step makes beside those who write, which is all
// that it does; empty: it makes none.
func (s *Step) concurrent() string {
	if made := concurrently.FindStringSubmatch(s.sql); made != nil {
		return made[1]
	}
	return ""
}

const isInvalid = `
SELECT EXISTS (SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname = $1 AND c.relname = $2 AND NOT i.indisvalid)`

// applyBeside makes an index outside of a transaction. One that was cut off in the making
// is there and of no use, and is made anew.
func applyBeside(ctx context.Context, conn *pgx.Conn, step Step, index string) error {
	var invalid bool
	if err := conn.QueryRow(ctx, isInvalid, Schema, index).Scan(&invalid); err != nil {
		return err
	}
	if invalid {
		if _, err := conn.Exec(ctx, "DROP INDEX CONCURRENTLY IF EXISTS "+pgx.Identifier{Schema, index}.Sanitize()); err != nil {
			return err
		}
	}
	if _, err := conn.Exec(ctx, step.sql); err != nil {
		return err
	}
	_, err := conn.Exec(ctx, writeDown, step.Number, step.Name)
	return err
}

func missing(ctx context.Context, conn *pgx.Conn) ([]Step, error) {
	steps, err := Steps()
	if err != nil {
		return nil, err
	}
	var last int
	if err := conn.QueryRow(ctx, "SELECT coalesce(max(number), 0) FROM tidegate.migrations").Scan(&last); err != nil {
		return nil, fmt.Errorf("reading which migrations were applied: %w", err)
	}
	if last > len(steps) {
		return nil, fmt.Errorf("the database is at migration %d and this program knows %d: it was migrated by a newer tidegate; use that one", last, len(steps))
	}
	return steps[last:], nil
}

// Pending lists what Up would apply, without applying it.
func Pending(ctx context.Context, pool *pgxpool.Pool) ([]string, error) {
	river, err := newRiver(pool)
	if err != nil {
		return nil, err
	}
	valid, err := river.Validate(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("checking River's tables: %w", err)
	}
	pending := append([]string(nil), valid.Messages...)
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting to check migrations: %w", err)
	}
	defer conn.Release()
	var known bool
	if err := conn.QueryRow(ctx, "SELECT to_regclass('tidegate.migrations') IS NOT NULL").Scan(&known); err != nil {
		return nil, fmt.Errorf("looking for the schema %s: %w", Schema, err)
	}
	if !known {
		return append(pending, "all of tidegate's tables"), nil
	}
	steps, err := missing(ctx, conn.Conn())
	for _, step := range steps {
		pending = append(pending, step.Name)
	}
	return pending, err
}
