package app

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/cmd/app/config"
	"tidegate/cmd/app/dashboard"
	"tidegate/jobs"
	"tidegate/store"
)

// The page tells the same story as `tidegate why`, step by step.
func TestPageTellsTheStory(t *testing.T) {
	t.Parallel()
	first, second := called("a", true), scored(0.5, false)
	first.Class, first.Message, second.Target = jobs.Overload, "busy\x1b[31m", "b"
	first.At, second.At = came.Add(time.Second), came.Add(5*time.Second)
	s := &store.Story{
		At:       came.Add(time.Minute),
		Request:  jobs.Request{ID: "id", CustomID: "net/http", BatchID: "batch_1", Tenant: "acme", Route: "summaries", CreatedAt: came, Deadline: came.Add(time.Hour)},
		Chain:    []string{"a", "b"},
		Attempts: []jobs.Attempt{first, second},
		Result:   &jobs.ResultEvent{Result: jobs.Result{State: jobs.StateAnswered, Target: "b", StoredAt: came.Add(6 * time.Second)}},
	}
	view := newWhy(s)
	page := view.page()
	var kinds []string
	for _, step := range page.Steps {
		kinds = append(kinds, step.Kind)
		if strings.Contains(step.Text, "\x1b") {
			t.Errorf("a step moves a cursor: %q", step.Text)
		}
	}
	if diff := cmp.Diff([]string{"accepted", "wait", "refused", "wait", "choice", "answered", "end"}, kinds); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(view.InShort, page.InShort); diff != "" {
		t.Errorf("in short (-want +got):\n%s", diff)
	}
	if page.State != "answered" || len(page.Steps[4].Candidates) == 0 || !strings.Contains(strings.Join(page.Facts, "; "), "custom_id net/http") || page.Batch != "batch_1" {
		t.Errorf("%+v", page)
	}
}

// What the page says of a target is the fleet's and the configuration's, each for what it
// knows.
func TestPageTarget(t *testing.T) {
	t.Parallel()
	now := came
	p := &pageReader{config: &config.Config{Targets: []config.Target{
		{Name: "b", Model: "m", Price: &config.Price{Input: 0.25, Output: 2}, Limits: config.Limits{RequestsPerMinute: 600}},
		{Name: "a", Model: "m", BaseURL: "http://nobody.example/v1"},
	}}}
	status := &store.Status{At: now, Routes: []store.RouteStatus{{Route: "r", Chain: []string{"b", "a"}}}, Drills: []jobs.Drill{{Target: "b", Mode: jobs.Drill503}}}
	fleet := &jobs.Fleet{Peers: []jobs.Peer{
		{Beat: jobs.Beat{Accepted: map[string]float64{"b": 2, "a": 1}, Announced: map[string]float64{"a": 5}}},
		{Beat: jobs.Beat{Accepted: map[string]float64{"b": 1}}},
		{Beat: jobs.Beat{Accepted: map[string]float64{"b": 100}}, Dead: true},
	}}
	b := p.target(status, fleet, &jobs.Circuit{Target: "b", State: jobs.CircuitOpen, CooldownUntil: now.Add(time.Minute), DownSince: now.Add(-time.Hour), Prober: "w"})
	if b.PerMinute != 180 || b.Limit != 600 || b.LimitFrom != "as configured" || b.Price != "$0.25\u00a0in, $2.00\u00a0out" || b.Unpriced || b.Drill == nil || !b.Probed || b.CooldownUntil.IsZero() || len(b.Routes) != 1 {
		t.Errorf("b is %+v", b)
	}
	a := p.target(status, fleet, &jobs.Circuit{Target: "a", State: jobs.CircuitOpen, CooldownUntil: now.Add(2 * jobs.LongestCooldown)})
	if a.PerMinute != 60 || a.Limit != 300 || a.LimitFrom != "as it announces" || !a.Unpriced || !a.UntilClosed || !a.CooldownUntil.IsZero() {
		t.Errorf("a is %+v", a)
	}
	stranger := p.target(status, fleet, &jobs.Circuit{Target: "c", State: jobs.CircuitClosed})
	if stranger.Price != "" || stranger.Unpriced || stranger.Limit != 0 {
		t.Errorf("of a target that is not configured here: %+v", stranger)
	}
	all := []dashboard.Target{stranger, a, b}
	p.order(all)
	if all[0].Name != "b" || all[1].Name != "a" || all[2].Name != "c" {
		t.Errorf("in the order %s, %s, %s", all[0].Name, all[1].Name, all[2].Name)
	}
}

func TestPageDone(t *testing.T) {
	t.Parallel()
	at := came.Add(time.Hour)
	known := pageDone(jobs.Forecast{At: at, Early: at.Add(-5 * time.Minute), Late: at.Add(6 * time.Minute), Ahead: 10}, at.Add(-time.Minute))
	if diff := cmp.Diff(dashboard.Done{At: at, Margin: "6 min", Missed: true, MayMiss: true}, known); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := pageDone(jobs.Forecast{Ahead: 3}, time.Time{}); got.Why != "not known yet" {
		t.Errorf("%+v", got)
	}
	if got := pageDone(jobs.Forecast{}, time.Time{}); got != (dashboard.Done{}) {
		t.Errorf("of nothing %+v", got)
	}
}

func TestPageRoute(t *testing.T) {
	t.Parallel()
	status := &store.Status{At: came, Pauses: []jobs.Pause{{Route: "r", Owner: jobs.OwnerPerson, Reason: "paused by a person", Since: came}, {Route: "r", Owner: jobs.OwnerBudget, Reason: "spent", Since: came}}}
	r := pageRoute(status, &store.RouteStatus{Route: "r", Waiting: 5, CountedAt: came})
	if r.State != dashboard.Paused || !r.ByPerson() || len(r.Pauses) != 2 || r.Pauses[0].Who != "a person" || r.Pauses[0].Reason != "" || r.Pauses[1].Who != "its budget" || r.Counted.IsZero() {
		t.Errorf("%+v", r)
	}
}
