package jobs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

const (
	lineMethod = "POST"
	lineURL    = "/v1/chat/completions"
)

// maxCostUSD is the largest sum that a line may set as its limit: a million
// dollars. More is a mistake.
const maxCostUSD = 1e6

// A line is what is read from one line of JSONL before it is known to be right.
// Fields that it does not know are left alone, as other tools add their own.
type line struct {
	CustomID   *string         `json:"custom_id"`
	Method     *string         `json:"method"`
	URL        *string         `json:"url"`
	Body       json.RawMessage `json:"body"`
	Messages   presence        `json:"messages"`
	Route      *string         `json:"route"`
	Goal       *string         `json:"goal"`
	LongGoal   *string         `json:"optimization_goal"`
	Deadline   *string         `json:"deadline"`
	MaxCostUSD *float64        `json:"max_cost_usd"`
	Metadata   json.RawMessage `json:"metadata"`
	Tenant     *string         `json:"tenant"`
}

// presence notices that a field is there and keeps nothing of it.
type presence bool

func (p *presence) UnmarshalJSON([]byte) error { *p = true; return nil }

// parseLine makes a request of one line that is not blank. The request does not
// share memory with it.
func parseLine(raw []byte, opts *LineOptions) (Request, error) {
	l, err := decodeLine(raw)
	if err != nil {
		return Request{}, err
	}
	request := Request{
		Tenant:   opts.Tenant,
		Goal:     text(l.Goal) + text(l.LongGoal),
		CustomID: text(l.CustomID),
		Body:     l.Body,
	}
	model, err := bodyModel(l.Body)
	if err != nil {
		return Request{}, err
	}
	for _, step := range []func() error{
		l.checkEnvelope,
		func() error { return l.takeRoute(&request, model, opts) },
		func() error { return l.takeTenant(&request) },
		func() error { return l.takeGoal(opts) },
		func() error { return l.takeDeadline(&request, opts) },
		func() error { return l.takeMaxCost(&request) },
		func() error { return l.takeMetadata(&request) },
	} {
		if err := step(); err != nil {
			return Request{}, err
		}
	}
	return request, nil
}

// decodeLine reads the fields around the body and finds the body, be it inside
// the line or the line itself.
func decodeLine(raw []byte) (*line, error) {
	if raw[0] == '[' {
		return nil, errors.New("a JSON array where an object belongs: write one object per line, as `jq -c '.[]'` does")
	}
	if !utf8.Valid(raw) {
		return nil, errors.New("not UTF-8: convert the input, as `iconv -t UTF-8` does")
	}
	l := new(line)
	if err := json.Unmarshal(raw, l); err != nil {
		return nil, explainJSON(err)
	}
	switch {
	case l.Body == nil && !bool(l.Messages):
		return nil, errors.New(`body: is missing: a line is {"custom_id": "…", "body": {…}} or a chat-completions body with "messages"`)
	case l.Body != nil && bool(l.Messages):
		return nil, errors.New("messages: stands beside body; a line has one of them")
	case l.Body == nil:
		return l.bare(raw)
	}
	return l, nil
}

// bare takes the line itself for the body. Fields that are ours would then go to
// the provider and mean nothing there, so they are refused.
func (l *line) bare(raw []byte) (*line, error) {
	ours := []struct {
		name  string
		given bool
	}{
		{"custom_id", l.CustomID != nil},
		{"method", l.Method != nil},
		{"url", l.URL != nil},
		{"route", l.Route != nil},
		{"goal", l.Goal != nil},
		{"optimization_goal", l.LongGoal != nil},
		{"deadline", l.Deadline != nil},
		{"max_cost_usd", l.MaxCostUSD != nil},
		{"tenant", l.Tenant != nil},
	}
	for _, field := range ours {
		if field.given {
			return nil, fmt.Errorf(`%s: stands inside the completion; write {%q: …, "body": {…}}`, field.name, field.name)
		}
	}
	return &line{Body: bytes.Clone(raw)}, nil
}

func (l *line) checkEnvelope() error {
	if l.Method != nil && *l.Method != lineMethod {
		return fmt.Errorf("method: %.80q, but only %q can be asked for", *l.Method, lineMethod)
	}
	if l.URL != nil && *l.URL != lineURL {
		return fmt.Errorf("url: %.80q, but only %q can be asked for", *l.URL, lineURL)
	}
	return nil
}

// takeRoute picks the route that the line names, or the one that claims its
// model, or the default one.
func (l *line) takeRoute(r *Request, model string, opts *LineOptions) error {
	claimed := false
	switch {
	case l.Route != nil:
		r.Route = *l.Route
	case opts.Routes != nil:
		r.Route, claimed = opts.Routes(model)
	}
	if l.Route == nil && !claimed {
		r.Route = opts.DefaultRoute
	}
	if l.Route == nil && r.Route == "" {
		return fmt.Errorf("route: none is named and none claims the model %.80q; name one", model)
	}
	if opts.KnownRoute != nil && !opts.KnownRoute(r.Route) {
		return fmt.Errorf("route: there is no route %.80q in the configuration", r.Route)
	}
	return nil
}

func (l *line) takeTenant(r *Request) error {
	switch {
	case l.Tenant == nil:
		return nil
	case r.Tenant != "" && *l.Tenant != r.Tenant:
		return fmt.Errorf("tenant: %.80q, but these requests are of %q; leave it out", *l.Tenant, r.Tenant)
	}
	r.Tenant = *l.Tenant
	return nil
}

func (l *line) takeGoal(opts *LineOptions) error {
	if l.Goal != nil && l.LongGoal != nil {
		return errors.New("goal: stands beside optimization_goal; a line has one of them")
	}
	if goal := text(l.Goal) + text(l.LongGoal); goal != "" && opts.KnownGoal != nil && !opts.KnownGoal(goal) {
		return fmt.Errorf("optimization_goal: there is no goal %.80q", goal)
	}
	return nil
}

func (l *line) takeDeadline(r *Request, opts *LineOptions) error {
	now := opts.Now()
	if l.Deadline == nil {
		if opts.Deadline != nil {
			if span := opts.Deadline(r.Route); span > 0 {
				r.Deadline = now.Add(span)
			}
		}
		return nil
	}
	if at, err := time.Parse(time.RFC3339, *l.Deadline); err == nil {
		r.Deadline = at
	} else {
		span, err := ParseDuration(*l.Deadline)
		if err != nil {
			return fmt.Errorf("deadline: %.80q is neither a time like 2031-01-31T18:00:00Z nor a duration like 24h or 7d", *l.Deadline)
		}
		r.Deadline = now.Add(span)
	}
	if !r.Deadline.After(now) {
		return fmt.Errorf("deadline: %.80q has passed; give a later one or none", *l.Deadline)
	}
	return nil
}

// takeMaxCost refuses a limit that would round to nothing, since a request's
// zero means that there is none.
func (l *line) takeMaxCost(r *Request) error {
	if l.MaxCostUSD == nil {
		return nil
	}
	if *l.MaxCostUSD > maxCostUSD || *l.MaxCostUSD < 1e-6 {
		return fmt.Errorf("max_cost_usd: %g must lie between 0.000001 and %.0f dollars; leave it out for no limit", *l.MaxCostUSD, maxCostUSD)
	}
	r.MaxCost = USD(*l.MaxCostUSD)
	return nil
}

func (l *line) takeMetadata(r *Request) error {
	if l.Metadata == nil {
		return nil
	}
	if err := json.Unmarshal(l.Metadata, &r.Metadata); err != nil {
		return errors.New("metadata: must be an object whose values are strings")
	}
	return nil
}

// bodyModel finds the model that a body of valid JSON names; empty: it names
// none. It stops reading there, as the model mostly comes first and the messages
// are long. A body that is no object at all is left to CheckBody.
func bodyModel(body []byte) (string, error) {
	in := json.NewDecoder(bytes.NewReader(body))
	if start, err := in.Token(); err != nil || start != json.Delim('{') {
		return "", nil
	}
	for in.More() {
		key, err := in.Token()
		if err != nil {
			return "", fmt.Errorf("body: %w", err)
		}
		if key != "model" {
			if err := in.Decode(new(presence)); err != nil {
				return "", fmt.Errorf("body: %w", err)
			}
			continue
		}
		var model *string
		if err := in.Decode(&model); err != nil {
			return "", errors.New("body.model: must be a string")
		}
		return text(model), nil
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
