package batchapi

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tidegate/jobs"
)

// An EventKind is of what an event is.
type EventKind string

// The kinds. The last three are of the whole fleet, and for keys with the scope admin.
const (
	EventResult  EventKind = "result"
	EventBatch   EventKind = "batch"
	EventCircuit EventKind = "circuit"
	EventRoute   EventKind = "route"
	EventBudget  EventKind = "budget"
)

// EventKinds lists every kind.
func EventKinds() []EventKind {
	return []EventKind{EventResult, EventBatch, EventCircuit, EventRoute, EventBudget}
}

func (k EventKind) ofFleet() bool { return k != EventResult && k != EventBatch }

// An EventFilter chooses events, and where to begin.
type EventFilter struct {
	Tenant string // whose results and batches
	Kinds  []EventKind
	Route  string // of results and routes; empty: of any
	Batch  string // of results and batches; empty: of any, or of none
	// After is the place behind which to begin, if Resume says that it is one; else it
	// begins with what was told since a time, or from now on if that is zero, too.
	After  uint64
	Resume bool
	Since  time.Time
}

// An Event is one that was told, as it was.
type Event struct {
	Place uint64 // to begin behind, later
	Kind  EventKind
	Data  []byte // JSON
}

// Events are what was told and will be, in its order. It is safe for concurrent use.
type Events interface {
	// Follow begins to follow. An error of it that is an *AwayError is told.
	Follow(ctx context.Context, filter EventFilter) (EventStream, error)
}

// An EventStream is followed by one reader, who closes it.
type EventStream interface {
	// Begun is the place behind which it began; lost tells that there is no more what
	// was to come first.
	Begun() (place uint64, lost bool)
	// Next waits for the next event until ctx ends. After any other error than that of
	// ctx it gives no more, and whoever wants to go on follows anew.
	Next(ctx context.Context) (Event, error)
	Close()
}

// An AwayError says that events cannot be had now, and what would help.
type AwayError struct {
	Why   string
	Lasts bool // until somebody does that: to come again by itself is of no use
}

// Error says it.
func (e *AwayError) Error() string { return e.Why }

const (
	// usualBeat is how long a stream is silent before it says that it lives, and after
	// what time it is looked whether its key is still good.
	usualBeat = 15 * time.Second
	// eventsAtOnce bounds the streams that are served at a time, and eventsOfTenant
	// those of one tenant: each has some events in memory.
	eventsAtOnce   = 128
	eventsOfTenant = 32
	// resumeAfter is after how many milliseconds a reader comes again that was cut off.
	resumeAfter = 2000
)

// A gallery is who follows events now. Safe for concurrent use.
type gallery struct {
	mu  sync.Mutex
	of  map[string]int // by tenant
	sum int
}

// enter takes a place for a tenant, until leave is called.
func (g *gallery) enter(tenant string) (leave func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.of[tenant] >= eventsOfTenant:
		return nil, &apiError{
			status: http.StatusTooManyRequests, kind: rateLimited, code: "too_many_streams", header: http.Header{"Retry-After": {"5"}},
			message: "there are " + strconv.Itoa(eventsOfTenant) + " streams of events of this tenant; close one, or let one program follow for several",
		}
	case g.sum >= eventsAtOnce:
		return nil, errBusy
	}
	if g.of == nil {
		g.of = map[string]int{}
	}
	g.of[tenant]++
	g.sum++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.sum--
		if g.of[tenant]--; g.of[tenant] == 0 {
			delete(g.of, tenant)
		}
	}, nil
}

// followEvents streams events until the reader goes, or the server.
func (s *Server) followEvents(w http.ResponseWriter, r *http.Request) error {
	filter, err := s.eventFilter(r)
	if err != nil {
		return err
	}
	if s.config.Events == nil {
		return away(&AwayError{Why: "this server follows no events", Lasts: true})
	}
	leave, err := s.gallery.enter(filter.Tenant)
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ending, cancel)()
	stream, err := s.config.Events.Follow(ctx, filter)
	if err != nil {
		s.config.Log.Warn().Err(err).Str("request_id", w.Header().Get("X-Request-Id")).Msg("events cannot be followed")
		return away(err)
	}
	defer stream.Close()
	if answer, ok := w.(*answerWriter); ok {
		answer.release() // it has a place of its own
	}
	told := newTeller(w)
	if err := told.begin(stream.Begun()); err != nil || r.Method == http.MethodHead {
		return nil // the reader has gone, or wants no more
	}
	s.tell(ctx, r, told, stream)
	return nil
}

// tell passes events on. It ends with the reader, with its key, and with the stream: who
// was cut off comes again, and goes on behind what it has.
func (s *Server) tell(ctx context.Context, r *http.Request, to *teller, stream EventStream) {
	looked := time.Now()
	for {
		silent, done := context.WithTimeout(ctx, s.beat)
		event, err := stream.Next(silent)
		done()
		if time.Since(looked) >= s.beat {
			if _, err := s.keys.admit(r, jobs.ScopeRead); err != nil {
				return
			}
			looked = time.Now()
		}
		switch {
		case err == nil:
			err = to.tell(&event)
		case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
			err = to.beat()
		}
		if err != nil {
			return
		}
	}
}

// away is what is told where events cannot be had.
func away(err error) error {
	told := &apiError{
		status: http.StatusServiceUnavailable, kind: serverError, code: "events_unavailable", message: "events cannot be had now; results are stored all the same: GET /v1/jobs/{id}",
		header: http.Header{"Retry-After": {"5"}},
	}
	var known *AwayError
	if errors.As(err, &known) {
		told.message = known.Why
		if known.Lasts {
			told.header = nil
		}
	}
	return told
}

// eventFilter reads which events are asked for.
func (s *Server) eventFilter(r *http.Request) (f EventFilter, err error) {
	query := r.URL.Query()
	if err := onlyParameters(query, "route", "batch", "type", "since"); err != nil {
		return f, err
	}
	f = EventFilter{Tenant: caller(r).Tenant, Route: query.Get("route")}
	if err := jobs.CheckName(f.Tenant); err != nil { // it becomes a part of a subject
		return f, err
	}
	if f.Route != "" {
		if err := s.knownRoute(r, f.Route); err != nil {
			return f, err
		}
	}
	if f.Batch, err = s.ownBatch(r, query.Get("batch")); err != nil {
		return f, err
	}
	if f.Since, err = s.since(query.Get("since")); err != nil {
		return f, err
	}
	if text := r.Header.Get("Last-Event-ID"); text != "" {
		f.Resume = true
		if f.After, err = strconv.ParseUint(text, 10, 63); err != nil {
			return f, invalid("Last-Event-ID", "invalid_value", "Last-Event-ID: %s is no number that this server has given", shown(text))
		}
	}
	return f, f.choose(caller(r), query.Get("type"))
}

// knownRoute looks whether there is such a route: nobody is to wait for the events of
// one that never was.
func (s *Server) knownRoute(r *http.Request, route string) error {
	routes, err := s.config.Store.Routes(r.Context())
	if err != nil {
		return err
	}
	names := make([]string, len(routes))
	for i, known := range routes {
		names[i] = known.Name
	}
	if !slices.Contains(names, route) {
		return invalid("route", "invalid_value", "route: there is no route %s; there are: %s", shown(route), strings.Join(names, ", "))
	}
	return nil
}

// since reads a time, or how long ago it was.
func (s *Server) since(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil && at.Year() > 1970 {
		return at, nil
	}
	span, err := jobs.ParseDuration(text)
	if err != nil || span <= 0 {
		return time.Time{}, invalid("since", "invalid_value", "since: %s is neither a time like 2031-01-31T18:00:00Z nor a duration like 10m or 7d", shown(text))
	}
	return s.config.Now().Add(-span), nil
}

// choose sets the kinds: those that are asked for, or all that the key may hear of and
// the rest of the filter is about.
func (f *EventFilter) choose(key jobs.Key, types string) error {
	admin := slices.Contains(key.Scopes, jobs.ScopeAdmin)
	if types == "" {
		for _, kind := range EventKinds() {
			if (admin || !kind.ofFleet()) && f.about(kind) {
				f.Kinds = append(f.Kinds, kind)
			}
		}
		return nil
	}
	for text := range strings.SplitSeq(types, ",") {
		kind := EventKind(text)
		switch {
		case !slices.Contains(EventKinds(), kind):
			return invalid("type", "invalid_value", "type: %s is none of result, batch, circuit, route, budget", shown(text))
		case kind.ofFleet() && !admin:
			return &apiError{
				status: http.StatusForbidden, kind: invalidRequest, code: "insufficient_scope", param: "type",
				message: "type: " + text + " is of the whole fleet, and needs a key with the scope admin",
			}
		case !f.about(kind):
			return invalid("type", "invalid_value", "type: there is no event of type %s that route or batch could choose; leave one of them out", text)
		case !slices.Contains(f.Kinds, kind):
			f.Kinds = append(f.Kinds, kind)
		}
	}
	return nil
}

// about tells whether the names of a filter are about a kind.
func (f *EventFilter) about(kind EventKind) bool {
	ofRoute, ofBatch := kind == EventResult || kind == EventRoute, kind == EventResult || kind == EventBatch
	return (f.Route == "" || ofRoute) && (f.Batch == "" || ofBatch)
}
