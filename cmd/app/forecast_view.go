package app

import (
	"context"
	"time"

	"tidegate/jobs"
	"tidegate/store"
	"tidegate/worker/publish"
)

// A forecastView is a forecast as JSON shows it.
type forecastView struct {
	DoneAt   time.Time `json:"done_at,omitzero"` // missing: nobody can say
	Earliest time.Time `json:"earliest,omitzero"`
	Latest   time.Time `json:"latest,omitzero"`
	WorkMS   int64     `json:"work_ms"` // from when it can be worked on; zero: nobody can say
	Ahead    int       `json:"jobs_ahead"`
	Reason   string    `json:"reason,omitempty"`
	Text     string    `json:"text"`
	Deadline time.Time `json:"deadline,omitzero"`
	Missed   string    `json:"deadline_missed,omitempty"` // likely or possible

	said jobs.Forecast
}

// How a deadline is missed.
const (
	missedLikely   = "likely"
	missedPossible = "possible"
)

// viewForecast shows a forecast; nil: nothing waits.
func viewForecast(said jobs.Forecast, deadline, now time.Time) *forecastView {
	if said == (jobs.Forecast{}) {
		return nil
	}
	view := &forecastView{
		DoneAt: said.At, Earliest: said.Early, Latest: said.Late, WorkMS: said.Work.Milliseconds(), Ahead: said.Ahead,
		Reason: said.Reason, Text: said.Text(now), Deadline: deadline, said: said,
	}
	switch will, may := said.Misses(deadline); {
	case will:
		view.Missed = missedLikely
	case may:
		view.Missed = missedPossible
	}
	return view
}

// short is it in a table; of nothing, too.
func (v *forecastView) short(now time.Time) string {
	if v == nil {
		return "-"
	}
	text := v.said.Short(now)
	switch v.Missed {
	case missedLikely:
		text += ", late"
	case missedPossible:
		text += ", maybe late"
	}
	return text
}

// A batchView is a batch as a status shows it.
type batchView struct {
	publish.BatchBody
	Forecast *forecastView `json:"forecast,omitempty"`
}

// foresee adds forecasts to a status. Where they cannot be made it goes without.
func (v *statusView) foresee(ctx context.Context, f *forecasts, s *store.Status, zone *time.Location) {
	outlook, err := f.outlook(ctx)
	if err != nil {
		return
	}
	now := v.At.In(zone)
	for i := range v.Routes {
		v.Routes[i].Forecast = viewForecast(outlook.Route(v.Routes[i].Route), time.Time{}, now)
	}
	foreseen, err := f.Batches(ctx, s.Batches)
	if err != nil {
		return
	}
	for i := range v.Batches {
		v.Batches[i].Forecast = viewForecast(foreseen[i].Said, foreseen[i].Deadline, now)
	}
}
