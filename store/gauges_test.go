package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
)

func TestGaugesSayHowEverythingStands(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.SaveRoutes(t.Context(), []jobs.Route{{Name: "summaries", Goal: "ordered", Chain: []*jobs.Target{{Name: "cheap"}}}, {Name: "labels", Goal: "ordered"}}); err != nil {
		t.Fatal(err)
	}
	if g, err := w.Gauges(t.Context()); err != nil || g.Lead != "" || len(g.Batches) > 0 || g.Outbox != 0 || g.Behind != 0 || len(g.Ages) > 0 || len(g.Routes) != 2 {
		t.Fatalf("of nothing: %+v %v", g, err)
	}
	w.lead("one")
	requests := w.accept("", 5)
	w.commit(answered(&requests[0]), answered(&requests[1]))
	w.exec("UPDATE tidegate.outbox SET created_at = created_at - interval '1 minute'")
	w.exec("INSERT INTO tidegate.batches (id, tenant, state, total) VALUES (gen_random_uuid()::text, 'acme', 'in_progress', 9)")
	w.exec("INSERT INTO tidegate.batches (id, tenant, state, total, ended_at) VALUES (gen_random_uuid()::text, 'acme', 'completed', 0, now())")
	w.exec("INSERT INTO tidegate.river_job (args, kind, max_attempts, queue, state, created_at) SELECT '{}', 'k', 1, 'summaries', 'available', now() - interval '1 hour' FROM generate_series(1, 7)")
	w.exec(`INSERT INTO tidegate.webhooks (id, tenant, name, url, secret, events, failing_since, disabled_at) VALUES
		('we_1', 'acme', 'a', 'https://a', '', '{}', NULL, NULL), ('we_2', 'acme', 'b', 'https://b', '', '{}', now() - interval '1 hour', NULL),
		('we_3', 'acme', 'c', 'https://c', '', '{}', now() - interval '2 days', now())`)
	for at, state := range map[string]string{"2 minutes": "available", "1 hour": "completed"} {
		w.exec("INSERT INTO tidegate.river_job (args, kind, max_attempts, queue, state, scheduled_at, finalized_at) SELECT '{}', 'k', 1, 'tidegate-webhooks', '" + state + "', now() - interval '" + at + "', CASE WHEN '" + state + "' = 'completed' THEN now() END")
	}
	w.exec(`INSERT INTO tidegate.retention (what, keep, reached, swept_at) VALUES ('requests', '1 day', now() - interval '25 hours', now() - interval '5 minutes'), ('attempts', '0', NULL, now())`)
	g, err := w.Gauges(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if h := g.Webhooks; h.Enabled != 2 || h.Failing != 1 || h.Disabled != 1 || !about(h.FailingFor, time.Hour) || !about(h.Waits, 2*time.Minute) {
		t.Errorf("webhooks: %+v", h)
	}
	if len(g.Kept) != 1 || g.Kept[0].What != jobs.KeptRequests || !about(g.Kept[0].Behind, time.Hour) || !about(g.Kept[0].Silent, 5*time.Minute) {
		t.Errorf("kept: %+v", g.Kept)
	}
	if g.Lead != "one" || g.Outbox != 2 || g.Behind < time.Minute.Seconds() {
		t.Errorf("%q leads, %d events for %v s", g.Lead, g.Outbox, g.Behind)
	}
	if diff := cmp.Diff(map[jobs.BatchState]int{jobs.BatchInProgress: 1}, g.Batches); diff != "" {
		t.Error(diff)
	}
	for _, r := range g.Routes {
		if r.Route == "summaries" && (r.Waiting < 7 || g.Ages[r.Route] < time.Hour.Seconds()) {
			t.Errorf("%+v, oldest %v s", r, g.Ages)
		}
	}
	if !cmp.Equal(g.Fleet.Chains["summaries"], []string{"cheap"}) {
		t.Errorf("%v", g.Fleet.Chains)
	}
}

// about tells whether so many seconds are a time, on a machine that is busy.
func about(seconds float64, is time.Duration) bool {
	return seconds >= is.Seconds()-1 && seconds < is.Seconds()+soon.Seconds()
}
