package integration

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"tidegate/cmd/app"
	"tidegate/cmd/app/config"
	"tidegate/cmd/app/metrics"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing/simulator"
	"tidegate/store"
	"tidegate/worker"
)

// series are what a scrape says, by name and labels.
type series map[string]float64

// parseMetrics reads a scrape with Prometheus's own parser. Of a histogram it keeps the count.
func parseMetrics(t *testing.T, text string) series {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	check(t, err)
	all := series{}
	for name, family := range families {
		for _, m := range family.Metric {
			all[seriesName(name, m)] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

func seriesName(name string, m *dto.Metric) string {
	for _, l := range m.Label {
		name += " " + l.GetValue()
	}
	return name
}

// scrapeOf is what metrics say now.
func scrapeOf(t *testing.T, m *metrics.Metrics) series {
	t.Helper()
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	return parseMetrics(t, w.Body.String())
}

// ledger is what a query says, by the first column.
func (s *stage) ledger(name, sql string) series {
	s.Helper()
	rows, err := s.Pool.Query(s.Context(), sql)
	check(s.T, err)
	defer rows.Close()
	all := series{}
	for rows.Next() {
		var labels string
		var n float64
		check(s.T, rows.Scan(&labels, &n))
		all[name+" "+labels] = n
	}
	check(s.T, rows.Err())
	return all
}

// only are the series of one name that are not zero.
func (s series) only(name string) series {
	some := series{}
	for key, n := range s {
		if strings.HasPrefix(key, name+" ") && n != 0 {
			some[key] = n
		}
	}
	return some
}

// TestMetricsAgreeWithTheLedger: what a worker counted of a batch that met an outage is
// what stands in the database.
func TestMetricsAgreeWithTheLedger(t *testing.T) {
	t.Parallel()
	st := newStage(t, staging{})
	m := metrics.New("test")
	m.Fleet(st.store.Gauges, time.Now)
	st.prepare()
	st.down("cheap", simulator.Fault{Mode: simulator.Unavailable})
	gone, batch := st.enqueue(5, nil), st.enqueue(40, nil)
	if n, err := st.store.CancelBatch(t.Context(), gone.ID); err != nil || n != 5 { // by nobody who counts
		t.Fatal(n, err)
	}
	crew := st.work(func(c *app.StackConfig) { c.Metrics = m })
	st.settle(batch)
	late := scrapeOf(t, m)
	if late["tidegate_circuit_state open sim-cheap"]+late["tidegate_circuit_state half-open sim-cheap"] != 1 || late["tidegate_route_targets summaries callable"] != 2 {
		t.Errorf("the circuit is open, and the metrics say %v %v", late.only("tidegate_circuit_state"), late.only("tidegate_route_targets"))
	}
	if late["tidegate_supervisor_lease_held"] != 1 || late["tidegate_worker_supervises"] != 1 || late["tidegate_workers worker alive"] != 1 || late["tidegate_queue_jobs summaries waiting"] != 0 {
		t.Errorf("the fleet stands otherwise: %v", late)
	}
	crew.stop() // with the last probe
	got := scrapeOf(t, m)
	for name, sql := range map[string]string{
		"tidegate_attempts_total":          "SELECT class || ' ' || target, count(*) FROM tidegate.attempts GROUP BY 1",
		"tidegate_requests_ended_total":    "SELECT q.route || ' ' || r.state, count(*) FROM tidegate.results r JOIN tidegate.requests q ON q.id = r.request_id AND r.state <> 'cancelled' GROUP BY 1",
		"tidegate_results_sent_total":      "SELECT q.route || ' ' || r.state, count(*) FROM tidegate.results r JOIN tidegate.requests q ON q.id = r.request_id GROUP BY 1",
		"tidegate_call_duration_seconds":   "SELECT target, count(*) FROM tidegate.attempts WHERE class = 'OK' GROUP BY 1",
		"tidegate_request_wait_seconds":    "SELECT route, count(DISTINCT request_id) FROM tidegate.attempts WHERE route <> '' GROUP BY 1",
		"tidegate_tokens_total":            "SELECT target || ' input', sum(input_tokens) FROM tidegate.attempts WHERE class = 'OK' GROUP BY 1 UNION ALL SELECT target || ' output', sum(output_tokens) FROM tidegate.attempts WHERE class = 'OK' GROUP BY 1",
		"tidegate_cost_dollars_total":      "SELECT CASE route WHEN '' THEN 'none' ELSE route END || ' ' || target, sum(cost_micro_usd) / 1e6 FROM tidegate.attempts GROUP BY 1 HAVING sum(cost_micro_usd) > 0",
		"tidegate_requests_poisoned_total": "SELECT '', 0 WHERE false",
	} {
		want := st.ledger(name, sql)
		if diff := gocmp.Diff(want, got.only(name), equalEnough); diff != "" {
			t.Errorf("%s (-ledger +metrics):\n%s", name, diff)
		}
	}
	if got["tidegate_attempts_total TRANSIENT sim-cheap"]+got["tidegate_attempts_total OVERLOAD sim-cheap"] < 5 {
		t.Errorf("the outage is not seen: %v", got.only("tidegate_attempts_total"))
	}
	if n := got["tidegate_events_total true result"]; n < 40 {
		t.Errorf("%g events of results were sent", n)
	}
}

// TestMetricsOfALateAnswer: a call that was counted as LOST by a rescue, since its worker
// was cut off, is counted once when that one has an answer after all: one that is taken, and
// one that comes when another worker has answered.
func TestMetricsOfALateAnswer(t *testing.T) {
	t.Parallel()
	d := newDoor()
	st := newStage(t, staging{serve: d.serve, config: func(c *config.Config) { c.Targets, c.Routes[0].Chain = c.Targets[:1], c.Routes[0].Chain[:1] }})
	st.prepare()
	held, leads, err := st.store.Lead(t.Context(), "another", time.Hour)
	if err != nil || !leads {
		t.Fatal(leads, err)
	}
	d.Shut()
	batch := st.enqueue(2, nil)
	m := metrics.New("test")
	crew := st.work(func(c *app.StackConfig) {
		c.Metrics, c.Timing = m, worker.Timing{Beat: time.Hour, Stale: 2 * time.Hour, Dead: 3 * time.Hour} // it does not hear of its death
	})
	fixture.Await(t, soon, "both are called", func() bool { return d.Inside() == 2 })
	st.exec("UPDATE tidegate.river_job SET attempted_by = '{another}'") // which has them since
	done, err := st.store.Rescue(t.Context(), held, st.text("SELECT worker FROM tidegate.calls LIMIT 1"), jobs.RescueLimits{})
	if err != nil || done.Lost != 2 {
		t.Fatalf("%+v, %v", done, err)
	}
	m.Rescued(done)
	first := st.text("SELECT min(id::text) FROM tidegate.requests WHERE batch_id = '" + batch.ID + "'")
	_, _, err = st.store.Commit(t.Context(), []jobs.Entry{{Request: &jobs.Request{ID: first}, Result: &jobs.Result{ID: store.NewRequestID(), RequestID: first, State: jobs.StateRefused, Class: jobs.Content}}})
	check(t, err)
	st.exec("UPDATE tidegate.workers SET dead_at = NULL") // so that it ends in order
	d.Open()
	fixture.Await(t, soon, "both answers have come", func() bool { return st.calls(jobs.OK) == 2 })
	crew.stop()
	got := scrapeOf(t, m)
	if diff := gocmp.Diff(series{"tidegate_attempts_total LOST sim-cheap": 2}, got.only("tidegate_attempts_total")); diff != "" || st.count("SELECT count(*) FROM tidegate.attempts") != 2 {
		t.Errorf("two calls are counted as (-want +got)\n%s, of %d", diff, st.count("SELECT count(*) FROM tidegate.attempts"))
	}
	if wasted := got.only("tidegate_wasted_calls_total"); len(wasted) != 1 || wasted["tidegate_wasted_calls_total sim-cheap lost"] != 2 {
		t.Errorf("wasted: %v", wasted)
	}
	const spent = "tidegate_cost_dollars_total"
	cost := st.ledger(spent, "SELECT route || ' ' || target, sum(cost_micro_usd) / 1e6 FROM tidegate.attempts GROUP BY 1")
	if diff := gocmp.Diff(cost, got.only(spent), equalEnough); diff != "" || len(cost) != 1 {
		t.Errorf("their cost (-ledger +metrics):\n%s", diff)
	}
	if n := got["tidegate_requests_ended_total summaries answered"]; n != 1 {
		t.Errorf("%g are said to be answered", n)
	}
}

// equalEnough is for sums of dollars.
var equalEnough = gocmp.Comparer(func(a, b float64) bool { return a == b || a-b < 1e-9 && b-a < 1e-9 })

// TestMetricsOfProcesses: a worker answers probes and scrapes at an address of its own
// without a key; serve asks for one with the scope admin where everybody comes in.
func TestMetricsOfProcesses(t *testing.T) {
	t.Parallel()
	st := newStage(t, staging{})
	st.prepare()
	file := write(t, "tidegate.yaml", st.config.String()+"metrics_listen: 127.0.0.1:0\n")
	args := []string{"--config", file, "--database-url", st.URL, "--nats-url", st.NATSURL}
	worker := run(t, append([]string{"work"}, args...)...).await(`metrics on (http://\S+)/metrics`)
	var scraped series
	fixture.Await(t, soon, "the worker supervises", func() bool {
		_, text := fetch(t, worker+"/metrics", "")
		scraped = parseMetrics(t, text)
		return scraped["tidegate_worker_supervises"] == 1 && scraped["tidegate_workers worker alive"] == 1
	})
	if scraped["tidegate_pace_share_ratio sim-cheap"] != 1 || scraped["process_resident_memory_bytes"] == 0 {
		t.Errorf("%v", scraped)
	}
	for path, says := range map[string]string{"/healthz": `"ok"`, "/readyz": `"ready"`} {
		if status, text := fetch(t, worker+path, ""); status != http.StatusOK || !strings.Contains(text, says) {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	server := run(t, append([]string{"serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"}, args...)...).await(`listening on (http://\S+)`)
	reader, readKey, err := st.store.CreateKey(t.Context(), jobs.Key{Tenant: "acme", Scopes: []jobs.KeyScope{jobs.ScopeRead}})
	check(t, err)
	_, adminKey, err := st.store.CreateKey(t.Context(), jobs.Key{Tenant: "acme", Scopes: jobs.KeyScopes()})
	check(t, err)
	fixture.Await(t, soon, "a key is asked for", func() bool { status, _ := fetch(t, server+"/metrics", ""); return status == http.StatusUnauthorized })
	for key, want := range map[string]int{readKey: http.StatusForbidden, adminKey: http.StatusOK} {
		status, text := fetch(t, server+"/metrics", key)
		if status != want {
			t.Errorf("with a key of %s: %d, not %d", reader.Tenant, status, want)
		}
		if strings.Contains(text, "acme") || want == http.StatusOK && parseMetrics(t, text)["tidegate_fleet_up"] != 1 {
			t.Errorf("%s", text)
		}
	}
}

// fetch gets a page, with a key if there is one.
func fetch(t *testing.T, url, key string) (status int, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	check(t, err)
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	response, err := http.DefaultClient.Do(request)
	check(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	check(t, err)
	return response.StatusCode, string(body)
}
