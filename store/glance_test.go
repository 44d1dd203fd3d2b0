package store_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
	"tidegate/store"
)

func batchIDs(all []jobs.Batch) (ids []string) {
	for i := range all {
		ids = append(ids, all[i].ID)
	}
	return ids
}

// At a glance there are the newest batches, and those that go on for the longest, in the
// order in which they came.
func TestGlanceSeesWhatGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`INSERT INTO tidegate.batches (id, tenant, state, total, created_at, ended_at)
		SELECT 'batch_' || lpad(n::text, 3, '0'), 'acme', CASE WHEN n IN (1, 4, 7, 29) THEN 'in_progress' ELSE 'completed' END, 1, now() - (30 - n) * interval '1 minute',
			CASE WHEN n NOT IN (1, 4, 7, 29) THEN now() END FROM generate_series(1, 30) n`)
	status, err := w.Glance(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"batch_030", "batch_029", "batch_028", "batch_007", "batch_004", "batch_001"}, batchIDs(status.Batches)); diff != "" || status.Open != 4 || status.OpenMore() {
		t.Errorf("%d go on (-want +got):\n%s", status.Open, diff)
	}
	if status, err = w.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"batch_030", "batch_029", "batch_028", "batch_027", "batch_026", "batch_007", "batch_004", "batch_001"}, batchIDs(status.Batches)); diff != "" {
		t.Errorf("in a status (-want +got):\n%s", diff)
	}
}

// A list goes on behind the last one that was shown, also where several came at one time.
func TestBatchesBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`INSERT INTO tidegate.batches (id, tenant, state, total, created_at) SELECT 'batch_' || n, 'acme', 'in_progress', 1, now() - (n / 3) * interval '1 minute' FROM generate_series(0, 8) n`)
	all, err := w.Batches(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for last := ""; ; last = got[len(got)-1] {
		page := all[:2]
		if last != "" {
			if page, err = w.BatchesBehind(t.Context(), last, 2); err != nil {
				t.Fatal(err)
			}
		}
		if len(page) == 0 {
			break
		}
		got = slices.Concat(got, batchIDs(page))
	}
	if diff := cmp.Diff(batchIDs(all), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.exec(`UPDATE tidegate.batches SET retry_of = 'batch_8' WHERE id IN ('batch_0', 'batch_1')`)
	if retries, err := w.RetriesOf(t.Context(), "batch_8"); err != nil || !slices.Equal(retries, []string{"batch_0", "batch_1"}) && !slices.Equal(retries, []string{"batch_1", "batch_0"}) {
		t.Errorf("%v, %v", retries, err)
	}
}

// Those that go on are found among many that have ended without a look at these.
func TestGlanceReadsFewBatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`INSERT INTO tidegate.batches (id, tenant, state, total, created_at, ended_at)
		SELECT 'batch_' || n, 'acme', CASE WHEN n > 29990 THEN 'in_progress' ELSE 'completed' END, 1, now() - (30000 - n) * interval '1 minute', CASE WHEN n <= 29990 THEN now() END
		FROM generate_series(1, 30000) n`)
	w.exec("VACUUM ANALYZE tidegate.batches")
	for query, args := range map[string][]any{store.OpenBatches: {8}, store.CountOpen: {1000}} {
		if pages, how := w.reads(query, args...); pages > 60 {
			t.Errorf("it read %d pages:\n%s", pages, how)
		}
	}
	if whole, _ := w.reads("SELECT count(DISTINCT state) FROM tidegate.batches"); whole < 300 {
		t.Errorf("the whole table is %d pages: the test would let anything pass", whole)
	}
}
