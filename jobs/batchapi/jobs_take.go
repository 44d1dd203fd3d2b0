package batchapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"
	"unicode/utf8"

	"tidegate/jobs"
	"tidegate/store"
)

// takeJob accepts one request.
func (s *Server) takeJob(w http.ResponseWriter, r *http.Request) error {
	if s.config.Queue == nil {
		return errNoQueue
	}
	body, leave, err := s.readLarge(r, jobs.MaxLineBytes)
	defer leave()
	if err != nil {
		return err
	}
	once, err := s.onceIfTold(r, "job", body)
	if err != nil {
		return err
	}
	tenant := caller(r).Tenant
	request := jobs.Request{Tenant: tenant}
	id, err := s.config.Store.Seen(r.Context(), &once, tenant)
	if err == nil && id == "" {
		id, request, err = s.enqueueOne(r, body, once)
	}
	if err != nil {
		return err
	}
	standing, err := s.config.Store.Standing(r.Context(), tenant, id)
	if err != nil { // it was accepted all the same, and must not come again for this
		request.ID = id
		standing = store.Standing{Request: request}
	}
	w.Header().Set("Location", jobPath(id))
	writeJSON(w, http.StatusAccepted, s.jobForeseen(w, r, viewJob(&standing), &standing.Request))
	return nil
}

// enqueueOne accepts the request that a body says.
func (s *Server) enqueueOne(r *http.Request, body []byte, once store.Once) (id string, request jobs.Request, err error) {
	read, err := s.reading(r)
	if err != nil {
		return "", request, err
	}
	if request, err = jobs.ReadLine(body, read.LineOptions); err != nil {
		return "", request, read.fault("", err)
	}
	request.CreatedAt = s.config.Now().Truncate(time.Microsecond)
	id, err = s.config.Queue.EnqueueOnce(r.Context(), request, once)
	return id, request, err
}

// onceIfTold is onceOf for what costs a row more: only who may repeat a request, by
// its own word, has it remembered.
func (s *Server) onceIfTold(r *http.Request, what string, body []byte) (store.Once, error) {
	if r.Header.Get("Idempotency-Key") == "" && r.Header.Get("X-Stainless-Retry-Count") == "" {
		return store.Once{}, nil
	}
	return onceOf(r, what, append(body, r.URL.RawQuery...))
}

// takeMany accepts requests as one batch, all or none.
func (s *Server) takeMany(w http.ResponseWriter, r *http.Request) error {
	if s.config.Queue == nil {
		return errNoQueue
	}
	body, leave, err := s.readLarge(r, maxManyBytes)
	defer leave()
	if err != nil {
		return err
	}
	once, err := s.onceIfTold(r, "jobs", body)
	if err != nil {
		return err
	}
	tenant, count := caller(r).Tenant, 0
	id, err := s.config.Store.Seen(r.Context(), &once, tenant)
	if err == nil && id == "" {
		id, count, err = s.enqueueMany(r, body, once)
	}
	if err != nil {
		return err
	}
	batch, err := s.config.Store.Batch(r.Context(), id)
	if err != nil { // it was accepted all the same, and must not come again for this
		batch = jobs.Batch{ID: id, Tenant: tenant, State: jobs.BatchInProgress, Total: count, CreatedAt: s.config.Now()}
	}
	w.Header().Set("Location", batchPath(id))
	writeJSON(w, http.StatusAccepted, s.batchForeseen(w, r, &batch))
	return nil
}

// enqueueMany accepts the requests that a body says, and returns how many they are.
func (s *Server) enqueueMany(r *http.Request, body []byte, once store.Once) (id string, n int, err error) {
	read, err := s.reading(r)
	if err != nil {
		return "", 0, err
	}
	many, err := s.readMany(r, read, body)
	if err != nil {
		return "", 0, err
	}
	id, err = s.config.Queue.EnqueueManyOnce(r.Context(), caller(r).Tenant, many.requests, jobs.BudgetLimits{Total: many.defaults.Budget}, once)
	return id, len(many.requests), err
}

// many are requests that come in one body.
type many struct {
	requests []jobs.Request
	defaults jobs.Defaults
}

// readMany reads a body of either kind.
func (s *Server) readMany(r *http.Request, read *reading, body []byte) (many, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err != nil:
	case kind == "application/json":
		return read.object(body)
	case kind == "application/x-ndjson", kind == "application/jsonl":
		return read.lines(r.URL.Query(), body)
	}
	return many{}, &apiError{
		status: http.StatusUnsupportedMediaType, kind: invalidRequest, code: "unsupported_content_type", param: "Content-Type",
		message: `send {"jobs": […]} as application/json, or one request on each line as application/x-ndjson`,
	}
}

// object reads {"jobs": […], "batch": {…}}.
func (read *reading) object(body []byte) (m many, err error) {
	if !utf8.Valid(body) {
		return m, invalid("", "invalid_json", "the body is not UTF-8")
	}
	list, said, err := jobs.SplitMany(body)
	if err != nil {
		return m, read.fault("", err)
	}
	if said != nil {
		if m.defaults, err = jobs.ReadDefaults(said, read.LineOptions); err != nil {
			return m, read.fault("batch", err)
		}
	}
	read.fillFrom(&m.defaults)
	m.requests, err = read.all(jobs.ReadList(list, read.LineOptions), &m.defaults, func(n int) string { return fmt.Sprintf("jobs[%d]", n-1) })
	return m, err
}

// lines reads one request from each line; what is said of all stands in the query.
func (read *reading) lines(query url.Values, body []byte) (m many, err error) {
	said, err := defaultsOf(query)
	if err != nil {
		return m, err
	}
	if m.defaults, err = jobs.ReadDefaults(said, read.LineOptions); err != nil {
		return m, read.fault("", err)
	}
	read.fillFrom(&m.defaults)
	m.requests, err = read.all(jobs.ReadLines(bytes.NewReader(body), read.LineOptions), &m.defaults, func(n int) string { return fmt.Sprintf("line %d", n) })
	return m, err
}

// fillFrom has requests that name no route take the default one, as it is chosen for
// all, before that of their model.
func (read *reading) fillFrom(defaults *jobs.Defaults) {
	if defaults.Route != "" {
		read.DefaultRoute, read.Routes = defaults.Route, nil
	}
}

// defaultsOf writes a query as the object that it stands for.
func defaultsOf(query url.Values) ([]byte, error) {
	if err := onlyParameters(query, "route", "goal", "optimization_goal", "deadline", "max_cost_usd", "priority", "budget_usd"); err != nil {
		return nil, err
	}
	object := map[string]any{}
	for name, values := range query {
		object[name] = values[0]
	}
	for _, name := range []string{"max_cost_usd", "priority", "budget_usd"} {
		text := query.Get(name)
		if text == "" {
			continue
		}
		if _, err := strconv.ParseFloat(text, 64); err != nil {
			return nil, invalid(name, "invalid_value", "%s: %s is not a number", name, shown(text))
		}
		object[name] = json.Number(text)
	}
	text, err := json.Marshal(object)
	if err != nil { // a number that Go reads and JSON does not have
		return nil, invalid("", "invalid_value", "a number of the query is written as JSON has none")
	}
	return text, nil
}

// all reads requests to their end, and says what is wrong with them, of many at once.
func (read *reading) all(requests iter.Seq2[jobs.Request, error], defaults *jobs.Defaults, place func(int) string) (all []jobs.Request, err error) {
	var faults []*apiError
	count := 0
	for request, err := range requests {
		if count++; count > maxMany {
			return nil, invalid("jobs", "too_many_jobs", "more than %d requests: send them in several calls, or as a file to /v1/batches", maxMany)
		}
		if err == nil {
			err = defaults.FillIn(&request)
		}
		if err != nil {
			var line *jobs.LineError
			number := read.reached
			if errors.As(err, &line) && line.Line > 0 {
				number = line.Line
			}
			if faults = append(faults, read.fault(place(number), err)); len(faults) == jobs.MaxBatchFaults {
				return nil, several(faults, true)
			}
			continue
		}
		all = append(all, request)
	}
	switch {
	case len(faults) > 0:
		return nil, several(faults, false)
	case len(all) == 0:
		return nil, invalid("jobs", "empty_batch", "there is not one request")
	}
	return all, nil
}

func jobPath(id string) string   { return "/v1/jobs/" + id }
func batchPath(id string) string { return "/v1/batches/" + id }
