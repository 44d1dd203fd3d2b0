package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"tidegate/cmd/app/metrics"
	"tidegate/jobs"
	"tidegate/store"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// busy are metrics of a process in which everything has happened once, in a fleet where
// everything is the case.
func busy(t *testing.T) *metrics.Metrics {
	t.Helper()
	m := metrics.New("v1.2.3")
	m.Know(map[string][]string{"summaries": {"cheap", "dear"}}, map[string]metrics.Target{"cheap": {Provider: "acme", Model: "m-1"}})
	request := &jobs.Request{ID: "r", Tenant: "secret-tenant", Route: "summaries", CreatedAt: noon}
	for _, class := range jobs.Classes() {
		a := jobs.Attempt{
			At: noon.Add(time.Second), Target: "cheap", Class: class, Latency: time.Second, FirstByte: time.Millisecond, Cost: 5, Unpriced: true,
			Probe: true, Usage: jobs.Usage{Input: 10, CachedInput: 5, Output: 7, Reasoning: 2}, Message: "secret-message",
		}
		m.Kept(&jobs.Entry{Request: request, Trace: jobs.Trace{{Attempt: &a}}, Result: &jobs.Result{State: jobs.StateAnswered, Attempts: 1}}, class != jobs.OK)
		m.Kept(&jobs.Entry{Request: &jobs.Request{ID: jobs.NoRequest}, Trace: jobs.Trace{{Attempt: &a}}}, true)
	}
	m.Expired(3)
	m.Rescued(jobs.Rescue{Worker: "secret-worker", Returned: 4, Lost: 2, LostAt: map[string]int{"cheap": 2}, Quarantined: 1, Poisoned: 1})
	for _, e := range []jobs.Event{{Result: &jobs.ResultEvent{Route: "summaries", Result: jobs.Result{State: jobs.StateCancelled}}}, {Batch: &jobs.BatchEvent{}}, {Circuit: &jobs.CircuitEvent{}}, {Pause: &jobs.PauseEvent{}}, {Budget: &jobs.BudgetEvent{}}} {
		m.Sent(&e, true)
		m.Sent(&e, false)
	}
	m.Follow(metrics.Works{
		Paces: func() []jobs.Pace {
			return []jobs.Pace{{Target: "cheap", Rate: 5, Limit: 10, Accepted: 4, Share: .5, InFlight: 3, Places: 8, PausedUntil: noon}}
		},
		InHand:  func() map[string]int { return map[string]int{"summaries": 5} },
		Waiting: func(string) int { return 2 }, Leads: func() bool { return true },
	})
	m.Fleet(func(context.Context) (store.Gauges, error) { return standing(), nil }, func() time.Time { return noon })
	return m
}

// A call that a rescue has counted as LOST is counted once, whatever its worker says of it
// later; what it cost is new.
func TestLateCallsAreCountedOnce(t *testing.T) {
	t.Parallel()
	m := metrics.New("v1")
	m.Know(map[string][]string{"summaries": {"cheap"}}, map[string]metrics.Target{"cheap": {}})
	m.Rescued(jobs.Rescue{Lost: 3, LostAt: map[string]int{"cheap": 3}})
	for class, stored := range map[jobs.Class]bool{jobs.OK: true, jobs.Lost: false, jobs.Invalid: true} {
		a := jobs.Attempt{At: noon, Target: "cheap", Class: class, Cost: 2_000_000, Usage: jobs.Usage{Output: 7}, Late: true}
		m.Kept(&jobs.Entry{Request: &jobs.Request{ID: "r", Route: "summaries"}, Trace: jobs.Trace{{Attempt: &a}}, Result: &jobs.Result{State: jobs.StateAnswered}}, stored)
	}
	_, text := scrape(t, m)
	for _, want := range []string{
		`tidegate_attempts_total{class="LOST",target="cheap"} 3`, `tidegate_wasted_calls_total{target="cheap",why="lost"} 3`,
		`tidegate_cost_dollars_total{route="summaries",target="cheap"} 6`, `tidegate_wasted_cost_dollars_total{target="cheap",why="lost"} 4`, `tidegate_tokens_total{target="cheap",type="output"} 21`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("%s is not there:\n%s", want, text)
		}
	}
	for _, not := range []string{`tidegate_attempts_total{class="OK",target="cheap"} 1`, `why="bad"} 1`, `why="discarded"} 1`} {
		if strings.Contains(text, not) {
			t.Errorf("it is counted twice: %s", not)
		}
	}
}

// standing is how a fleet stands in which everything is the case.
func standing() store.Gauges {
	return store.Gauges{
		Lead:   "secret-worker",
		Routes: []store.RouteStatus{{Route: "summaries", Waiting: 1_000_000, InHand: 5, Discarded: 1}},
		Ages:   map[string]float64{"summaries": 90}, Batches: map[jobs.BatchState]int{jobs.BatchInProgress: 2}, Outbox: 7, Behind: 3,
		Webhooks: store.WebhookGauges{Enabled: 4, Failing: 2, Disabled: 1, FailingFor: 600, Waits: 8}, Kept: []store.KeptGauge{{What: jobs.KeptRequests, Behind: 70, Silent: 80}},
		Fleet: jobs.Fleet{
			Chains: map[string][]string{"summaries": {"cheap", "dear"}},
			Circuits: []jobs.Circuit{
				{Target: "cheap", State: jobs.CircuitOpen, DownSince: noon.Add(-time.Minute), CooldownUntil: noon.Add(30 * time.Second), Reason: "secret-reason"},
				{Target: "dear", State: jobs.CircuitHalfOpen, DownSince: noon.Add(-time.Hour), CooldownUntil: noon.Add(2 * jobs.LongestCooldown), Person: true, Degraded: "secret-reason"},
			},
			Pauses: []jobs.Pause{{Route: "summaries", Owner: jobs.OwnerCircuit, Reason: "secret-reason"}},
			Peers: []jobs.Peer{
				{Beat: jobs.Beat{Worker: "secret-worker"}, At: noon},
				{Beat: jobs.Beat{Worker: "secret-2"}, At: noon.Add(-20 * time.Second)},
				{Beat: jobs.Beat{Worker: "secret-3"}, Dead: true, At: noon.Add(-time.Hour)},
				{Beat: jobs.Beat{Worker: jobs.DeskName("secret-4")}, At: noon},
			},
			Drills: []jobs.Drill{{Target: "cheap"}},
			Budgets: []jobs.Budget{
				{BudgetKey: jobs.BudgetKey{Scope: jobs.BudgetRoute, Name: "summaries"}, BudgetLimits: jobs.BudgetLimits{PerDay: 100}, SpentToday: 90},
				{BudgetKey: jobs.BudgetKey{Scope: jobs.BudgetTenant, Name: "secret-tenant"}, BudgetLimits: jobs.BudgetLimits{Total: 100}, Spent: 100, OutSince: noon},
				{BudgetKey: jobs.BudgetKey{Scope: jobs.BudgetBatch, Name: "secret-batch"}, BudgetLimits: jobs.BudgetLimits{Total: 100}, Spent: 50},
			},
		},
	}
}

// scrape is what Prometheus would get, as its own parser reads it, and as text.
func scrape(t *testing.T, m *metrics.Metrics) (map[string]*dto.MetricFamily, string) {
	t.Helper()
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(w.Body.String()))
	if err != nil {
		t.Fatal(err)
	}
	return families, w.Body.String()
}

func TestMetricsAreClean(t *testing.T) {
	t.Parallel()
	m := busy(t)
	problems, err := testutil.GatherAndLint(m.Gather())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	families, text := scrape(t, m)
	if len(families) < 60 {
		t.Errorf("only %d metrics", len(families))
	}
	if strings.Contains(text, "secret") {
		t.Errorf("something is told that is nobody's business:\n%s", text)
	}
}

func TestMetricsSayHowTheFleetStands(t *testing.T) {
	t.Parallel()
	m := busy(t)
	_, text := scrape(t, m)
	for _, line := range []string{
		`tidegate_build_info{go_version=`,
		`tidegate_queue_jobs{route="summaries",state="waiting"} 1e+06`,
		`tidegate_queue_oldest_age_seconds{route="summaries"} 90`,
		`tidegate_route_paused{owner="circuit",route="summaries"} 1`,
		`tidegate_route_paused{owner="person",route="summaries"} 0`,
		`tidegate_route_holding{route="summaries"} 1`,
		`tidegate_route_targets{route="summaries",state="callable"} 0`,
		`tidegate_circuit_state{state="open",target="cheap"} 1`,
		`tidegate_circuit_state{state="closed",target="cheap"} 0`,
		`tidegate_circuit_down_seconds{target="cheap"} 60`,
		`tidegate_circuit_cooldown_seconds{target="cheap"} 30`,
		`tidegate_circuit_cooldown_seconds{target="dear"} +Inf`,
		`tidegate_circuit_degraded{target="dear"} 1`,
		`tidegate_results_sent_total{route="summaries",state="cancelled"} 1`,
		`tidegate_results_sent_total{route="summaries",state="poison"} 0`,
		`tidegate_cost_dollars_total{route="summaries",target="dear"} 0`,
		`tidegate_wasted_cost_dollars_total{target="cheap",why="bad"}`,
		`tidegate_outbox_events 7`,
		`tidegate_outbox_oldest_age_seconds 3`,
		`tidegate_batches{state="in_progress"} 2`,
		`tidegate_webhooks{state="enabled"} 4`,
		`tidegate_webhooks{state="failing"} 2`,
		`tidegate_webhooks{state="disabled"} 1`,
		`tidegate_webhooks_failing_seconds 600`,
		`tidegate_webhook_events_oldest_age_seconds 8`,
		`tidegate_retention_behind_seconds{what="requests"} 70`,
		`tidegate_retention_swept_age_seconds{what="requests"} 80`,
		`tidegate_workers{kind="worker",state="alive"} 1`,
		`tidegate_workers{kind="worker",state="silent"} 1`,
		`tidegate_workers{kind="worker",state="dead"} 1`,
		`tidegate_workers{kind="desk",state="alive"} 1`,
		`tidegate_supervisor_lease_held 1`,
		`tidegate_budget_spent_ratio{period="day",route="summaries",scope="route"} 0.9`,
		`tidegate_budget_spent_ratio{period="total",route="",scope="tenant"} 1`,
		`tidegate_budgets_exhausted{scope="tenant"} 1`,
		`tidegate_pace_calls_per_second{target="cheap"} 5`,
		`tidegate_worker_jobs{place="gate",route="summaries"} 2`,
		`tidegate_worker_jobs{place="called",route="summaries"} 3`,
		`tidegate_wasted_calls_total{target="cheap",why="discarded"} 1`,
		`tidegate_wasted_calls_total{target="cheap",why="lost"} 4`,
		`tidegate_attempts_total{class="RATE",target="cheap"} 2`,
		`tidegate_attempts_total{class="LOST",target="cheap"} 4`, // two of them of dead workers
		`tidegate_request_wait_seconds_bucket{route="summaries",le="1"} 13`,
		`gen_ai_client_token_usage_sum{gen_ai_operation_name="chat",gen_ai_provider_name="acme",gen_ai_request_model="m-1",gen_ai_token_type="input"} 280`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("%s is not there", line)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// Many who scrape cost one reading, until it is old.
func TestFleetIsReadOnceForAll(t *testing.T) {
	t.Parallel()
	m, reads, now := metrics.New("v"), 0, noon
	m.Fleet(func(context.Context) (store.Gauges, error) { reads++; return standing(), nil }, func() time.Time { return now })
	for range 5 {
		scrape(t, m)
	}
	if reads != 1 {
		t.Errorf("5 scrapes cost %d readings", reads)
	}
	now = now.Add(5 * time.Second)
	if scrape(t, m); reads != 2 {
		t.Errorf("a reading of 5 s ago was shown: %d", reads)
	}
}

// While Postgres is away a scrape tells of the process, and that it is.
func TestFleetThatCannotBeRead(t *testing.T) {
	t.Parallel()
	m := metrics.New("v")
	m.Fleet(func(context.Context) (store.Gauges, error) { return store.Gauges{}, errors.New("away") }, func() time.Time { return noon })
	m.Expired(1)
	families, _ := scrape(t, m)
	if families["tidegate_fleet_up"].Metric[0].Gauge.GetValue() != 0 || families["tidegate_fleet_reads_failed_total"].Metric[0].Counter.GetValue() != 1 {
		t.Errorf("%v", families)
	}
	if families["tidegate_queue_jobs"] != nil || families["tidegate_requests_expired_waiting_total"] == nil || families["go_goroutines"] == nil {
		t.Errorf("%v", families)
	}
}

// However many names there are, a label has a thousand values.
func TestLabelsAreBounded(t *testing.T) {
	t.Parallel()
	m := metrics.New("v")
	for i := range 3000 {
		a := jobs.Attempt{At: noon, Target: fmt.Sprint("t", i), Class: jobs.Class(fmt.Sprint("made up ", i)), Latency: time.Second}
		m.Kept(&jobs.Entry{Request: &jobs.Request{ID: "r", Route: fmt.Sprint("r", i), CreatedAt: noon}, Trace: jobs.Trace{{Attempt: &a}}, Result: &jobs.Result{State: jobs.StateRefused}}, true)
	}
	families, _ := scrape(t, m)
	for name, most := range map[string]int{"tidegate_attempts_total": 1001, "tidegate_requests_ended_total": 1001} {
		if n := len(families[name].Metric); n != most {
			t.Errorf("%s has %d series, not %d", name, n, most)
		}
	}
}

func BenchmarkKept(b *testing.B) {
	m := metrics.New("v")
	m.Know(map[string][]string{"summaries": {"cheap", "dear"}}, map[string]metrics.Target{"cheap": {Provider: "acme", Model: "m-1"}})
	a := jobs.Attempt{At: noon, Target: "cheap", Class: jobs.OK, Latency: time.Second, Usage: jobs.Usage{Input: 10, Output: 7}}
	entry := &jobs.Entry{Request: &jobs.Request{ID: "r", Route: "summaries", CreatedAt: noon}, Trace: jobs.Trace{{Attempt: &a}}, Result: &jobs.Result{State: jobs.StateAnswered, Attempts: 1}}
	b.ReportAllocs()
	for b.Loop() {
		m.Kept(entry, true)
	}
}
