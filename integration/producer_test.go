package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/store"
)

// TestProducerFromOutside builds a module that is not ours against this one, as
// README shows, and runs it: its request is there.
func TestProducerFromOutside(t *testing.T) {
	t.Parallel()
	url := fixture.Database(t)
	pool, err := store.Connect(t.Context(), url, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	books := store.New(pool)
	if err := books.SaveRoutes(t.Context(), []jobs.Route{{Name: "summaries", Goal: "ordered"}}); err != nil {
		t.Fatal(err)
	}

	producer := exec.CommandContext(t.Context(), buildProducer(t))
	producer.Env = append(os.Environ(), "DATABASE_URL="+url)
	out, err := producer.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}

	loaded, err := books.Load(t.Context(), []string{strings.TrimSpace(string(out))})
	if err != nil || len(loaded) != 1 {
		t.Fatalf("of the request that it prints, %q, there are %d: %v", out, len(loaded), err)
	}
	if got := loaded[0].Request; got.CustomID != "ticket-1" || got.Route != "summaries" || !strings.Contains(string(got.Body), "It hums.") {
		t.Errorf("the request is %+v", got)
	}
	var tickets, queued int
	const sql = "SELECT (SELECT count(*) FROM tickets), (SELECT count(*) FROM tidegate.river_job WHERE queue = 'summaries')"
	if err := pool.QueryRow(t.Context(), sql).Scan(&tickets, &queued); err != nil || tickets != 1 || queued != 1 {
		t.Errorf("%d tickets and %d jobs, %v", tickets, queued, err)
	}
}

// buildProducer builds with a copy of the module's go.mod and go.sum, so that
// versions which ours has outgrown are brought up to date there and not here.
func buildProducer(t *testing.T) string {
	t.Helper()
	const dir = "testdata/producer"
	copies := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(copies, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	binary := filepath.Join(copies, "producer")
	build := exec.CommandContext(t.Context(), "go", "build", "-mod=mod", "-modfile="+filepath.Join(copies, "go.mod"), "-o", binary, ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", dir, err, out)
	}
	return binary
}
