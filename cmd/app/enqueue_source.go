package app

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tidegate/jobs"
	"tidegate/jobs/expect"
	"tidegate/jobs/queue"
	"tidegate/routing"
)

// A source is where requests come from.
type source struct {
	name     string // as a person reads it
	requests iter.Seq2[jobs.Request, error]
	skipped  int // bad lines that were left out, when all was read
	close    func()
	line     int    // of the request that was read last; zero: it has none
	document string // whose request was read last; empty: it is of a line
}

// located says of an error where the request stands that it is about.
func (s *source) located(err error) error {
	var bad *queue.RequestError
	switch {
	case !errors.As(err, &bad):
		return err
	case s.document != "":
		return fmt.Errorf("%s: %w", s.document, bad.Err)
	default:
		return fmt.Errorf("line %d: %w", s.line, bad.Err)
	}
}

// empty is the error of a source without a request.
func (s *source) empty() error { return fmt.Errorf("%s: there is no request in it", s.name) }

// open reads requests from what the arguments name.
func (f *enqueueFlags) open(cmd *cobra.Command, args []string, routes []jobs.Route) (*source, error) {
	s := &source{close: func() {}}
	opts, err := f.lineOptions(routes)
	if err != nil {
		return nil, err
	}
	opts.Reached = func(line int) { s.line = line }
	var in io.ReadCloser
	switch {
	case f.text != "":
		s.name = f.text
		s.requests, err = f.documents(cmd.ErrOrStderr(), opts, func(name string) { s.document = name })
	case args[0] == "-":
		s.name = "standard input"
		in = untilStopped(cmd.Context(), func() (io.Reader, error) { return cmd.InOrStdin(), nil })
	default:
		s.name = args[0]
		in, err = openInput(cmd.Context(), args[0])
	}
	if err != nil {
		return nil, err
	}
	if in != nil {
		s.requests, s.close = jobs.ReadLines(in, opts), func() { _ = in.Close() }
	}
	s.requests = f.fillIn(withChoices(s.requests, routes))
	if f.skipBad {
		s.requests = s.withoutBad(s.requests, cmd.ErrOrStderr())
	}
	return s, nil
}

// lineOptions lets the routes that there are claim lines.
func (f *enqueueFlags) lineOptions(routes []jobs.Route) (jobs.LineOptions, error) {
	opts := lineOptions(routes)
	if f.route != "" {
		if !opts.KnownRoute(f.route) {
			return opts, &queue.UnknownRouteError{Route: f.route, Known: names(routes)}
		}
		opts.DefaultRoute = f.route
	}
	if f.goal != "" && !opts.KnownGoal(f.goal) {
		return opts, usagef("--goal: %q is not known; %s", f.goal, jobs.DidYouMean(f.goal, goals(routes)))
	}
	opts.Tenant = f.tenant
	if f.deadline > 0 {
		opts.Deadline = func(string) time.Duration { return f.deadline }
	}
	return opts, nil
}

func names(routes []jobs.Route) []string {
	all := make([]string, len(routes))
	for i, route := range routes {
		all[i] = route.Name
	}
	return all
}

// goals lists what requests may name: the strategies that are always there, and those
// of the configuration of the routes.
func goals(routes []jobs.Route) []string {
	all := routing.Goals()
	for _, route := range routes {
		all = append(all, route.Goals...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// withChoices adds to what is wrong with a line's route or goal what it might
// have meant.
func withChoices(requests iter.Seq2[jobs.Request, error], routes []jobs.Route) iter.Seq2[jobs.Request, error] {
	choices := map[string][]string{"route": names(routes), "optimization_goal": goals(routes)}
	return func(yield func(jobs.Request, error) bool) {
		for r, err := range requests {
			var line *jobs.LineError
			if errors.As(err, &line) && len(choices[line.Field]) > 0 {
				line.Err = fmt.Errorf("%w; there are: %s", line.Err, strings.Join(choices[line.Field], ", "))
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// fillIn gives requests what the flags say and they do not.
func (f *enqueueFlags) fillIn(requests iter.Seq2[jobs.Request, error]) iter.Seq2[jobs.Request, error] {
	return func(yield func(jobs.Request, error) bool) {
		for r, err := range requests {
			if err == nil {
				f.fillOne(&r)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

func (f *enqueueFlags) fillOne(r *jobs.Request) {
	if r.Goal == "" {
		r.Goal = f.goal
	}
	if r.MaxCost == 0 {
		r.MaxCost = jobs.USD(f.maxCost)
	}
	if r.Priority == 0 && f.priority != jobs.DefaultPriority {
		r.Priority = f.priority
	}
	if r.Tenant == "" {
		r.Tenant = f.tenant
	}
	for key, value := range f.metadata {
		if r.Metadata == nil {
			r.Metadata = map[string]string{}
		}
		if _, ok := r.Metadata[key]; !ok {
			r.Metadata[key] = value
		}
	}
}

// withoutBad leaves out lines that are wrong, and says which.
func (s *source) withoutBad(requests iter.Seq2[jobs.Request, error], messages io.Writer) iter.Seq2[jobs.Request, error] {
	return func(yield func(jobs.Request, error) bool) {
		for r, err := range requests {
			var line *jobs.LineError
			if errors.As(err, &line) && !line.Fatal {
				s.skipped++
				fmt.Fprintf(messages, "left out: %s: %s\n", s.name, visible(strings.TrimSpace(err.Error())))
				continue
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// anyModel stands in the body of a document's request: each target puts its own
// in its place.
const anyModel = "auto"

// documents makes a request of each text of a folder; reached is told of which.
func (f *enqueueFlags) documents(messages io.Writer, opts jobs.LineOptions, reached func(name string)) (iter.Seq2[jobs.Request, error], error) {
	if opts.DefaultRoute == "" {
		return nil, usagef("--text needs a --route, since there is more than one")
	}
	return func(yield func(jobs.Request, error) bool) {
		for document, err := range FolderDocuments(f.text) {
			var skipped *SkippedDocument
			if errors.As(err, &skipped) {
				fmt.Fprintln(messages, oneLine(skipped.Error()))
				continue
			}
			reached(document.Name)
			if !yield(documentRequest(document, f.prompt, f.maxTokens, opts), err) {
				return
			}
		}
	}, nil
}

func documentRequest(document Document, prompt string, maxTokens int, opts jobs.LineOptions) jobs.Request {
	request := jobs.Request{
		Route: opts.DefaultRoute, CustomID: document.Name, Tenant: opts.Tenant,
		Body: RequestBody(anyModel, prompt, document, maxTokens),
	}
	if deadline := opts.Deadline(opts.DefaultRoute); deadline > 0 {
		request.Deadline = time.Now().Add(deadline)
	}
	return request
}

// lineOptions reads lines for the given routes: a line's model may choose the
// route, a route gives its deadline, and where there is one route only it takes
// what no other would.
func lineOptions(routes []jobs.Route) jobs.LineOptions {
	byModel, deadlines, known := map[string]string{}, map[string]time.Duration{}, goals(routes)
	served := map[string]jobs.EndpointSet{}
	for _, route := range routes {
		served[route.Name] = route.Serves()
		deadlines[route.Name] = route.Deadline
		for _, model := range route.Models {
			byModel[model] = route.Name
		}
	}
	var rules expect.Cache // most lines of a file expect the same
	opts := jobs.LineOptions{
		Routes:     func(model string) (string, bool) { route, ok := byModel[model]; return route, ok },
		KnownRoute: func(route string) bool { _, ok := deadlines[route]; return ok },
		Served:     func(route string) jobs.EndpointSet { return served[route] },
		KnownGoal:  func(goal string) bool { return slices.Contains(known, goal) },
		CheckExpect: func(r *jobs.Request) error {
			if _, err := rules.Compile(r.Expect, r.Body); err != nil {
				return err
			}
			at := slices.IndexFunc(routes, func(route jobs.Route) bool { return route.Name == r.Route })
			return r.Expect.CheckOn(&routes[at]) // which is known
		},
		Deadline: func(route string) time.Duration { return deadlines[route] },
	}
	if len(routes) == 1 {
		opts.DefaultRoute = routes[0].Name
	}
	return opts
}
