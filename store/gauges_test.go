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
	g, err := w.Gauges(t.Context())
	if err != nil {
		t.Fatal(err)
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
