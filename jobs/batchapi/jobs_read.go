package batchapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"tidegate/jobs"
	"tidegate/store"
)

const (
	// maxMany bounds the requests that come in one body, and maxManyBytes the body.
	maxMany      = 10_000
	maxManyBytes = 64 << 20
	// roomBytes is how much of such bodies may be in memory at a time, of all who send
	// them, beside the first smallBytes of each: what is read of one takes about twice
	// as much.
	roomBytes  = 2 * maxManyBytes
	smallBytes = 64 << 10
	// faultsTold is how many faults of one body are told.
	faultsTold = 5
)

// A Queue takes requests that may come again, each once. It is safe for concurrent use.
type Queue interface {
	// EnqueueOnce accepts a request, and returns the id that it was given the first time.
	EnqueueOnce(ctx context.Context, request jobs.Request, once store.Once) (id string, err error)
	// EnqueueManyOnce accepts requests of a tenant as one batch, all or none, and
	// returns the id that it was given the first time.
	EnqueueManyOnce(ctx context.Context, tenant string, requests []jobs.Request, budget jobs.BudgetLimits, once store.Once) (id string, err error)
}

// errNoQueue says that this server takes no single requests.
var errNoQueue = &apiError{status: http.StatusServiceUnavailable, kind: serverError, code: "no_queue", message: "this server takes no jobs"}

// A room is how many bytes there is still place for.
type room struct{ left atomic.Int64 }

func newRoom(bytes int64) *room {
	r := &room{}
	r.left.Store(bytes)
	return r
}

func (r *room) take(n int64) bool {
	if r.left.Add(-n) >= 0 {
		return true
	}
	r.left.Add(n)
	return false
}

// A roomy body takes room as it comes, beyond what is small: many large ones must not
// keep out those of a few lines.
type roomy struct {
	io.Reader
	room        *room
	free, taken int64
}

func (r *roomy) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	free := min(r.free, int64(n))
	r.free -= free
	if !r.room.take(int64(n) - free) {
		return 0, errBusy
	}
	r.taken += int64(n) - free
	return n, err
}

func (r *roomy) leave() { r.room.left.Add(r.taken) }

// readLarge reads a body of up to most bytes into memory. It holds its room until leave is called,
// which it must be.
func (s *Server) readLarge(r *http.Request, most int64) (body []byte, leave func(), err error) {
	if err := plainBody(r); err != nil {
		return nil, func() {}, err
	}
	if r.ContentLength > most {
		return nil, func() {}, &http.MaxBytesError{Limit: most}
	}
	in := &roomy{Reader: http.MaxBytesReader(nil, r.Body, most), room: s.room, free: smallBytes}
	body, err = readWhole(in, r.ContentLength)
	return body, in.leave, err
}

// readWhole is io.ReadAll for who was told how much comes; below zero: nobody said. That
// is no reason to make place for it before it comes, but to make no more for its end.
func readWhole(in io.Reader, told int64) ([]byte, error) {
	if told < 0 {
		return io.ReadAll(in)
	}
	whole := told + 1 // its end is read, too
	body := make([]byte, 0, min(whole, smallBytes))
	for {
		n, err := in.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil:
			return body, err
		case int64(len(body)) >= whole:
			return body, errors.New("the body is longer than was said")
		case len(body) == cap(body):
			body = append(make([]byte, 0, min(whole, 2*int64(cap(body)))), body...)
		}
	}
}

// A reading is how requests of one call are read.
type reading struct {
	jobs.LineOptions
	choices map[string][]string // what there is, by the name of the field that chooses
	reached int                 // the line of the last request that was right
}

// reading lets the routes that there are claim requests, as they do lines of a file.
func (s *Server) reading(r *http.Request) (*reading, error) {
	routes, err := s.config.Store.Routes(r.Context())
	if err != nil {
		return nil, err
	}
	names, goals, models := make([]string, len(routes)), slices.Clone(s.config.Goals), map[string]string{}
	served := map[string]jobs.EndpointSet{}
	for i, route := range routes {
		served[route.Name] = route.Serves()
		names[i], goals = route.Name, append(goals, route.Goals...)
		for _, model := range route.Models {
			models[model] = route.Name
		}
	}
	slices.Sort(goals)
	goals = slices.Compact(goals)
	now := s.config.Now().Truncate(time.Microsecond)
	read := &reading{choices: map[string][]string{"route": names, "optimization_goal": goals}}
	read.LineOptions = jobs.LineOptions{
		Tenant:     caller(r).Tenant,
		Routes:     func(model string) (string, bool) { route, ok := models[model]; return route, ok },
		KnownRoute: func(route string) bool { return slices.Contains(names, route) },
		Served:     func(route string) jobs.EndpointSet { return served[route] },
		KnownGoal:  func(goal string) bool { return slices.Contains(goals, goal) },
		CheckExpect: func(e *jobs.Expect, body []byte) error {
			_, err := s.rules.Compile(e, body)
			return err
		},
		Reached: func(line int) { read.reached = line },
		Now:     func() time.Time { return now },
	}
	if len(names) == 1 {
		read.DefaultRoute = names[0]
	}
	return read, nil
}

// fault is what is told of what is wrong with a request; at says where it stands:
// "jobs[3]", "line 4", or nothing.
func (read *reading) fault(at string, err error) *apiError {
	var bad *jobs.LineError
	if !errors.As(err, &bad) {
		return invalid("", jobs.CodeBadLine, "%s", shownLong(err.Error()))
	}
	told := bad.Err.Error()
	if choices := read.choices[bad.Field]; len(choices) > 0 && !strings.Contains(told, "there are: ") {
		told += "; there are: " + strings.Join(choices, ", ")
	}
	code, field := bad.Code, bad.Field
	if code == jobs.CodeNotJSON {
		code = "invalid_json"
	}
	switch {
	case at == "":
	case strings.HasPrefix(at, "line "):
		told = within(at, within(field, told))
		return invalid(field, code, "%s", shownLong(told))
	case field == "":
		field = at
	default:
		field = at + "." + field
	}
	return invalid(field, code, "%s", shownLong(within(field, told)))
}

func within(place, told string) string {
	if place == "" {
		return told
	}
	return place + ": " + told
}

// shownLong is shown for words of our own, which may name long lists.
func shownLong(text string) string {
	const most = 1000
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, text)
}

// several puts faults of one body together: the first one's field and code, and the
// words of some.
func several(faults []*apiError, more bool) *apiError {
	first := *faults[0]
	words := make([]string, 0, faultsTold)
	for _, fault := range faults[:min(len(faults), faultsTold)] {
		words = append(words, fault.message)
	}
	first.message = strings.Join(words, "; ")
	switch left := len(faults) - len(words); {
	case more:
		first.message += fmt.Sprintf("; and %d more or others", left)
	case left > 0:
		first.message += fmt.Sprintf("; and %d more", left)
	}
	first.message += "; nothing was enqueued"
	return &first
}
