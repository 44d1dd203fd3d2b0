package integration

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"tidegate/integration/fixture"
)

// TestUnpreparedDatabaseNamesItsRemedy: whatever is asked first of a database
// that has none of our tables, or those of an earlier version, the answer names
// `tidegate migrate`.
func TestUnpreparedDatabaseNamesItsRemedy(t *testing.T) {
	t.Parallel()
	file := write(t, "in.jsonl", openaiLine(0))
	const request = "01a20aa4-c8ca-75b5-a7d0-750cfcc3a7fe"
	databases := map[string]string{"none of our tables": fixture.EmptyDatabase(t)}
	for name, earlier := range map[string]string{
		"a table less":  "ALTER TABLE tidegate.routes RENAME TO r; ALTER TABLE tidegate.requests RENAME TO q",
		"a column less": "ALTER TABLE tidegate.routes RENAME deadline TO d; ALTER TABLE tidegate.requests RENAME id TO c; ALTER TABLE tidegate.requests RENAME route TO d",
	} {
		databases[name] = fixture.Database(t)
		conn, err := pgx.Connect(t.Context(), databases[name])
		check(t, err)
		_, err = conn.Exec(t.Context(), earlier)
		check(t, err)
		check(t, conn.Close(t.Context()))
	}
	for name, url := range databases {
		for _, args := range [][]string{{"enqueue", file}, {"results"}, {"results", request}, {"status"}, {"cancel", request}} {
			t.Run(args[0]+" with "+name, func(t *testing.T) {
				t.Parallel()
				args := append(args, "--database-url", url)
				refusalCase{args, 1, []string{"run `tidegate migrate`"}}.check(t, func(args ...string) said { return tidegate(t, args...) })
			})
		}
	}
}
