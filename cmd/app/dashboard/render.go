package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"fmt"
	"html/template"
	"strings"
	"sync"
	"time"

	"tidegate/jobs"
)

//go:embed assets
var assets embed.FS

// parts are the sections of the page, in their order.
var parts = []string{"now", "targets", "charts", "timeline", "routes", "batches"}

// A section is a part of the page, made.
type section struct {
	ID   string
	HTML template.HTML
	hash [sha256.Size]byte
}

// A renderer makes sections, each once for all who look at the same window. Safe for
// concurrent use.
type renderer struct {
	pages *template.Template

	mu   sync.Mutex
	made map[string]rendered // by window
}

type rendered struct {
	at       time.Time
	sections []section
}

func newRenderer(version string) *renderer {
	functions := template.FuncMap{
		"number": number, "rate": rate, "money": money, "span": span, "percent": percent, "many": many, "listed": listed,
		"version": func() string { return version },
		"iso":     func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"utc":     func(t time.Time) string { return clock(t, time.Now()) },
		"ms":      func(t time.Time) int64 { return t.UnixMilli() },
		"since":   func(now, t time.Time) string { return span(now.Sub(t)) },
		"state":   func(s jobs.BatchState) string { return strings.ReplaceAll(string(s), "_", " ") },
		"share": func(part, whole int) int {
			if whole == 0 {
				return 0
			}
			return 1000 * part / whole
		},
		"short": func(id string) string {
			if len(id) > 18 {
				return id[:8] + "…" + id[len(id)-6:]
			}
			return id
		},
		"rows": func(v *view) []targetRow { return v.targetRows() },
	}
	return &renderer{
		pages: template.Must(template.New("").Funcs(functions).ParseFS(assets, "assets/*.html")),
		made:  map[string]rendered{},
	}
}

// forget has all be made anew.
func (r *renderer) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.made)
}

// sections are the parts of the page for a window, as of a reading.
func (r *renderer) sections(w window, at time.Time, view func() *view) ([]section, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.made[w.Key]; ok && known.at.Equal(at) {
		return known.sections, nil
	}
	v := view()
	if v == nil {
		return nil, nil
	}
	made := rendered{at: at}
	for _, id := range parts {
		var text bytes.Buffer
		if err := r.pages.ExecuteTemplate(&text, "section-"+id, v); err != nil {
			return nil, fmt.Errorf("making the section %s: %w", id, err)
		}
		html := template.HTML(text.String()) // #nosec G203 -- a template made it
		made.sections = append(made.sections, section{id, html, sha256.Sum256(text.Bytes())})
	}
	r.made[w.Key] = made
	return made.sections, nil
}

// Charts are the pictures of the page.
func (v *view) Charts() ([]chart, error) {
	var made []chart
	for _, one := range []struct {
		of              *trend
		id, title, unit string
		write           scale
	}{
		{&v.Past.backlog, "backlog", "Backlog", "jobs that wait, by route", compact},
		{&v.Past.flow, "flow", "Throughput", "answers a minute, by target", compact},
		{&v.Past.spend, "spend", "Spend", "USD an hour, by target", dollars},
	} {
		c, err := one.of.draw(one.id, one.title, one.unit, v.Window, one.write)
		if err != nil {
			return nil, err
		}
		made = append(made, c)
	}
	return made, nil
}

// Timeline is what happened.
func (v *view) Timeline() timeline { return v.timeline }

// compact is a number as an axis has room for it.
func compact(x float64) string {
	switch {
	case x >= 10e6:
		return fmt.Sprintf("%.0fM", x/1e6)
	case x >= 1e6:
		return fmt.Sprintf("%.1fM", x/1e6)
	case x >= 10e3:
		return fmt.Sprintf("%.0fk", x/1e3)
	case x >= 1e3:
		return fmt.Sprintf("%.1fk", x/1e3)
	case x >= 10 || x == float64(int(x)):
		return fmt.Sprintf("%.0f", x)
	default:
		return fmt.Sprintf("%.1f", x)
	}
}

func dollars(x float64) string {
	switch {
	case x == 0:
		return "$0"
	case x < 0.01:
		return fmt.Sprintf("$%.4f", x)
	case x < 100:
		return fmt.Sprintf("$%.2f", x)
	default:
		return "$" + compact(x)
	}
}

// A targetRow is a target with what it did of late.
type targetRow struct {
	*Target
	PerMinute float64
	Calls     int
	Success   string
	Bad       bool // many of its calls fail
	Median    string
	Slow      string
	Share     string // of all calls of the last minute
	PerHour   string
	Meter     int // pace against limit, of 1000; below zero: no limit is known
	Full      bool
}

// targetRows are the targets with what they did in the last minute.
func (v *view) targetRows() []targetRow {
	all := 0
	for _, r := range v.Past.recent {
		all += r.calls
	}
	rows := make([]targetRow, len(v.Targets))
	for i := range v.Targets {
		t := &v.Targets[i]
		row := targetRow{Target: t, PerMinute: t.PerMinute, Success: "–", Median: "–", Slow: "–", Share: "–", PerHour: "–", Meter: -1}
		if r := v.Past.recent[t.Name]; r != nil && r.calls > 0 {
			row.PerMinute = max(t.PerMinute, float64(r.calls)/max(r.over.Minutes(), 1.0/6))
			row.Calls, row.Success, row.Share = r.calls, percent(r.answered, r.calls), percent(r.calls, all)
			row.Bad = r.calls >= 5 && 10*r.answered < 9*(r.calls-r.limited)
			if r.answered > 0 {
				row.Median, row.Slow = span(r.median), span(r.slow)
			}
			if hours := r.over.Hours(); hours > 0 && r.unpriced == 0 {
				row.PerHour = dollars(float64(r.cost) / 1e6 / hours)
			}
		}
		if t.Limit > 0 {
			row.Meter = int(min(1000, 1000*row.PerMinute/t.Limit))
			row.Full = row.Meter >= 900
		}
		rows[i] = row
	}
	return rows
}

// A figure is one number of the page's head.
type figure struct {
	Label, Value, Note string
	Part               string // of the page that says more; empty: none
	Bad                bool
}

// Figures are the numbers that matter most.
func (v *view) Figures() []figure {
	waiting, inHand := 0, 0
	oldest := time.Time{}
	var counted time.Time
	for i := range v.Routes {
		r := &v.Routes[i]
		waiting, inHand = waiting+r.Waiting, inHand+r.InHand
		oldest = earlier(oldest, r.Oldest)
		counted = earlier(counted, r.Counted)
	}
	answered, cost := 0, jobs.MicroUSD(0)
	span1 := time.Duration(0)
	for _, r := range v.Past.recent {
		answered, cost, span1 = answered+r.answered, cost+r.cost, max(span1, r.over)
	}
	wait := figure{Label: "Waiting", Part: "routes", Value: number(waiting), Note: "nothing waits"}
	if !oldest.IsZero() {
		wait.Note = "the oldest for " + span(v.At.Sub(oldest))
	}
	if !counted.IsZero() {
		wait.Note = "counted " + span(v.At.Sub(counted)) + " ago"
	}
	flow, spent := figure{Label: "Answered a minute", Part: "charts", Value: "0", Note: many(inHand, "job") + " in hand"}, figure{Label: "Spend an hour", Part: "charts", Value: "$0", Note: dollars(v.Past.spend.sum) + " in the last " + v.Window.Last}
	if span1 > 0 {
		flow.Value, spent.Value = rate(float64(answered)/span1.Minutes()), dollars(float64(cost)/1e6/span1.Hours())
	}
	down, _ := v.down()
	targets := figure{Label: "Targets", Part: "targets", Value: fmt.Sprintf("%d of %d", len(v.Targets)-len(down), len(v.Targets)), Note: "may be called", Bad: len(down) > 0}
	workers := figure{Label: "Workers", Value: number(v.Workers.Alive), Note: "alive", Bad: v.Workers.Alive == 0}
	if v.Workers.Silent > 0 {
		workers.Note, workers.Bad = fmt.Sprintf("alive, %d silent", v.Workers.Silent), true
	}
	owed := figure{Label: "Owed to NATS", Value: number(v.Outbox), Note: "events"}
	if v.Outbox > 0 {
		owed.Note, owed.Bad = "the oldest for "+span(v.Behind), v.Behind > time.Minute
	}
	return []figure{wait, flow, spent, targets, workers, owed}
}
