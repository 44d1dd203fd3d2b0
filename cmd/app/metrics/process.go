package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"tidegate/jobs"
)

// Buckets: of calls, from what a cache answers to the longest that anybody waits; of
// waits, from at once to some days; and those that OpenTelemetry has for its two.
var (
	callSeconds  = []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320}
	waitSeconds  = []float64{.1, .5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 72 * 3600}
	genAISeconds = []float64{.01, .02, .04, .08, .16, .32, .64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92}
	genAITokens  = []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}
)

// Why a call was wasted.
const (
	wastedLost      = "lost"      // we stopped listening: it may have been billed
	wastedDiscarded = "discarded" // its answer came when the request had ended
	wastedBad       = "bad"       // its answer was not as expected
)

// tokenKinds are the types of tokens.
var tokenKinds = []string{"input", "cached_input", "output", "reasoning"}

// counts are what the process counts.
type counts struct {
	ended, sent                                                *prometheus.CounterVec
	attempts, probes, tokens, cost, unpriced                   *prometheus.CounterVec
	wasted, wastedCost                                         *prometheus.CounterVec
	events                                                     *prometheus.CounterVec
	expired, rescues, rescuedJobs, lost, quarantined, poisoned prometheus.Counter
	calls, firstBytes, waits, durations, genAI, genAIUse       *prometheus.HistogramVec
}

func newCounts(to prometheus.Registerer) *counts {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		made := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		to.MustRegister(made)
		return made
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		made := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
		to.MustRegister(made)
		return made
	}
	single := func(name, help string) prometheus.Counter { return counter(name, help).WithLabelValues() }
	genAI := []string{"gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"}
	return &counts{
		ended:       counter("tidegate_requests_ended_total", "Requests whose result this worker stored, by how they ended.", "route", "state"),
		sent:        counter("tidegate_results_sent_total", "Results whose event is on NATS, by how their requests ended: whoever ended them, also those that were cancelled or expired in their queue.", "route", "state"),
		expired:     single("tidegate_requests_expired_waiting_total", "Requests whose deadline passed in their queue, as this supervisor found out."),
		attempts:    counter("tidegate_attempts_total", "Calls to targets, by what came of them: OK, or the class of the failure.", "target", "class"),
		probes:      counter("tidegate_probes_total", "Trial calls of half-open circuits, and canaries: those of no request are idle.", "target", "class", "idle"),
		tokens:      counter("tidegate_tokens_total", "Tokens as providers counted them; cached_input is a part of input, reasoning one of output.", "target", "type"),
		cost:        counter("tidegate_cost_dollars_total", "What calls cost, as far as it is known.", "route", "target"),
		unpriced:    counter("tidegate_unpriced_calls_total", "Calls of which nobody knows what they cost.", "target"),
		wasted:      counter("tidegate_wasted_calls_total", "Calls that may have been paid for nothing: lost, discarded, or bad.", "target", "why"),
		wastedCost:  counter("tidegate_wasted_cost_dollars_total", "What wasted calls cost, as far as it is known.", "target", "why"),
		events:      counter("tidegate_events_total", "Events that were sent to NATS: acknowledged, or not and so sent again later.", "type", "acknowledged"),
		rescues:     single("tidegate_rescues_total", "Workers that this supervisor declared dead."),
		rescuedJobs: single("tidegate_rescued_jobs_total", "Jobs of dead workers that this supervisor gave to others."),
		lost:        single("tidegate_rescue_lost_calls_total", "Calls that were under way when their workers died."),
		quarantined: single("tidegate_requests_quarantined_total", "Requests that run alone since workers died of them."),
		poisoned:    single("tidegate_requests_poisoned_total", "Requests that ended as poison: workers died of them while they ran alone."),
		calls:       histogram("tidegate_call_duration_seconds", "How long calls took that a target answered.", callSeconds, "target"),
		firstBytes:  histogram("tidegate_call_first_byte_seconds", "How long it took until an answer began: its first byte, or the first token of a stream.", callSeconds, "target"),
		waits:       histogram("tidegate_request_wait_seconds", "From when a request was accepted to its first call.", waitSeconds, "route"),
		durations:   histogram("tidegate_request_duration_seconds", "From when a request was accepted to its result.", waitSeconds, "route"),
		genAI:       histogram("gen_ai_client_operation_duration_seconds", "Duration of calls, as OpenTelemetry names it.", genAISeconds, append(genAI, "error_type")...),
		genAIUse:    histogram("gen_ai_client_token_usage", "Tokens of calls, as OpenTelemetry names it.", genAITokens, append(genAI, "gen_ai_token_type")...),
	}
}

// Kept counts what a worker wrote down; see worker.Watch.
func (m *Metrics) Kept(entry *jobs.Entry, stored bool) {
	c, route, request := m.counts, m.routes.of(entry.Request.Route), entry.Request
	attempts := entry.Trace.Attempts()
	for i := range attempts {
		m.attempt(request, &attempts[i])
	}
	if entry.Result == nil {
		return
	}
	if !stored {
		m.discarded(attempts)
		return
	}
	c.ended.WithLabelValues(route, string(entry.Result.State)).Inc()
	if request.CreatedAt.IsZero() {
		return
	}
	if n := len(attempts); n > 0 {
		last := &attempts[n-1]
		c.durations.WithLabelValues(route).Observe(max(0, last.At.Add(last.Latency).Sub(request.CreatedAt).Seconds()))
	}
	if len(attempts) > 0 && entry.Result.Attempts == len(attempts) { // or else earlier ones were kept before
		c.waits.WithLabelValues(route).Observe(max(0, attempts[0].At.Sub(request.CreatedAt).Seconds()))
	}
}

// discarded counts the answer that came too late.
func (m *Metrics) discarded(attempts []jobs.Attempt) {
	for i := range attempts {
		if attempts[i].Class == jobs.OK {
			m.waste(&attempts[i], wastedDiscarded)
		}
	}
}

func (m *Metrics) attempt(request *jobs.Request, a *jobs.Attempt) {
	c, target, class := m.counts, m.targets.of(a.Target), classOf(a.Class)
	if !a.Late { // or else who supervises has counted it, as LOST
		c.attempts.WithLabelValues(target, class).Inc()
	}
	switch idle := request.ID == jobs.NoRequest; {
	case idle:
		c.probes.WithLabelValues(target, class, "true").Inc()
	case a.Probe:
		c.probes.WithLabelValues(target, class, "false").Inc()
	}
	for kind, n := range map[string]int{"input": a.Usage.Input, "cached_input": a.Usage.CachedInput, "output": a.Usage.Output, "reasoning": a.Usage.Reasoning} {
		if n > 0 {
			c.tokens.WithLabelValues(target, kind).Add(float64(n))
		}
	}
	c.cost.WithLabelValues(m.routes.of(request.Route), target).Add(max(0, a.Cost.Dollars()))
	if a.Unpriced {
		c.unpriced.WithLabelValues(target).Inc()
	}
	switch a.Class {
	case jobs.Lost:
		m.waste(a, wastedLost)
	case jobs.Invalid:
		m.waste(a, wastedBad)
	}
	if a.Class.Answered() {
		c.calls.WithLabelValues(target).Observe(a.Latency.Seconds())
	}
	if a.FirstByte > 0 {
		c.firstBytes.WithLabelValues(target).Observe(a.FirstByte.Seconds())
	}
	m.genAI(request.Endpoint, a, class)
}

func (m *Metrics) genAI(endpoint jobs.Endpoint, a *jobs.Attempt, class string) {
	c, of := m.counts, m.target(a.Target)
	if of == (Target{}) {
		return
	}
	operation, failure := endpoint.Operation(), ""
	if a.Class != jobs.OK {
		failure = class
	}
	c.genAI.WithLabelValues(operation, of.Provider, of.Model, failure).Observe(a.Latency.Seconds())
	for kind, n := range map[string]int{"input": a.Usage.Input, "output": a.Usage.Output} {
		if n > 0 {
			c.genAIUse.WithLabelValues(operation, of.Provider, of.Model, kind).Observe(float64(n))
		}
	}
}

func (m *Metrics) waste(a *jobs.Attempt, why string) {
	target := m.targets.of(a.Target)
	if a.Late { // it was counted as lost, and now it is known what it cost
		why = wastedLost
	} else {
		m.counts.wasted.WithLabelValues(target, why).Inc()
	}
	m.counts.wastedCost.WithLabelValues(target, why).Add(max(0, a.Cost.Dollars()))
}

// Expired counts requests that expired in their queues.
func (m *Metrics) Expired(requests int) { m.counts.expired.Add(float64(requests)) }

// Rescued counts what was done with the jobs of a dead worker.
func (m *Metrics) Rescued(done jobs.Rescue) {
	c := m.counts
	c.rescues.Inc()
	c.rescuedJobs.Add(float64(done.Returned))
	c.lost.Add(float64(done.Lost))
	for target, n := range done.LostAt {
		target = m.targets.of(target)
		c.attempts.WithLabelValues(target, string(jobs.Lost)).Add(float64(n))
		c.wasted.WithLabelValues(target, wastedLost).Add(float64(n))
	}
	c.quarantined.Add(float64(done.Quarantined))
	c.poisoned.Add(float64(done.Poisoned))
}

// Sent counts an event.
func (m *Metrics) Sent(event *jobs.Event, acknowledged bool) {
	kind := "result"
	switch {
	case event.Batch != nil:
		kind = "batch"
	case event.Circuit != nil:
		kind = "circuit"
	case event.Pause != nil:
		kind = "pause"
	case event.Budget != nil:
		kind = "budget"
	}
	m.counts.events.WithLabelValues(kind, yes(acknowledged)).Inc()
	if r := event.Result; r != nil && acknowledged {
		m.counts.sent.WithLabelValues(m.routes.of(r.Route), string(r.State)).Inc()
	}
}

func classOf(class jobs.Class) string {
	if !class.Valid() {
		return other
	}
	return string(class)
}

func yes(is bool) string {
	if is {
		return "true"
	}
	return "false"
}
