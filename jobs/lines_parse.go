package jobs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

const lineMethod = "POST"

// maxCostUSD is the largest sum that a line may set as its limit: a million
// dollars. More is a mistake.
const maxCostUSD = 1e6

// A line is what is read from one line of JSONL before it is known to be right.
type line struct {
	customID, method, url, route, goal, longGoal, deadline, tenant *string
	maxCostUSD                                                     *float64
	priority                                                       *int
	metadata, expect, body                                         json.RawMessage
}

type lineField struct {
	name  string
	value func(*line) any // where its value goes; nil: it is taken as it is
}

// lineFields are all that a line may have which is not itself the body.
var lineFields = []lineField{
	{"custom_id", func(l *line) any { return &l.customID }},
	{"method", func(l *line) any { return &l.method }},
	{"url", func(l *line) any { return &l.url }},
	{"body", nil},
	{"route", func(l *line) any { return &l.route }},
	{"goal", func(l *line) any { return &l.goal }},
	{"optimization_goal", func(l *line) any { return &l.longGoal }},
	{"deadline", func(l *line) any { return &l.deadline }},
	{"max_cost_usd", func(l *line) any { return &l.maxCostUSD }},
	{"priority", func(l *line) any { return &l.priority }},
	{"metadata", func(l *line) any { return &l.metadata }},
	{"expect", func(l *line) any { return &l.expect }},
	{"tenant", func(l *line) any { return &l.tenant }},
}

// parseLine makes a request of one line that is not blank; what its body says
// is still to be checked. The request does not share memory with the line.
func parseLine(raw []byte, opts *LineOptions) (Request, error) {
	l, err := decodeLine(raw)
	if err != nil {
		return Request{}, err
	}
	request := Request{
		Tenant:   opts.Tenant,
		Goal:     text(l.goal) + text(l.longGoal),
		CustomID: text(l.customID),
		Body:     bytes.Clone(l.body),
	}
	model, err := bodyModel(l.body)
	if err != nil {
		return Request{}, err
	}
	for _, step := range []func() error{
		func() error { return l.checkEnvelope(opts) },
		func() error { return l.takeEndpoint(&request, opts) },
		func() error { return l.takeRoute(&request, model, opts) },
		func() error { return l.takeTenant(&request) },
		func() error { return l.takeGoal(opts) },
		func() error { return l.takeDeadline(&request, opts) },
		func() error { return l.takeMaxCost(&request) },
		func() error { return l.takePriority(&request) },
		func() error { return l.takeMetadata(&request) },
		func() error { return l.takeExpect(&request, opts) },
	} {
		if err := step(); err != nil {
			return Request{}, err
		}
	}
	return request, nil
}

// decodeLine reads the fields around the body and finds the body, be it inside
// the line or the line itself. This is the one place where a line is checked to
// be JSON.
func decodeLine(raw []byte) (*line, error) {
	if raw[0] == '[' {
		return nil, &coded{CodeNotJSON, errors.New("a JSON array where an object belongs: write one object per line, as `jq -c '.[]'` does")}
	}
	if !utf8.Valid(raw) {
		return nil, &coded{CodeNotJSON, errors.New("not UTF-8: convert the input, as `iconv -t UTF-8` does")}
	}
	if string(bytes.TrimSpace(raw)) == "{" {
		return nil, &coded{CodeNotJSON, errors.New("an object that goes on in the next line: write each on one line, as `jq -c .` does")}
	}
	if err := checkJSON(raw); err != nil {
		return nil, &coded{CodeNotJSON, err}
	}
	if raw[0] != '{' {
		return nil, &coded{CodeNotJSON, errors.New("must be a JSON object")}
	}
	var l line
	bare := false
	for name, value := range members(raw) {
		switch string(name) {
		case "body":
			l.body = value
		case "messages":
			bare = true
		}
	}
	switch {
	case l.body == nil && !bare:
		return nil, noBody(raw)
	case l.body != nil && bare:
		return nil, errors.New("messages: stands beside body; a line has one of them")
	case bare:
		l.body = raw
		return &l, refuseOurs(raw)
	}
	return &l, l.read(raw)
}

// refuseOurs looks for fields of ours in a line that is itself the body: they
// would go to the provider and mean nothing there. Metadata is OpenAI's, too.
func refuseOurs(body []byte) error {
	for name := range members(body) {
		for _, field := range lineFields {
			if string(name) == field.name && field.name != "metadata" {
				return fmt.Errorf(`%s: stands inside the completion; write {%q: …, "body": {…}}`, name, name)
			}
		}
	}
	return nil
}

// noBody says why a line has no body: one may be there under another name.
func noBody(raw []byte) error {
	for name := range members(raw) {
		if string(name) == "input" || string(name) == "prompt" {
			return fmt.Errorf(`body: is missing: what has %q goes inside, as in {"url": "/v1/embeddings", "body": {"input": …}}`, name)
		}
		if near := Nearest(string(name), []string{"body", "messages"}); near != "" {
			return unknownField(name, near)
		}
	}
	return errors.New(`body: is missing: a line is {"custom_id": "…", "body": {…}} or a chat-completions body with "messages"`)
}

// read takes the fields beside the body, each once.
func (l *line) read(raw []byte) error {
	seen := 0 // a bit for each of lineFields
	for name, value := range members(raw) {
		at := slices.IndexFunc(lineFields, func(f lineField) bool { return f.name == string(name) })
		if at < 0 {
			return unknownField(name, Nearest(string(name), lineFieldNames()))
		}
		if seen&(1<<at) != 0 {
			return fmt.Errorf("%s: stands twice; leave one of them out", name)
		}
		if seen |= 1 << at; lineFields[at].value == nil {
			continue
		}
		var kind *json.UnmarshalTypeError
		if err := json.Unmarshal(value, lineFields[at].value(l)); errors.As(err, &kind) {
			return fmt.Errorf("%s: must not be a %s", name, kind.Value)
		} else if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// unknownField refuses what would be lost without a word, and says what was
// meant if that is near.
func unknownField(name []byte, near string) error {
	shown := string(name)
	if shown == "" || strings.Trim(shown, fieldLetters) != "" {
		shown = fmt.Sprintf("%.80q", name)
	}
	if near != "" {
		return fmt.Errorf("%s: unknown field; did you mean %q?", shown, near)
	}
	return fmt.Errorf("%s: unknown field; a line has %s, and what the provider is to read belongs into its body", shown, strings.Join(lineFieldNames(), ", "))
}

func lineFieldNames() []string {
	names := make([]string, len(lineFields))
	for i, field := range lineFields {
		names[i] = field.name
	}
	return names
}

func (l *line) checkEnvelope(opts *LineOptions) error {
	if opts.Whole {
		if err := l.checkWhole(); err != nil {
			return err
		}
	}
	if l.method != nil && *l.method != lineMethod {
		return fmt.Errorf("method: %.80q, but only %q can be asked for", *l.method, lineMethod)
	}
	return nil
}

// takeEndpoint takes what the url asks for: chat completions where it says nothing,
// and in a batch file nothing but what the batch is of.
func (l *line) takeEndpoint(r *Request, opts *LineOptions) error {
	if l.url == nil {
		return nil
	}
	asked, known := ParseEndpoint(*l.url)
	switch {
	case opts.Whole && asked != opts.Endpoint:
		return &coded{CodeBadURL, fmt.Errorf("url: %.80q, but only %q can be asked for", *l.url, opts.Endpoint)}
	case !known:
		return &coded{CodeBadURL, fmt.Errorf("url: %.80q is not served; there are: %s", *l.url, strings.Join(EndpointPaths(), ", "))}
	}
	r.Endpoint = asked
	return nil
}

// takeRoute picks the route that the line names, or the one that claims its
// model, or the default one.
func (l *line) takeRoute(r *Request, model string, opts *LineOptions) error {
	claimed := false
	switch {
	case l.route != nil:
		r.Route = *l.route
	case opts.Routes != nil:
		r.Route, claimed = opts.Routes(model)
	}
	if l.route == nil && !claimed {
		r.Route = opts.DefaultRoute
	}
	if l.route == nil && r.Route == "" {
		return fmt.Errorf("route: none is named and none claims the model %.80q; name one", model)
	}
	if opts.KnownRoute != nil && !opts.KnownRoute(r.Route) {
		return fmt.Errorf("route: there is no route %.80q in the configuration", r.Route)
	}
	if opts.Served == nil {
		return nil
	}
	if err := opts.Served(r.Route).Refuses(r.Route, r.Endpoint); err != nil {
		return &coded{CodeBadURL, fmt.Errorf("url: %w", err)}
	}
	return nil
}

func (l *line) takeTenant(r *Request) error {
	switch {
	case l.tenant == nil:
		return nil
	case r.Tenant != "" && *l.tenant != r.Tenant:
		return fmt.Errorf("tenant: %.80q, but these requests are of %q; leave it out", *l.tenant, r.Tenant)
	}
	r.Tenant = *l.tenant
	return nil
}

func (l *line) takeGoal(opts *LineOptions) error {
	if l.goal != nil && l.longGoal != nil {
		return errors.New("goal: stands beside optimization_goal; a line has one of them")
	}
	if goal := text(l.goal) + text(l.longGoal); goal != "" && opts.KnownGoal != nil && !opts.KnownGoal(goal) {
		return fmt.Errorf("optimization_goal: there is no goal %.80q", goal)
	}
	return nil
}

func (l *line) takeDeadline(r *Request, opts *LineOptions) error {
	now := opts.Now()
	if l.deadline == nil {
		if opts.Deadline != nil {
			if span := opts.Deadline(r.Route); span > 0 {
				r.Deadline = now.Add(span)
			}
		}
		return nil
	}
	if at, err := time.Parse(time.RFC3339, *l.deadline); err == nil {
		r.Deadline = at
	} else {
		span, err := ParseDuration(*l.deadline)
		if err != nil {
			return fmt.Errorf("deadline: %.80q is neither a time like 2031-01-31T18:00:00Z nor a duration like 24h or 7d", *l.deadline)
		}
		r.Deadline = now.Add(span)
	}
	if !r.Deadline.After(now) {
		return fmt.Errorf("deadline: %.80q has passed; give a later one or none", *l.deadline)
	}
	return nil
}

// takeMaxCost refuses a limit that would round to nothing, since a request's
// zero means that there is none.
func (l *line) takeMaxCost(r *Request) error {
	if l.maxCostUSD == nil {
		return nil
	}
	if *l.maxCostUSD > maxCostUSD || *l.maxCostUSD < 1e-6 {
		return fmt.Errorf("max_cost_usd: %g must lie between 0.000001 and %.0f dollars; leave it out for no limit", *l.maxCostUSD, maxCostUSD)
	}
	r.MaxCost = USD(*l.maxCostUSD)
	return nil
}

// takePriority refuses a zero, too: a request's zero means that it says none.
func (l *line) takePriority(r *Request) error {
	if l.priority == nil {
		return nil
	}
	r.Priority = *l.priority
	return checkPriority(r.Priority)
}

func (l *line) takeMetadata(r *Request) error {
	if l.metadata == nil {
		return nil
	}
	if err := json.Unmarshal(l.metadata, &r.Metadata); err != nil {
		return errors.New("metadata: must be an object whose values are strings")
	}
	return nil
}

func (l *line) takeExpect(r *Request, opts *LineOptions) (err error) {
	if l.expect == nil || string(l.expect) == "null" {
		return nil
	}
	if r.Expect, err = ParseExpect(l.expect); err == nil && opts.CheckExpect != nil {
		err = opts.CheckExpect(r)
	}
	return ExpectError(err)
}

// checkWhole wants what a line of a batch file must have.
func (l *line) checkWhole() error {
	for _, field := range []struct {
		name  string
		value *string
	}{{"custom_id", l.customID}, {"method", l.method}, {"url", l.url}} {
		if text(field.value) == "" {
			return &coded{CodeMissing, fmt.Errorf("%s: is missing; a line of a batch file has custom_id, method, url and body", field.name)}
		}
	}
	return nil
}

// BodyModel is the model that a body of valid JSON names; empty: it names none.
func BodyModel(body []byte) string {
	model, _ := bodyModel(body) // whoever has a body had it checked
	return model
}

// bodyModel finds the model that a body of valid JSON names; empty: it names
// none, or is no object at all.
func bodyModel(body []byte) (string, error) {
	for name, value := range members(body) {
		if string(name) == "model" {
			var model *string
			if err := json.Unmarshal(value, &model); err != nil {
				return "", errors.New("body.model: must be a string")
			}
			return text(model), nil
		}
	}
	return "", nil
}

// text is what s points to, or nothing.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
