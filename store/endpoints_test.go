package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"tidegate/jobs"
	"tidegate/store"
)

// The endpoint of a request is kept, chats are what older versions have written, and
// what a later one has is known to be unknown.
func TestEndpointOfARequestIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var all []jobs.Request
	var ids []string
	for _, of := range jobs.Endpoints() {
		r := jobs.Request{ID: uuid.NewString(), Tenant: "acme", Route: "summaries", Endpoint: of, Body: []byte(body), CreatedAt: time.Now()}
		all, ids = append(all, r), append(ids, r.ID)
	}
	w.write("", all)
	later := uuid.NewString()
	w.exec("INSERT INTO tidegate.requests (id, tenant, route, endpoint, body) VALUES ($1, 'acme', 'summaries', '/v1/videos', '{}')", later)
	got, err := w.Load(t.Context(), append(ids, later))
	if err != nil || len(got) != len(all)+1 {
		t.Fatalf("%d are loaded, %v", len(got), err)
	}
	want := map[string]jobs.Endpoint{later: jobs.EndpointUnknown}
	for _, r := range all {
		want[r.ID] = r.Endpoint
	}
	for _, l := range got {
		if l.Request.Endpoint != want[l.Request.ID] {
			t.Errorf("one of %s is loaded as one of %s", want[l.Request.ID], l.Request.Endpoint)
		}
	}
	if n := w.number("SELECT count(*) FROM tidegate.requests WHERE endpoint IS NULL"); n != 1 {
		t.Errorf("%d are chats", n)
	}
}

// A route says what some target of its chain serves; one that an older worker announced
// serves chats.
func TestRoutesSayWhatTheyServe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	vectors := &jobs.Target{Name: "v", Endpoints: jobs.EndpointSetOf(jobs.EndpointEmbeddings)}
	route := jobs.Route{Name: "mixed", Goal: "ordered", Chain: []*jobs.Target{vectors, {Name: "c"}}}
	serves := func(want jobs.EndpointSet) {
		t.Helper()
		routes, err := w.Routes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range routes {
			if r.Name == "mixed" && r.Serves() != want {
				t.Errorf("it serves %s, want %s", r.Serves(), want)
			}
		}
	}
	for _, save := range []func() error{
		func() error { return w.SaveRoutes(t.Context(), []jobs.Route{route}) },
		func() error { route.Chain = route.Chain[:1]; return w.KeepRoutes(t.Context(), []jobs.Route{route}) },
	} {
		if err := save(); err != nil {
			t.Fatal(err)
		}
		serves(route.Serves())
	}
	w.exec("UPDATE tidegate.routes SET endpoints = NULL")
	serves(jobs.EndpointSetOf(jobs.EndpointChat))
}

// Workers that live know an endpoint, or are named; those that are dead or long silent are
// no matter, and chats everybody knows.
func TestKnownToAllWorkers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	known := func(e jobs.Endpoint, stranger string) {
		t.Helper()
		err := store.KnownToAll(t.Context(), w.pool, e)
		var is *store.StrangerError
		if stranger == "" && err != nil || stranger != "" && (!errors.As(err, &is) || is.Worker != stranger || is.Endpoint != e) {
			t.Errorf("%s: %v, want %q", e, err, stranger)
		}
	}
	known(jobs.EndpointEmbeddings, "")
	w.beat("new")
	known(jobs.EndpointEmbeddings, "")
	w.exec("INSERT INTO tidegate.workers (id, beats) VALUES ('old', 1)") // as an older version does
	known(jobs.EndpointEmbeddings, "old")
	known(jobs.EndpointChat, "")
	w.exec("UPDATE tidegate.workers SET dead_at = now() WHERE id = 'old'")
	known(jobs.EndpointEmbeddings, "")
	w.exec("UPDATE tidegate.workers SET dead_at = NULL, beat_at = now() - interval '2 minutes' WHERE id = 'old'")
	known(jobs.EndpointEmbeddings, "")
	w.exec("UPDATE tidegate.workers SET beat_at = now(), endpoints = '{/v1/chat/completions,/v1/embeddings}' WHERE id = 'old'")
	known(jobs.EndpointEmbeddings, "")
	known(jobs.EndpointResponses, "old")
}
