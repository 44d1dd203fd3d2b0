package batchapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"tidegate/jobs"
)

// warningHeader says of what was accepted that its deadline is thought to be missed.
const warningHeader = "Tidegate-Warning"

// Forecasts say when something will be done. They are safe for concurrent use.
type Forecasts interface {
	// Batch says when a batch will be done, and its deadline; zero: it has none.
	Batch(ctx context.Context, batch *jobs.Batch) (said jobs.Forecast, deadline time.Time, err error)
	// Batches says it of many, in their order, for about what it costs to ask of one.
	Batches(ctx context.Context, batches []jobs.Batch) ([]jobs.Foreseen, error)
	// Request says when a request will be done that has no result.
	Request(ctx context.Context, request *jobs.Request) (jobs.Forecast, error)
}

// A forecastView is a forecast as the API shows it. Like the other times of a batch, its
// times are seconds since 1970.
type forecastView struct {
	DoneAt   *int64  `json:"done_at"` // null: nobody can say
	Earliest *int64  `json:"earliest"`
	Latest   *int64  `json:"latest"`
	Work     *int64  `json:"work_seconds"`
	Ahead    int     `json:"jobs_ahead"`
	Missed   *string `json:"deadline_missed"` // likely, possible or null
	Reason   *string `json:"reason"`
}

// viewForecast shows a forecast; nil: nothing waits.
func viewForecast(said jobs.Forecast, deadline time.Time) *forecastView {
	if said == (jobs.Forecast{}) {
		return nil
	}
	view := &forecastView{
		DoneAt: seconds(said.At), Earliest: seconds(said.Early), Latest: seconds(said.Late), Work: orNull(int64(said.Work.Round(time.Second) / time.Second)),
		Ahead: said.Ahead, Reason: orNull(said.Reason),
	}
	switch will, may := said.Misses(deadline); {
	case will:
		view.Missed = orNull("likely")
	case may:
		view.Missed = orNull("possible")
	}
	return view
}

// batchForeseen shows a batch with its forecast. One that cannot be made is left out: what
// was asked for is there. A warning that its deadline is missed goes into the header.
func (s *Server) batchForeseen(w http.ResponseWriter, r *http.Request, batch *jobs.Batch) batchView {
	view := viewBatch(batch)
	if s.config.Forecasts == nil || batch.Ended() {
		return view
	}
	said, deadline, err := s.config.Forecasts.Batch(r.Context(), batch)
	if err != nil {
		s.config.Log.Debug().Err(err).Msg("a batch is shown without its forecast")
		return view
	}
	view.Forecast = viewForecast(said, deadline)
	s.warn(w, r, said, deadline)
	return view
}

// foresee adds forecasts to a list of batches. Where they cannot be made it goes without.
func (s *Server) foresee(ctx context.Context, batches []jobs.Batch, shown []batchView) {
	if s.config.Forecasts == nil {
		return
	}
	said, err := s.config.Forecasts.Batches(ctx, batches[:len(shown)])
	if err != nil {
		s.config.Log.Debug().Err(err).Msg("batches are listed without their forecasts")
		return
	}
	for i := range shown {
		shown[i].Forecast = viewForecast(said[i].Said, said[i].Deadline)
	}
}

// warn says in a header that a deadline is thought to be missed, to who has just sent
// what has it.
func (s *Server) warn(w http.ResponseWriter, r *http.Request, said jobs.Forecast, deadline time.Time) {
	if r.Method != http.MethodPost {
		return
	}
	if warning := said.Warning(deadline, s.config.Now().UTC()); warning != "" {
		w.Header().Set(warningHeader, strings.ReplaceAll(warning, "±", "+-")) // headers are ASCII
	}
}

// jobForeseen is batchForeseen for one request.
func (s *Server) jobForeseen(w http.ResponseWriter, r *http.Request, view jobView, request *jobs.Request) jobView {
	if s.config.Forecasts == nil || view.Result != nil {
		return view
	}
	said, err := s.config.Forecasts.Request(r.Context(), request)
	if err != nil {
		s.config.Log.Debug().Err(err).Msg("a job is shown without its forecast")
		return view
	}
	view.Forecast = viewForecast(said, request.Deadline)
	s.warn(w, r, said, request.Deadline)
	return view
}
