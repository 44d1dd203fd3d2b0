package dashboard

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tidegate/jobs"
	"tidegate/store"
)

// A BatchStory is all of a batch that is shown, and a part of its requests.
type BatchStory struct {
	Batch
	At       time.Time // of the database
	Deadline time.Time // zero: it has none
	Facts    []string
	Faults   []string // what is wrong with its lines
	Retries  []string // ids of batches that try again what failed of it
	Requests []Request
	// Next is the request behind which there may be more; empty: there are none.
	Next string
}

// A Request is how one of a batch stands.
type Request struct {
	ID, CustomID, Route string
	State               string // waiting, running, or that of its result
	Target, Cost        string
	Calls               int
	Why                 string // it was not answered
	EndedAt             time.Time
}

// States are what one may see of a batch alone.
func (BatchStory) States() []string {
	all := []string{RequestWaiting, RequestRunning}
	for _, state := range jobs.States() {
		all = append(all, string(state))
	}
	return all
}

// States of a Request without a result.
const (
	RequestWaiting = "waiting"
	RequestRunning = "running"
)

// A batchTable is batches as the page lists them.
type batchTable struct {
	At      time.Time
	Batches []Batch
}

// BatchTable is the page's own.
func (v *view) BatchTable() batchTable { return batchTable{v.At, v.Batches} }

// shown is a batch with what of it was asked for.
type shown struct {
	*BatchStory
	State string // of the requests; empty: any
	After string
}

// Begin is where the list begins, and More where it goes on.
func (s shown) Begin(state string) string { return s.at(state, "") }

// More is where the list goes on.
func (s shown) More() string { return s.at(s.State, s.Next) }

func (s shown) at(state, after string) string {
	query := url.Values{"id": {s.ID}}
	if state != "" {
		query.Set("state", state)
	}
	if after != "" {
		query.Set("after", after)
	}
	return "/page/batch?" + query.Encode() + "#requests"
}

// batch shows a batch and its requests.
func (p *Page) batch(w http.ResponseWriter, r *http.Request, key jobs.Key) {
	query := r.URL.Query()
	s := shown{State: query.Get("state"), After: query.Get("after")}
	ctx, cancel := context.WithTimeout(r.Context(), readWithin)
	defer cancel()
	id, err := strings.TrimSpace(query.Get("id")), store.ErrNotFound
	if nameable(id) && nameable(s.After) {
		s.BatchStory, err = p.config.Batch(ctx, id, s.State, s.After)
	}
	if err != nil {
		p.unfound(w, r, key, err, "There is no such batch", "It was never there, or it is older than what is kept.")
		return
	}
	p.show(w, http.StatusOK, "batch.html", p.layout("Batch "+s.ID, key, s))
}

// batches lists them, the newest first.
func (p *Page) batches(w http.ResponseWriter, r *http.Request, key jobs.Key) {
	ctx, cancel := context.WithTimeout(r.Context(), readWithin)
	defer cancel()
	before := r.URL.Query().Get("before")
	list, err := (*BatchList)(nil), store.ErrNotFound
	if nameable(before) {
		list, err = p.config.Batches(ctx, before)
	}
	if err != nil {
		p.unfound(w, r, key, err, "There is no such batch", "The list begins behind a batch that is not there any more.")
		return
	}
	p.show(w, http.StatusOK, "batches.html", p.layout("Batches", key, list))
}

// A BatchList is a part of all batches.
type BatchList struct {
	At      time.Time
	Batches []Batch
	Next    string // the last one, if there may be more
}

// Table is how they are shown.
func (l *BatchList) Table() batchTable { return batchTable{l.At, l.Batches} }

// unfound says why something is not shown.
func (p *Page) unfound(w http.ResponseWriter, r *http.Request, key jobs.Key, err error, title, text string) {
	switch {
	case errors.Is(err, store.ErrNotFound):
		p.say(w, r, http.StatusNotFound, key, plain{title, text, false})
	case store.Away(err):
		p.say(w, r, http.StatusServiceUnavailable, key, plain{"Postgres does not answer", "It is looked again by itself.", true})
	case errors.Is(err, errBadForm):
		p.say(w, r, http.StatusBadRequest, key, plain{title, err.Error(), false})
	default:
		p.config.Log.Error().Err(err).Msg("the page could not be made")
		p.say(w, r, http.StatusInternalServerError, key, plain{"The page could not be made", "The server's log says why.", false})
	}
}
