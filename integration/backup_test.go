package integration

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"tidegate/cmd/app"
	"tidegate/deploy/embedded"
	"tidegate/integration/fixture"
	"tidegate/worker"
)

// A dump of a database whose workers were busy is restored elsewhere: what was in their
// hands there is worked by those that are here, with its attempts, and once.
func TestBackupIsRestored(t *testing.T) {
	t.Parallel()
	postgres, err := embedded.FindPostgres(t.Context(), "")
	check(t, err)
	st := newStage(t, staging{latency: time.Second})
	st.work(nil)
	answered := st.awaitBatch(st.enqueue(5, nil))
	batch := st.enqueue(20, nil)
	fixture.Await(t, soon, "some are in a worker's hands", func() bool {
		return st.count("SELECT count(*) FROM tidegate.river_job WHERE state = 'running' AND kind = 'completion'") > 0
	})
	file, elsewhere := filepath.Join(t.TempDir(), "tidegate.dump"), fixture.EmptyDatabase(t)
	if _, err := exec.LookPath(filepath.Join(postgres.BinDir, "pg_dump")); err != nil {
		t.Logf("this PostgreSQL came without its clients: %v", err)
		return
	}
	for _, command := range [][]string{
		{"pg_dump", "--dbname", st.URL, "--schema", "tidegate", "--format", "custom", "--file", file},
		{"pg_restore", "--dbname", elsewhere, "--no-owner", "--exit-on-error", file},
	} {
		if said, err := exec.Command(filepath.Join(postgres.BinDir, command[0]), command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command[0], err, said)
		}
	}
	restored := newStage(t, staging{postgres: elsewhere})
	restored.work(func(c *app.StackConfig) {
		c.Timing = worker.Timing{Dead: 1500 * time.Millisecond, Stale: time.Second, Beat: 100 * time.Millisecond}
	})
	batch = restored.awaitBatch(batch)
	if batch.Completed != 20 || restored.count("SELECT coalesce(max(attempt), 0) FROM tidegate.river_job WHERE kind = 'completion'") > 1 {
		t.Errorf("it is %+v", batch)
	}
	if before, err := restored.store.Batch(t.Context(), answered.ID); err != nil || before.Completed != 5 || restored.count("SELECT count(*) FROM tidegate.results") != 25 {
		t.Errorf("what was answered before: %+v, %v", before, err)
	}
	if got := restored.tidegate("migrate", "--check"); got.code != 0 {
		t.Errorf("%+v", got)
	}
}
