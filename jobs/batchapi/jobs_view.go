package batchapi

import (
	"encoding/json"
	"net/http"
	"time"

	"tidegate/jobs"
	"tidegate/store"
)

// Where a request stands that has no result. One that has stands as that says.
const (
	jobWaiting = "waiting"
	jobRunning = "running"
)

// A jobView is a request as the API shows it, by the names of a line of a file.
type jobView struct {
	ID            string            `json:"id"`
	Object        string            `json:"object"`
	Status        string            `json:"status"`
	URL           string            `json:"url"`
	Route         string            `json:"route"`
	Goal          *string           `json:"optimization_goal"`
	CustomID      *string           `json:"custom_id"`
	BatchID       *string           `json:"batch_id"`
	Priority      int               `json:"priority"`
	MaxCostUSD    *float64          `json:"max_cost_usd"`
	Metadata      map[string]string `json:"metadata"`
	CreatedAt     time.Time         `json:"created_at"`
	Deadline      *time.Time        `json:"deadline"`
	EndedAt       *time.Time        `json:"ended_at"`
	Result        *resultView       `json:"result"`
	ResultSubject string            `json:"result_subject"`
	Links         linksView         `json:"links"`
	Forecast      *forecastView     `json:"forecast,omitempty"` // of one that has no result
}

type linksView struct {
	Self  string  `json:"self"`
	Batch *string `json:"batch"`
}

// A resultView is a result by the names of its event.
type resultView struct {
	ID           string          `json:"id"`
	State        jobs.State      `json:"state"`
	Target       *string         `json:"target"`
	Model        *string         `json:"model"`
	FinishReason *string         `json:"finish_reason"`
	Usage        jobs.Usage      `json:"usage"`
	CostMicroUSD *jobs.MicroUSD  `json:"cost_micro_usd"` // null: not known
	CostUSD      *float64        `json:"cost_usd"`
	Attempts     int             `json:"attempts"`
	BadAnswers   int             `json:"bad_answers"`
	Escalated    bool            `json:"escalated"`
	Unmet        *string         `json:"unmet"`
	BodyBytes    int             `json:"response_bytes"`
	Response     json.RawMessage `json:"response"`
	Error        *whyView        `json:"error"`
	StoredAt     time.Time       `json:"stored_at"`
}

// A whyView says why there is no answer.
type whyView struct {
	Class   *jobs.Class `json:"class"`
	Status  int         `json:"status"`
	Code    *string     `json:"code"`
	Message string      `json:"message"`
}

// viewJob shows a request.
func viewJob(s *store.Standing) jobView {
	r := &s.Request
	view := jobView{
		ID: r.ID, Object: "job", Status: jobWaiting, URL: r.Endpoint.String(), Route: r.Route, Goal: orNull(r.Goal), CustomID: orNull(r.CustomID), BatchID: orNull(r.BatchID),
		Priority: r.Rank(), Metadata: r.Metadata, CreatedAt: r.CreatedAt.UTC(), Deadline: orNull(r.Deadline.UTC()),
		ResultSubject: resultSubject(r), Links: linksView{Self: jobPath(r.ID)},
	}
	if r.MaxCost > 0 {
		view.MaxCostUSD = orNull(r.MaxCost.Dollars())
	}
	if r.BatchID != "" {
		view.Links.Batch = orNull(batchPath(r.BatchID))
	}
	if s.Running {
		view.Status = jobRunning
	}
	if s.Result != nil {
		view.Status, view.Result = string(s.Result.State), viewResult(s.Result)
		view.EndedAt = &view.Result.StoredAt
	}
	return view
}

func viewResult(e *jobs.ResultEvent) *resultView {
	view := &resultView{
		ID: e.ID, State: e.State, Target: orNull(e.Target), Model: orNull(e.Model), FinishReason: orNull(e.FinishReason), Usage: e.Usage,
		Attempts: e.Attempts, BadAnswers: e.BadAnswers, Escalated: e.Escalated(), Unmet: orNull(e.Unmet()),
		BodyBytes: e.BodyBytes, Response: answerOf(e.Body), StoredAt: e.StoredAt.UTC(),
	}
	if !e.Unpriced {
		usd := e.Cost.Dollars()
		view.CostMicroUSD, view.CostUSD = &e.Cost, &usd
	}
	if e.State != jobs.StateAnswered {
		view.Error = &whyView{Class: orNull(e.Class), Status: e.Status, Code: orNull(e.Code), Message: e.Message}
	}
	return view
}

// answerOf is an answer as it is; one that is no JSON, as text.
func answerOf(body []byte) json.RawMessage {
	switch {
	case len(body) == 0:
		return nil
	case json.Valid(body):
		return body
	}
	text, _ := json.Marshal(string(body)) // of text it never fails
	return text
}

// resultSubject is where the result of a request comes on NATS. It follows from whose
// and what it is: filters of those who follow results are made of the same names.
func resultSubject(r *jobs.Request) string {
	return jobs.ResultSubject(r.Tenant, r.Route, r.BatchID, r.ID)
}

// standing reads the request that the path of a call names, if it is the caller's.
func (s *Server) standing(r *http.Request) (store.Standing, error) {
	id, err := pathID(r, "Job")
	if err != nil {
		return store.Standing{}, err
	}
	standing, err := s.config.Store.Standing(r.Context(), caller(r).Tenant, id)
	return standing, found(err, "Job", id)
}

func (s *Server) getJob(w http.ResponseWriter, r *http.Request) error {
	standing, err := s.standing(r)
	if err != nil {
		return err
	}
	if standing.Result != nil {
		size := 2 * int64(len(standing.Result.Body)) // it is copied once to be sent
		if !s.answers.take(size) {
			return errBusy
		}
		defer s.answers.give(size)
	}
	writeJSON(w, http.StatusOK, s.jobForeseen(w, r, viewJob(&standing), &standing.Request))
	return nil
}

// cancelJob ends a request that has no result. One that was cancelled is answered the
// same way again; one that ended otherwise keeps its result.
func (s *Server) cancelJob(w http.ResponseWriter, r *http.Request) error {
	standing, err := s.standing(r)
	if err != nil {
		return err
	}
	if standing.Result == nil {
		if _, err := s.config.Store.CancelRequest(r.Context(), standing.Request.ID); err != nil {
			return found(err, "Job", standing.Request.ID)
		}
		if standing, err = s.config.Store.Standing(r.Context(), standing.Request.Tenant, standing.Request.ID); err != nil {
			return found(err, "Job", standing.Request.ID)
		}
	}
	if standing.Result != nil && standing.Result.State != jobs.StateCancelled {
		return &apiError{
			status: http.StatusConflict, kind: invalidRequest, code: "job_not_cancellable", param: "id",
			message: "Cannot cancel a job with status '" + string(standing.Result.State) + "'; it keeps its result.",
		}
	}
	writeJSON(w, http.StatusOK, viewJob(&standing))
	return nil
}
