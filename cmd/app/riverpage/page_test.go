package riverpage

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"tidegate/integration/fixture"
	"tidegate/store"
)

func TestMain(m *testing.M) { fixture.Main(m) }

// It begins with the first who looks, shows jobs without what is in them, pauses queues,
// and does nothing to jobs.
func TestPage(t *testing.T) {
	t.Parallel()
	pool, err := store.Connect(t.Context(), fixture.Database(t), 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	for _, sql := range []string{
		`INSERT INTO tidegate.river_queue (name, metadata, created_at, updated_at) VALUES ('summaries', '{}', now(), now())`,
		`INSERT INTO tidegate.river_job (args, kind, max_attempts, queue) VALUES ('{"r":"secret"}', 'completion', 5, 'summaries')`,
	} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	ending, end := context.WithCancel(t.Context())
	defer end()
	p := New(ending, pool, zerolog.Nop())
	if p.page != nil {
		t.Error("it has begun, and nobody looks")
	}
	ask := func(method, path string) (int, string) {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader("{}")))
		return w.Code, w.Body.String()
	}
	if status, body := ask(http.MethodGet, "/river/"); status != http.StatusOK || !strings.Contains(body, "<html") {
		t.Errorf("the page: %d, %.200s", status, body)
	}
	if status, body := ask(http.MethodGet, "/river/api/jobs?state=available"); status != http.StatusOK || !strings.Contains(body, "summaries") {
		t.Errorf("the jobs: %d, %.300s", status, body)
	}
	for _, path := range []string{"/river/api/jobs/delete", "/river/api/jobs/cancel", "/river/api/jobs/retry", "/river/api/queues/summaries"} {
		if status, body := ask(http.MethodPost, path); status != http.StatusForbidden || !strings.Contains(body, "tidegate cancel") {
			t.Errorf("%s: %d, %s", path, status, body)
		}
	}
	if status, body := ask(http.MethodPut, "/river/api/queues/summaries/pause"); status != http.StatusOK {
		t.Errorf("pausing: %d, %s", status, body)
	}
	var owner string
	if err := pool.QueryRow(t.Context(), "SELECT owner FROM tidegate.pauses WHERE route = 'summaries'").Scan(&owner); err != nil || owner != "person" {
		t.Errorf("paused by %q, %v", owner, err)
	}
	p.end()
	if p.page != nil {
		t.Error("nobody looks any more, and it goes on")
	}
	if status, _ := ask(http.MethodGet, "/river/"); status != http.StatusOK {
		t.Errorf("again: %d", status)
	}
	p.end()
}
