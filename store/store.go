package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/jobs"
)

// ErrNotFound says that there is no such request or batch.
var ErrNotFound = errors.New("not found")

// ErrURL says that the URL of Postgres cannot be read: there is no server to
// look for yet.
var ErrURL = errors.New("reading the Postgres URL")

// A Store reads and writes tidegate's tables.
type Store struct {
	pool   *pgxpool.Pool
	now    func() time.Time
	counts counts // of what waits, that it made itself
}

// New returns a Store on pool, whose database must have been migrated.
func New(pool *pgxpool.Pool) *Store { return &Store{pool: pool, now: time.Now} }

// OnClock returns the Store with another clock: this machine's, by which its
// callers give and take all times. nil is time.Now.
func (s *Store) OnClock(now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{pool: s.pool, now: now}
}

// Connect opens a pool on the server at a URL, of at most conns connections (zero: what pgx or the URL
// says) and makes sure that a server answers within five seconds. Its errors
// name the host and what to do, and never the password; ErrURL is one.
func Connect(ctx context.Context, at string, conns int) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(at)
	if err != nil {
		return nil, unreadable(at, err)
	}
	if misplaced(at) {
		return nil, unreadable(at, nil)
	}
	if conns > 0 {
		config.MaxConns = int32(min(conns, 1<<15))
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "tidegate"
	}
	config.AfterConnect = uncompiled
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("opening a pool of Postgres connections: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := pool.Ping(limited); err != nil {
		pool.Close()
		if ctx.Err() != nil { // which says nothing of the server
			return nil, fmt.Errorf("connecting to Postgres: %w", ctx.Err())
		}
		return nil, unreachable(config.ConnConfig, err)
	}
	return pool, nil
}

const connectTimeout = 5 * time.Second

// uncompiled has a server that compiles what it thinks is dear run it as it is: of a
// statement that hops through indexes Postgres thinks too much, and then takes a third of a
// second of a core to compile what runs in a millisecond. It is said when the connection is
// there, not while it is made: a pooler lets no such parameter in. A server that cannot
// compile need not be told.
func uncompiled(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "/* tidegate: compile nothing */ SET jit = off", pgx.QueryExecModeSimpleProtocol)
	if refused := new(pgconn.PgError); errors.As(err, &refused) {
		return nil
	}
	return err
}

const connectForm = "it must look like postgres://USER:PASSWORD@HOST:5432/DATABASE, with special characters of the password percent-encoded"

// unreadable says what is wrong with a URL without a word of the URL: where a
// stray character made a part of the password look like something else, nobody
// can tell any more which part that is. err is pgx's, and may be nil.
func unreadable(at string, err error) error {
	fault := jobs.URLFault(at, "postgres", "postgresql")
	if err != nil && strings.Contains(err.Error(), "sslmode is invalid") { // the one reason that is often met in a URL of the right form
		fault = "sslmode must be disable, allow, prefer, require, verify-ca or verify-full"
	}
	if fault != "" {
		return fmt.Errorf("%w: %s; %s", ErrURL, fault, connectForm)
	}
	return fmt.Errorf("%w: %s", ErrURL, connectForm)
}

// misplaced tells whether a URL has an @ where only a password that was not
// encoded can have put it: errors that name the database would show the rest.
func misplaced(at string) bool {
	parsed, err := url.Parse(at)
	return err == nil && parsed.User == nil && strings.Contains(parsed.Path+parsed.Fragment, "@")
}

// inOne leaves out of pgx's error what it says twice: it tries with TLS and
// without, and lists both.
func inOne(err error) error {
	var tried interface{ Unwrap() []error }
	if !errors.As(err, &tried) {
		return err
	}
	all := tried.Unwrap()
	differs := func(other error) bool { return other.Error() != all[0].Error() }
	if len(all) == 0 || slices.ContainsFunc(all, differs) {
		return err
	}
	return all[0]
}

// unreachable tells a server that refuses from one that is not there.
func unreachable(config *pgx.ConnConfig, err error) error {
	where := fmt.Sprintf("%s:%d (database %q, user %q)", config.Host, config.Port, config.Database, config.User)
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return fmt.Errorf("the Postgres at %s refuses: %w; correct the URL, or create what it names", where, err)
	}
	return fmt.Errorf("no Postgres answers at %s: %w; start it, or name another with DATABASE_URL", where, inOne(err))
}

// parseID reads a request's id.
func parseID(id string) (uuid.UUID, error) {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return uuid.Nil, fmt.Errorf("%q is not the id of a request: %w", id, ErrNotFound)
	}
	return parsed, nil
}

func parseIDs(ids []string) ([][16]byte, error) {
	parsed := make([][16]byte, len(ids)) // which pgx sends as they are
	for i, id := range ids {
		var err error
		if parsed[i], err = parseID(id); err != nil {
			return nil, err
		}
	}
	return parsed, nil
}

// dataError tells whether what was given is at fault, so that it would be
// refused again: we could not lay it out, or Postgres will not have it (class 22
// and 23; 54: it is too large).
func dataError(err error) bool {
	if errors.Is(err, errUnfit) {
		return true
	}
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return false
	}
	class := refused.Code[:min(2, len(refused.Code))]
	return class == "22" || class == "23" || class == "54"
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
