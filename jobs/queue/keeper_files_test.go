package queue_test

import (
	"errors"
	"strings"
	"testing"

	"tidegate/jobs"
	"tidegate/store"
)

// Files go when their time has come, in steps, but for what is still read or written.
func TestFilesAreRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	large := w.upload(strings.Repeat("x", 100*250)) // pieces for several steps
	stays := w.upload("x")
	read := w.order(inputLines(2)).Order.InputFile
	for _, begun := range []jobs.File{
		{ID: "file-cut", Tenant: "acme", Purpose: jobs.PurposeBatch}, {ID: "file-new", Tenant: "acme", Purpose: jobs.PurposeBatch}, {ID: "file-output", Tenant: "acme", Purpose: jobs.PurposeBatchOutput},
	} {
		if err := w.store.NewFile(t.Context(), begun); err != nil {
			t.Fatal(err)
		}
		if err := w.store.AppendPiece(t.Context(), begun.ID, 0, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	w.exec("UPDATE tidegate.files SET expires_at = now() WHERE id = ANY ($1)", []string{large.ID, read})
	w.exec("UPDATE tidegate.files SET written_at = now() - interval '2 hours' WHERE id IN ('file-cut', 'file-output')")
	w.exec("INSERT INTO tidegate.once (tenant, key, hash, made, created_at) VALUES ('acme', 'old', '', '', now() - interval '2 days'), ('acme', 'new', '', '', now())")
	if _, err := w.store.File(t.Context(), "acme", large.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("one whose time has come: %v", err)
	}
	gone, steps := 0, 0
	for more := true; more; steps++ {
		n, again, err := w.store.RemoveFiles(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		gone, more = gone+n, again
	}
	if gone != 2 || steps < 3 {
		t.Errorf("%d files are gone in %d steps", gone, steps)
	}
	for id, want := range map[string]int{large.ID: 0, "file-cut": 0, stays.ID: 1, read: 1, "file-new": 1, "file-output": 1} {
		if n := w.number("SELECT count(*) FROM tidegate.files WHERE id = $1", id); n != want {
			t.Errorf("%s: %d", id, n)
		}
	}
	if n := w.number("SELECT count(*) FROM tidegate.once"); n != 1 {
		t.Errorf("%d keys are remembered", n)
	}
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.pool.Exec(w.t.Context(), sql, args...); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
}
