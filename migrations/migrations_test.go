package migrations_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/integration/fixture"
	"tidegate/migrations"
)

func TestMain(m *testing.M) { fixture.Main(m) }

// open opens a pool of at most conns connections.
func open(t *testing.T, url string, conns int32, change ...func(*pgxpool.Config)) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConns = conns
	for _, c := range change {
		c(config)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func exec(t *testing.T, pool *pgxpool.Pool, sql string) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// list is what a query of one column says.
func list(t *testing.T, pool *pgxpool.Pool, sql string) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return found
}

func up(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	applied, err := migrations.Up(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	return applied
}

func pending(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	missing, err := migrations.Pending(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	return missing
}

func names(t *testing.T) []string {
	t.Helper()
	steps, err := migrations.Steps()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for i, step := range steps {
		if step.Number != i+1 || !strings.HasPrefix(step.Name, fmt.Sprintf("%04d_", i+1)) {
			t.Errorf("migration %d is number %d, %s", i+1, step.Number, step.Name)
		}
		out = append(out, step.Name)
	}
	return out
}

// A pool of one connection is enough.
func TestUpFromEmpty(t *testing.T) {
	t.Parallel()
	pool := open(t, fixture.EmptyDatabase(t), 1)
	if missing := pending(t, pool); len(missing) == 0 {
		t.Error("nothing is pending on an empty database")
	}
	applied := up(t, pool)
	ours := names(t)
	if len(ours) == 0 || len(applied) <= len(ours) || !slices.Equal(applied[len(applied)-len(ours):], ours) {
		t.Errorf("applied %v; ours are %v, after River's", applied, ours)
	}
	for _, name := range applied[:len(applied)-len(ours)] {
		if !strings.HasPrefix(name, "river_0") {
			t.Errorf("%s is neither River's nor ours", name)
		}
	}
	if missing := pending(t, pool); len(missing) != 0 {
		t.Errorf("pending after Up: %v", missing)
	}
	if again := up(t, pool); len(again) != 0 {
		t.Errorf("a second Up applied %v", again)
	}
	if diff := cmp.Diff(ours, list(t, pool, "SELECT name FROM tidegate.migrations ORDER BY number")); diff != "" {
		t.Errorf("written down (-want +got):\n%s", diff)
	}
}

func TestPendingNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	pool := open(t, fixture.Database(t), 2)
	ours := names(t)
	last := ours[len(ours)-1]
	exec(t, pool, fmt.Sprintf("DELETE FROM tidegate.migrations WHERE number = %d", len(ours))) // it may be applied twice
	if diff := cmp.Diff([]string{last}, pending(t, pool)); diff != "" {
		t.Errorf("pending (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{last}, up(t, pool)); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
}

// An index that is made beside those who write is made in a step of its own, and anew
// where it was cut off in the making.
func TestIndexIsMadeBesideWriters(t *testing.T) {
	t.Parallel()
	pool := open(t, fixture.Database(t), 4)
	const index, number = "requests_single", 31
	exec(t, pool, "DROP INDEX tidegate."+index)
	exec(t, pool, fmt.Sprintf("DELETE FROM tidegate.migrations WHERE number >= %d", number))
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const insert = "INSERT INTO tidegate.requests (id, tenant, route, body) VALUES (gen_random_uuid(), 'acme', 'summaries', '{}')"
	if _, err := tx.Exec(t.Context(), insert); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() {
		_, err := migrations.Up(ctx, pool)
		done <- err
	}()
	fixture.Await(t, time.Minute, "it waits for the one who writes", func() bool {
		return len(list(t, pool, "SELECT 'x' FROM pg_stat_progress_create_index WHERE datname = current_database() AND current_locker_pid <> 0")) == 1
	})
	exec(t, pool, insert) // nobody waits for it
	stop()
	if err := <-done; err == nil {
		t.Error("it was cut off, and says nothing")
	}
	fixture.Await(t, time.Minute, "Postgres has heard of it", func() bool {
		return len(list(t, pool, "SELECT 'x' FROM pg_stat_progress_create_index WHERE datname = current_database()")) == 0
	})
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	const valid = "SELECT indisvalid::text FROM pg_index WHERE indexrelid = 'tidegate.requests_single'::regclass"
	if got := list(t, pool, valid); !slices.Equal(got, []string{"false"}) {
		t.Fatalf("cut off, it is valid: %v", got)
	}
	up(t, pool)
	if got := list(t, pool, valid); !slices.Equal(got, []string{"true"}) {
		t.Errorf("made anew, it is valid: %v", got)
	}
}

// Many at once, some of them on one pool: one works, the others find it done.
func TestUpAtOnce(t *testing.T) {
	t.Parallel()
	url := fixture.EmptyDatabase(t)
	shared := open(t, url, 2)
	var mu sync.Mutex
	var applied []string
	var parts sync.WaitGroup
	for i := range 6 {
		pool := shared
		if i%2 == 0 {
			pool = open(t, url, 2)
		}
		parts.Go(func() {
			some, err := migrations.Up(t.Context(), pool)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if len(some) > 0 && len(applied) > 0 {
				t.Errorf("two have worked: %v and %v", applied, some)
			}
			applied = append(applied, some...)
		})
	}
	parts.Wait()
	if missing := pending(t, shared); len(missing) != 0 || len(applied) == 0 {
		t.Errorf("applied %v, pending %v", applied, missing)
	}
}

// Whoever waits for another migration can be told to give up, and leaves no lock.
func TestUpGivesUp(t *testing.T) {
	t.Parallel()
	url := fixture.EmptyDatabase(t)
	pool, holder := open(t, url, 2), open(t, url, 1)
	conn, err := holder.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "SELECT pg_advisory_lock(1953064037)"); err != nil { // "tide"
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := migrations.Up(ctx, pool); err == nil || ctx.Err() == nil {
		t.Errorf("it did not wait: %v", err)
	}
	if _, err := conn.Exec(t.Context(), "SELECT pg_advisory_unlock_all()"); err != nil {
		t.Fatal(err)
	}
	conn.Release()
	up(t, pool)
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	pool := open(t, fixture.Database(t), 2)
	exec(t, pool, "INSERT INTO tidegate.migrations (number, name) VALUES (99, '0099_from_the_future')")
	_, upErr := migrations.Up(t.Context(), pool)
	_, pendingErr := migrations.Pending(t.Context(), pool)
	for _, err := range []error{upErr, pendingErr} {
		if err == nil || !strings.Contains(err.Error(), "migration 99") || !strings.Contains(err.Error(), "newer tidegate") {
			t.Errorf("it says %v", err)
		}
	}
}

// What somebody else keeps in a schema of our name is seen before anything is
// done, and not in the middle.
func TestForeignSchemaIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"requests", "migrations"} {
		pool := open(t, fixture.EmptyDatabase(t), 2)
		exec(t, pool, "CREATE SCHEMA tidegate; CREATE TABLE tidegate."+table+" (mine int)")
		if _, err := migrations.Up(t.Context(), pool); err == nil || !strings.Contains(err.Error(), "not tidegate's ("+table+")") {
			t.Errorf("it says %v", err)
		}
		if left := list(t, pool, "SELECT relname FROM pg_class WHERE relnamespace = 'tidegate'::regnamespace"); len(left) != 1 {
			t.Errorf("the schema has %q now", left)
		}
		exec(t, pool, "DROP TABLE tidegate."+table)
		up(t, pool)
	}
}

func TestRiversIndexesAreGone(t *testing.T) {
	t.Parallel()
	pool := open(t, fixture.Database(t), 2)
	if found := list(t, pool, "SELECT indexname::text FROM pg_indexes WHERE schemaname = 'tidegate' AND indexdef LIKE '%USING gin%'"); len(found) != 0 {
		t.Errorf("there are GIN indexes: %v", found)
	}
	if found := list(t, pool, "SELECT indexname::text FROM pg_indexes WHERE schemaname = 'tidegate' AND tablename = 'river_job'"); len(found) == 0 {
		t.Error("this test looks at the wrong place: River has no index at all")
	}
}

// everything names what somebody made, outside of Postgres' own schemas.
const everything = `
SELECT nspname || '.' || kind || '.' || name FROM (
	SELECT relnamespace AS at, 'relation' AS kind, relname::text AS name FROM pg_class
	UNION ALL SELECT pronamespace, 'function', proname::text FROM pg_proc
	UNION ALL SELECT typnamespace, 'type', typname::text FROM pg_type
) made JOIN pg_namespace n ON n.oid = made.at
WHERE nspname NOT IN ('pg_catalog', 'information_schema') AND nspname !~ '^pg_toast|^pg_temp' AND %s ORDER BY 1`

// Bodies are compressed with lz4 where the server can, and a server that cannot is no
// reason to fail.
func TestBodiesAreCompressedFast(t *testing.T) {
	t.Parallel()
	pool := open(t, fixture.EmptyDatabase(t), 1)
	up(t, pool)
	can := list(t, pool, "SELECT unnest(enumvals) FROM pg_settings WHERE name = 'default_toast_compression'")
	want := []string{"requests.", "results."}
	if slices.Contains(can, "lz4") {
		want = []string{"requests.l", "results.l"}
	}
	got := list(t, pool, `SELECT c.relname || '.' || replace(a.attcompression::text, '\0', '') FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
		WHERE c.relnamespace = 'tidegate'::regnamespace AND c.relname IN ('requests', 'results') AND a.attname = 'body' ORDER BY 1`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("bodies (-want +got):\n%s", diff)
	}
}

// A producer's own tables, and its own River, are left alone.
func TestNothingOutsideOfOurSchema(t *testing.T) {
	t.Parallel()
	pool := open(t, fixture.EmptyDatabase(t), 2)
	exec(t, pool, "CREATE TABLE requests (mine text); CREATE TABLE river_job (mine text); CREATE TABLE river_migration (mine text)")
	outside := fmt.Sprintf(everything, "nspname <> 'tidegate'")
	before := list(t, pool, outside)
	if len(before) == 0 {
		t.Fatal("this test does not see the tables that it made")
	}
	up(t, pool)
	if diff := cmp.Diff(before, list(t, pool, outside)); diff != "" {
		t.Errorf("outside of our schema (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"tidegate"}, list(t, pool, "SELECT nspname::text FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema$|^public$'")); diff != "" {
		t.Errorf("schemas (-want +got):\n%s", diff)
	}
}

// For a role named tidegate, "$user" in the search_path is our schema: what is
// meant for it must not depend on that, nor what is not.
func TestAnyRoleMakesTheSame(t *testing.T) {
	t.Parallel()
	var made [][]string
	for _, name := range []string{"tidegate", "tidegate_somebody"} {
		role(t, name)
		url := fixture.EmptyDatabase(t)
		super := open(t, url, 1)
		exec(t, super, "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO "+name+"', current_database()); END $$")
		pool := open(t, url, 2, func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["role"] = name })
		applied := up(t, pool)
		if who := list(t, pool, "SELECT current_user || ' looks in ' || (current_schemas(false))[1]"); (who[0] == "tidegate looks in tidegate") != (name == "tidegate") {
			t.Errorf("this test is not what it says: %s", who)
		}
		if again := up(t, pool); len(applied) == 0 || len(again) != 0 || len(pending(t, pool)) != 0 {
			t.Errorf("%s: applied %v, then %v", name, applied, again)
		}
		made = append(made, list(t, super, fmt.Sprintf(everything, "true")))
	}
	if diff := cmp.Diff(made[0], made[1]); diff != "" {
		t.Errorf("made by tidegate (-) and by somebody (+):\n%s", diff)
	}
}

// role makes a role, for this test alone unless it was there.
func role(t *testing.T, name string) {
	t.Helper()
	url := fixture.Postgres(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context()) //nolint:errcheck // nothing is left to be lost
	_, err = conn.Exec(t.Context(), "CREATE ROLE "+name)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "42710" { // it is there
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // after the database that it has rights on
		conn, err := pgx.Connect(context.Background(), url)
		if err == nil {
			_, err = conn.Exec(context.Background(), "DROP ROLE "+name)
			err = errors.Join(err, conn.Close(context.Background()))
		}
		if err != nil {
			t.Error(err)
		}
	})
}
