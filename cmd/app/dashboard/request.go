package dashboard

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

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
	Story            *Story
}

// request tells the story of a request.
func (p *Page) request(w http.ResponseWriter, r *http.Request, key jobs.Key) {
	s := search{ID: strings.TrimSpace(r.URL.Query().Get("id")), Batch: strings.TrimSpace(r.URL.Query().Get("batch"))}
	status := http.StatusOK
	if s.ID != "" {
		ctx, cancel := context.WithTimeout(r.Context(), readWithin)
		defer cancel()
		story, err := p.config.Explain(ctx, s.ID, s.Batch)
		switch {
		case err == nil:
			s.Story = story
		case store.Away(err):
			status, s.Error = http.StatusServiceUnavailable, "Postgres does not answer: try again in some seconds."
		default:
			status, s.Error = http.StatusNotFound, err.Error()
			if !errors.Is(err, store.ErrNotFound) {
				status = http.StatusBadRequest
			}
		}
	}
	title := "A request"
	if s.Story != nil {
		title = "Request " + s.Story.ID
	}
	p.show(w, status, "request.html", p.layout(title, key, s))
}
