package batchapi

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"tidegate/jobs"
	"tidegate/store"
)

const (
	defaultJobs = 20
	mostJobs    = 100
	// listBytes bounds the answers that come with one page.
	listBytes = 16 << 20
)

// listJobs shows a page of the caller's requests, the newest first.
func (s *Server) listJobs(w http.ResponseWriter, r *http.Request) error {
	filter, err := s.jobFilter(r)
	if err != nil {
		return err
	}
	page, err := s.config.Store.Standings(r.Context(), filter)
	if err != nil {
		return err
	}
	view := viewList(page.All, len(page.All), viewJob, func(one *store.Standing) string { return one.Request.ID })
	view.LastID, view.HasMore = orNull(page.Last), page.More
	if !page.More && len(page.All) > 0 {
		view.LastID = orNull(page.All[len(page.All)-1].Request.ID)
	}
	writeJSON(w, http.StatusOK, view)
	return nil
}

// jobFilter reads which requests are asked for.
func (s *Server) jobFilter(r *http.Request) (f store.StandingFilter, err error) {
	query := r.URL.Query()
	if err := onlyParameters(query, "after", "limit", "order", "batch", "status", "include"); err != nil {
		return f, err
	}
	f = store.StandingFilter{Tenant: caller(r).Tenant}
	if f.Page, err = readPage(r, defaultJobs, mostJobs); err != nil {
		return f, err
	}
	if f.Batch, err = s.ownBatch(r, query.Get("batch")); err != nil {
		return f, err
	}
	switch include := query.Get("include"); include {
	case "":
	case "response":
		f.Bodies = listBytes
	default:
		return f, invalid("include", "invalid_value", "include: %s is not known; there is response", shown(include))
	}
	switch status := query.Get("status"); {
	case status == "":
	case status == jobWaiting:
		f.Waiting = true
	case status == jobRunning:
		f.Running = true
	case slices.Contains(jobs.States(), jobs.State(status)):
		f.State = jobs.State(status)
	default:
		return f, invalid("status", "invalid_value", "status: %s is none of %s", shown(status), strings.Join(jobStatuses(), ", "))
	}
	return f, nil
}

// onlyParameters refuses what would be left unheard, and what is said twice.
func onlyParameters(query url.Values, known ...string) error {
	for _, name := range slices.Sorted(maps.Keys(query)) {
		switch {
		case !slices.Contains(known, name):
			return invalid(shown(name), "unknown_parameter", "%s: unknown parameter; there are %s", shown(name), strings.Join(known, ", "))
		case len(query[name]) > 1:
			return invalid(name, "invalid_value", "%s: stands more than once", name)
		}
	}
	return nil
}

func jobStatuses() []string {
	all := []string{jobWaiting, jobRunning}
	for _, state := range jobs.States() {
		all = append(all, string(state))
	}
	return all
}

// ownBatch is the id of a batch of the caller's that a query names; empty: none is.
func (s *Server) ownBatch(r *http.Request, id string) (string, error) {
	if id == "" {
		return "", nil
	}
	missing := &apiError{status: http.StatusNotFound, kind: invalidRequest, param: "batch", message: "No such Batch object: " + shown(id)}
	if len(id) > maxID || !isID(id) {
		return "", missing
	}
	batch, err := s.config.Store.Batch(r.Context(), id)
	if errors.Is(err, store.ErrNotFound) || err == nil && batch.Tenant != caller(r).Tenant {
		return "", missing
	}
	return id, err
}
