package dashboard

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"tidegate/jobs"
	"tidegate/store"
)

// A Story is what became of a request, and why.
type Story struct {
	ID, CustomID, Batch, RetryOf string
	State                        string
	Facts                        []string
	InShort                      []string // sentences
	Accepted                     time.Time
	Steps                        []Step
}

// A Step is one thing that happened.
type Step struct {
	At         string // since it was accepted
	Kind       string // accepted, wait, skip, choice, call, refused or end
	Text       string
	Candidates []Candidate // of a choice
}

// A Candidate is a target that might have been called.
type Candidate struct {
	Target                                         string
	Score, Success, Latency, Cost                  string
	Answers, Expected, Wait, ExpectedCost, Comment string
	Chosen                                         bool
}

// A search is what is looked for, and what was found.
type search struct {
	ID, Batch, Error string
	Several          bool // have that name
	Story            *Story
}

// explain looks for the story of a request, and returns the status of the answer.
func (p *Page) explain(ctx context.Context, s *search) int {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	story, err := (*Story)(nil), store.ErrNotFound
	if nameable(s.ID) && nameable(s.Batch) {
		story, err = p.config.Explain(ctx, s.ID, s.Batch)
	}
	switch {
	case err == nil:
		s.Story = story
		return http.StatusOK
	case store.Away(err):
		s.Error = "Postgres does not answer: try again in some seconds."
		return http.StatusServiceUnavailable
	case errors.Is(err, store.ErrSeveral):
		s.Error, s.Several = "Several requests of this batch have that custom_id.", true
		return http.StatusBadRequest
	case !errors.Is(err, store.ErrNotFound):
		p.config.Log.Error().Err(err).Msg("the story of a request could not be told")
		s.Error = "It could not be read; the server's log says why."
		return http.StatusInternalServerError
	case s.Batch != "":
		s.Error = "There is no such request in such a batch, or it is older than what is kept."
	default:
		s.Error = "There is no such request, or it is older than what is kept. A custom_id needs its batch, too."
	}
	return http.StatusNotFound
}

// nameable tells whether anything can be called so: Postgres takes no other texts.
func nameable(id string) bool {
	return utf8.ValidString(id) && !strings.ContainsRune(id, 0)
}

// request tells the story of a request.
func (p *Page) request(w http.ResponseWriter, r *http.Request, key jobs.Key) {
	s := search{ID: strings.TrimSpace(r.URL.Query().Get("id")), Batch: strings.TrimSpace(r.URL.Query().Get("batch"))}
	if store.IsBatchID(s.ID) && s.Batch == "" {
		http.Redirect(w, r, "/page/batch?"+url.Values{"id": {s.ID}}.Encode(), http.StatusSeeOther)
		return
	}
	status := http.StatusOK
	if s.ID != "" {
		status = p.explain(r.Context(), &s)
	}
	title := "A request"
	if s.Story != nil {
		title = "Request " + s.Story.ID
	}
	p.show(w, status, "request.html", p.layout(title, key, s))
}
