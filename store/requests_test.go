package store_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"tidegate/jobs"
	"tidegate/store"
)

func TestLoadGivesWhatWasWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := time.Now().Truncate(time.Microsecond)
	full := jobs.Request{
		ID: uuid.NewString(), Tenant: "acme", Route: "summaries", Goal: "speed", BatchID: "batch_1", CustomID: "doc-1", Deadline: at.Add(time.Hour),
		MaxCost: 1200, Metadata: map[string]string{"tier": "gold", "ключ": "значение"}, Body: json.RawMessage("{ \"messages\" : [1] , \"n\":1e400 }\n"), CreatedAt: at,
	}
	bare := jobs.Request{ID: uuid.NewString(), Tenant: "acme", Route: "summaries", Body: []byte(body), CreatedAt: at}
	over := jobs.Request{ID: uuid.NewString(), Tenant: "acme", Route: "summaries", Body: []byte(body), CreatedAt: at}
	w.write("", []jobs.Request{full, bare, over})
	w.commit(answered(&over))
	got, err := w.Load(t.Context(), []string{full.ID, uuid.NewString(), bare.ID, over.ID})
	if err != nil {
		t.Fatal(err)
	}
	over.Body = nil // nobody needs it any more
	want := []jobs.Loaded{{Request: full}, {Request: bare}, {Request: over, Ended: true}}
	byID := func(a, b jobs.Loaded) int { return cmpText(a.Request.ID, b.Request.ID) }
	slices.SortFunc(want, byID)
	slices.SortFunc(got, byID)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("loaded (-want +got):\n%s", diff)
	}
	if _, err := w.Load(t.Context(), []string{"doc-7"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("it says %v", err)
	}
}

func cmpText(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	save := func(routes ...jobs.Route) {
		if err := w.SaveRoutes(t.Context(), routes); err != nil {
			t.Fatal(err)
		}
	}
	labels := jobs.Route{Name: "labels", Goal: "speed", Deadline: 36 * time.Hour, Models: []string{"gpt-5-mini"}, ExpectsNothing: true}
	summaries := jobs.Route{Name: "summaries", Goal: "ordered", Models: []string{}, ExpectsNothing: true}
	save(summaries, jobs.Route{Name: "labels", Goal: "cost"})
	save(labels)
	got, err := store.Routes(t.Context(), w.pool)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]jobs.Route{labels, summaries}, got); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
}

func TestBatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept("batch_a", 1)
	w.accept("batch_b", 2)
	w.accept("batch_c", 3)
	got, err := w.Batches(t.Context(), 2)
	if err != nil || len(got) != 2 || got[0].ID != "batch_c" || got[0].Total != 3 || got[1].ID != "batch_b" {
		t.Errorf("the newest two are %+v, %v", got, err)
	}
	if _, err := w.Batch(t.Context(), "batch_none"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("it says %v", err)
	}
}
