package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/store"
)

// TestBadRequestIsRefusedAtOnce: a body that no provider takes costs one call
// and harms nobody.
func TestBadRequestIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.work(nil)
	const bad = 7
	batch := s.settle(s.enqueue(20, func(i int, r *jobs.Request) {
		if i == bad {
			r.Body = json.RawMessage(`{"model":"auto","messages":[{"role":"nobody","content":"Hear me."}]}`)
		}
	}))
	s.onceEach(batch)
	if batch.Completed != 19 || batch.Failed != 1 || batch.State != jobs.BatchCompleted {
		t.Errorf("the batch ended as %+v", batch)
	}
	for e, err := range s.store.Results(t.Context(), store.Filter{BatchID: batch.ID, State: jobs.StateRefused}) {
		check(t, err)
		if e.CustomID != fmt.Sprintf("n-%03d", bad) || e.Class != jobs.BadRequest || e.Status != http.StatusBadRequest || e.Attempts != 1 || e.Message == "" {
			t.Errorf("refused: %+v", e.Result)
		}
	}
	if n := s.count("SELECT count(*) FROM tidegate.attempts"); n != 20 {
		t.Errorf("20 requests took %d calls", n)
	}
	results, _ := s.events()
	for _, e := range results {
		if refused := e.body.State == jobs.StateRefused; refused != (e.body.Error != nil) || refused && e.body.Error.Class != jobs.BadRequest {
			t.Errorf("event of %s: %s, %+v", e.body.CustomID, e.body.State, e.body.Error)
		}
	}
}

// poisonous stands in the document of a request that no provider survives.
const poisonous = "Poison"

// A poisoned answers 500 to one request, always.
type poisoned struct {
	providers http.Handler
	asked     atomic.Int64
	hold      chan struct{} // closed: calls of a second try are answered
	first     int64         // calls of the first try
}

func (p *poisoned) serve(t *testing.T, handler http.Handler) string {
	p.providers = handler
	return serve(t, p)
}

func (p *poisoned) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client left
	}
	if !bytes.Contains(body, []byte(poisonous)) {
		r.Body = io.NopCloser(bytes.NewReader(body))
		p.providers.ServeHTTP(w, r)
		return
	}
	if p.asked.Add(1) > p.first {
		select {
		case <-p.hold:
		case <-r.Context().Done():
			return
		}
	}
	http.Error(w, `{"error":{"message":"it broke","type":"server_error","param":null,"code":null}}`, http.StatusInternalServerError)
}

// TestPoisonEndsAfterEightFailures: a request that fails everywhere, while
// others are answered there, ends refused after eight failures that are its
// own, and no circuit opens for it. Ten routes lead to ten targets, one each,
// for the others; the poison's own route leads to all ten.
func TestPoisonEndsAfterEightFailures(t *testing.T) {
	t.Parallel()
	const targets = 10
	p := &poisoned{hold: make(chan struct{}), first: targets}
	s := newStage(t, staging{serve: p.serve, config: manyTargets(targets)})
	s.work(nil)
	poison := s.enqueue(1, func(_ int, r *jobs.Request) {
		r.Body = json.RawMessage(`{"messages":[{"role":"user","content":"` + poisonous + `"}]}`)
	})
	fixture.Await(t, soon, "every target failed the poison once", func() bool { return p.asked.Load() >= targets })
	others := s.awaitBatch(s.enqueue(targets, func(i int, r *jobs.Request) { r.Route = fmt.Sprintf("only-%d", i) }))
	close(p.hold)
	if others.Completed != targets {
		t.Errorf("%d of the others were answered", others.Completed)
	}
	poison = s.settle(poison)
	for e, err := range s.store.Results(t.Context(), store.Filter{BatchID: poison.ID}) {
		check(t, err)
		if e.State != jobs.StateRefused || e.Class != jobs.Transient || e.Attempts != targets+8 {
			t.Errorf("the poison ended %s with %s after %d calls: %s", e.State, e.Class, e.Attempts, e.Message)
		}
	}
	if n := s.count("SELECT count(*) FROM tidegate.circuits WHERE state <> 'closed'"); n != 0 {
		t.Errorf("%d circuits opened for one bad request", n)
	}
	s.noneBurned()
}

// manyTargets gives each of n targets a route of its own, and all of them to
// the route for summaries.
func manyTargets(n int) func(*config.Config) {
	return func(c *config.Config) {
		one, route := c.Targets[0], c.Routes[0]
		c.Targets, c.Routes, route.Chain = nil, nil, nil
		for i := range n {
			target := one
			target.Name, target.Provider = fmt.Sprintf("target-%d", i), fmt.Sprintf("provider-%d", i)
			only := route
			only.Name, only.Chain = fmt.Sprintf("only-%d", i), []string{target.Name}
			c.Targets, c.Routes = append(c.Targets, target), append(c.Routes, only)
			route.Chain = append(route.Chain, target.Name)
		}
		c.Routes = append(c.Routes, route)
	}
}
