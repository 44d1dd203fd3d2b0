package metrics

import "github.com/prometheus/client_golang/prometheus"

// working shows what the worker of this process says of itself.
type working struct {
	metrics                                                      *Metrics
	rate, limit, share, accepted, paused, inFlight, places, jobs *prometheus.Desc
	leads                                                        *prometheus.Desc
}

func newWorking(m *Metrics) *working {
	of := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"target"}, nil)
	}
	return &working{
		metrics:  m,
		rate:     of("tidegate_pace_calls_per_second", "How many calls a second this worker may make to a target now; absent: there is no bound."),
		limit:    of("tidegate_pace_limit_calls_per_second", "This worker's share of the account's limit; absent: none is known."),
		share:    of("tidegate_pace_share_ratio", "The share of the account's limits that this worker has."),
		accepted: of("tidegate_pace_accepted_calls_per_second", "How many calls a second the target took from this worker lately."),
		paused:   of("tidegate_pace_paused", "1 while a target that answered with 429 is left alone for a moment."),
		inFlight: of("tidegate_calls_in_flight", "Calls of this worker that are out."),
		places:   of("tidegate_call_places", "How many calls at once this worker may make; absent: there is no bound."),
		jobs:     prometheus.NewDesc("tidegate_worker_jobs", "Jobs in the hands of this worker: at the gate, or called.", []string{"route", "place"}, nil),
		leads:    prometheus.NewDesc("tidegate_worker_supervises", "1 if the worker of this process supervises the fleet.", nil, nil),
	}
}

// Describe is for prometheus.Collector.
func (w *working) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{w.rate, w.limit, w.share, w.accepted, w.paused, w.inFlight, w.places, w.jobs, w.leads} {
		to <- d
	}
}

// Collect is for prometheus.Collector.
func (w *working) Collect(to chan<- prometheus.Metric) {
	works := w.metrics.works.Load()
	if works == nil {
		return
	}
	show := func(of *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(of, prometheus.GaugeValue, value, labels...)
	}
	if works.Leads != nil {
		show(w.leads, number(works.Leads()))
	}
	if works.InHand != nil && works.Waiting != nil {
		for route, n := range works.InHand() {
			gate := works.Waiting(route)
			route = w.metrics.routes.of(route)
			show(w.jobs, float64(gate), route, "gate")
			show(w.jobs, float64(max(0, n-gate)), route, "called")
		}
	}
	if works.Paces == nil {
		return
	}
	for _, p := range works.Paces() {
		target := w.metrics.targets.of(p.Target)
		if p.Rate > 0 {
			show(w.rate, p.Rate, target)
		}
		if p.Limit > 0 {
			show(w.limit, p.Limit, target)
		}
		if p.Places > 0 {
			show(w.places, float64(p.Places), target)
		}
		show(w.share, p.Share, target)
		show(w.accepted, p.Accepted, target)
		show(w.paused, number(!p.PausedUntil.IsZero()), target)
		show(w.inFlight, float64(p.InFlight), target)
	}
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
