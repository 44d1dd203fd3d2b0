package jobs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// ReadLine reads one request from JSON that says what a line does, on as many lines
// as it likes. What is wrong with it is a *LineError of line zero.
func ReadLine(raw []byte, opts LineOptions) (Request, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return Request{}, &LineError{Code: CodeNotJSON, Err: errors.New("there is nothing; it must be a JSON object")}
	}
	request, err := readLine(raw, &opts, customIDs{off: true}, 0)
	if err != nil {
		return Request{}, lineError(0, err)
	}
	return request, nil
}

// Defaults are what requests are to have that do not say it themselves.
type Defaults struct {
	Request
	// Budget is what all of them may cost together; zero: no limit.
	Budget MicroUSD
}

// defaultFields are those of a line that it may have from elsewhere, and the budget.
var defaultFields = []string{"route", "goal", "optimization_goal", "deadline", "max_cost_usd", "priority", "metadata", fieldBudget}

const fieldBudget = "budget_usd"

// ReadDefaults reads a JSON object with some of the fields route, optimization_goal
// (or goal), deadline, max_cost_usd, priority and metadata, as a line has them, and
// budget_usd. What is wrong with it is a *LineError of line zero.
func ReadDefaults(raw []byte, opts LineOptions) (Defaults, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	opts.DefaultRoute, opts.Deadline, opts.Served = "", nil, nil // which are for lines
	var d Defaults
	if err := d.read(bytes.TrimSpace(raw), &opts); err != nil {
		return Defaults{}, lineError(0, err)
	}
	return d, nil
}

func (d *Defaults) read(raw []byte, opts *LineOptions) error {
	if err := checkJSON(raw); err != nil {
		return &coded{CodeNotJSON, err}
	}
	if raw[0] != '{' {
		return &coded{CodeNotJSON, errors.New("must be a JSON object")}
	}
	l, err := d.lineOf(raw)
	if err != nil {
		return err
	}
	r := &d.Request
	r.Goal = text(l.goal) + text(l.longGoal)
	steps := []func() error{
		func() error { return l.takeGoal(opts) },
		func() error { return l.takeDeadline(r, opts) },
		func() error { return l.takeMaxCost(r) },
		func() error { return l.takePriority(r) },
		func() error { return l.takeMetadata(r) },
		func() error { return CheckMetadata(r.Metadata) },
	}
	if l.route != nil {
		steps = append(steps, func() error { return l.takeRoute(r, "", opts) }, r.checkRoute)
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// lineOf reads the fields, each once.
func (d *Defaults) lineOf(raw []byte) (*line, error) {
	var l line
	rest := []byte{'{'} // the object without what a line has not
	for name, value := range members(raw) {
		switch {
		case !slices.Contains(defaultFields, string(name)):
			return nil, fmt.Errorf("%.80q is none of %s", name, strings.Join(defaultFields, ", "))
		case string(name) != fieldBudget:
			if len(rest) > 1 {
				rest = append(rest, ',')
			}
			rest = fmt.Appendf(rest, "%q:%s", name, value)
			continue
		case d.Budget != 0:
			return nil, fmt.Errorf("%s: stands twice; leave one of them out", fieldBudget)
		}
		var usd float64
		if err := json.Unmarshal(value, &usd); err != nil || !(usd >= 1e-6 && usd <= maxCostUSD) {
			return nil, fmt.Errorf("%s: must be a number of dollars between 0.000001 and %.0f; leave it out for no limit", fieldBudget, maxCostUSD)
		}
		d.Budget = USD(usd)
	}
	return &l, l.read(append(rest, '}'))
}

func (r *Request) checkRoute() error {
	if err := CheckName(r.Route); err != nil {
		return fmt.Errorf("route: %w", err)
	}
	return nil
}

// FillIn gives a request what it does not say itself. Metadata is put together by its
// keys. What is wrong then is a *LineError of line zero.
func (d *Defaults) FillIn(r *Request) error {
	if r.Goal == "" {
		r.Goal = d.Goal
	}
	if r.Deadline.IsZero() {
		r.Deadline = d.Deadline
	}
	if r.MaxCost == 0 {
		r.MaxCost = d.MaxCost
	}
	if r.Priority == 0 {
		r.Priority = d.Priority
	}
	if len(d.Metadata) == 0 {
		return nil
	}
	whole := maps.Clone(d.Metadata)
	maps.Copy(whole, r.Metadata)
	r.Metadata = whole
	if err := CheckMetadata(whole); err != nil {
		return lineError(0, err)
	}
	return nil
}
