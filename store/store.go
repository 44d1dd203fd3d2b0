package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/jobs"
)

// ErrNotFound says that there is no such request or batch.
var ErrNotFound = errors.New("not found")

// A Store reads and writes tidegate's tables.
type Store struct {
	pool *pgxpool.Pool
}

// New returns a Store on pool, whose database must have been migrated.
func New(pool *pgxpool.Pool) *Store { return &Store{pool: pool} }

// Connect opens a pool of at most conns connections (zero: what pgx or the URL
// says) and makes sure that a server answers within five seconds.
func Connect(ctx context.Context, url string, conns int) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("reading the Postgres URL: %w", err) // pgx leaves the password out
	}
	if conns > 0 {
		config.MaxConns = int32(min(conns, 1<<15))
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "tidegate"
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("opening a pool of Postgres connections: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("no Postgres answers at %s:%d (database %q, user %q): %w",
			config.ConnConfig.Host, config.ConnConfig.Port, config.ConnConfig.Database, config.ConnConfig.User, err)
	}
	return pool, nil
}

// parseID reads a request's id.
func parseID(id string) (uuid.UUID, error) {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return uuid.Nil, fmt.Errorf("%q is not the id of a request: %w", id, ErrNotFound)
	}
	return parsed, nil
}

func parseIDs(ids []string) ([]uuid.UUID, error) {
	parsed := make([]uuid.UUID, len(ids))
	for i, id := range ids {
		var err error
		if parsed[i], err = parseID(id); err != nil {
			return nil, err
		}
	}
	return parsed, nil
}

// dataError tells whether Postgres refused what it was given (class 22 or 23),
// so that the same rows would be refused again.
func dataError(err error) bool {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return false
	}
	class := refused.Code[:min(2, len(refused.Code))]
	return class == "22" || class == "23"
}

// orNull makes the zero value NULL.
func orNull[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}

// orZero makes NULL the zero value.
func orZero[T any](value *T) T {
	if value == nil {
		var zero T
		return zero
	}
	return *value
}

// noRows turns pgx's word for nothing into ours.
func noRows(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// micros is the money as the database keeps it.
func micros(m jobs.MicroUSD) int64 { return int64(m) }
