package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/store"
)

// A plain is tables as those of requests and of jobs, with the same indexes, into which
// rows are inserted and nothing else is done.
type plain struct {
	pool   *pgxpool.Pool
	insert string // $1 are ids, $2 bodies
}

// newPlain makes the tables, and takes what stands in their rows from the first request
// that is there. Whoever has it must close its pool.
func newPlain(ctx context.Context, url string, senders int) (*plain, error) {
	pool, err := store.Connect(ctx, url, senders)
	if err != nil {
		return nil, err
	}
	p := &plain{pool: pool}
	if err := p.prepare(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("making tables to insert into: %w", err)
	}
	return p, nil
}

func (p *plain) prepare(ctx context.Context) error {
	for _, table := range []string{"requests", "river_job"} {
		of := pgx.Identifier{"bench", table}.Sanitize()
		for _, statement := range []string{
			fmt.Sprintf("CREATE TABLE %s (LIKE tidegate.%s INCLUDING ALL)", of, table),
			fmt.Sprintf("CREATE TABLE bench.one_%s AS SELECT * FROM tidegate.%s LIMIT 1", table, table),
		} {
			if _, err := p.pool.Exec(ctx, statement); err != nil {
				return err
			}
		}
	}
	requests, err := p.columns(ctx, "requests", "id", "body")
	if err != nil {
		return err
	}
	queued, err := p.columns(ctx, "river_job", "id")
	if err != nil {
		return err
	}
	p.insert = fmt.Sprintf(`WITH request AS (
		INSERT INTO bench.requests (id, body, %[1]s) SELECT new.id, new.body, %[1]s FROM bench.one_requests, unnest($1::uuid[], $2::bytea[]) AS new (id, body) RETURNING 1)
		INSERT INTO bench.river_job (%[2]s) SELECT %[2]s FROM bench.one_river_job, unnest($1::uuid[])`, requests, queued)
	return nil
}

// columns are those of a table, but for some.
func (p *plain) columns(ctx context.Context, table string, but ...string) (string, error) {
	const query = `SELECT quote_ident(attname) FROM pg_attribute
		WHERE attrelid = ('tidegate.' || $1)::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attname <> ALL ($2) ORDER BY attnum`
	rows, err := p.pool.Query(ctx, query, table, but)
	if err != nil {
		return "", err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return strings.Join(names, ", "), err
}

// many inserts so many rows of each table in one statement, which is a transaction.
func (p *plain) many(of plan, each int) call {
	return func(ctx context.Context, n int64) error {
		ids, bodies := make([]uuid.UUID, each), make([][]byte, each)
		for i := range ids {
			id, err := uuid.NewV7()
			if err != nil {
				return err
			}
			ids[i], bodies[i] = id, []byte(of.body(n*int64(each)+int64(i)))
		}
		_, err := p.pool.Exec(ctx, p.insert, ids, bodies)
		return err
	}
}
