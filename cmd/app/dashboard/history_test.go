package dashboard

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
)

// A book is a past that is written down. It gives what is later than it is asked for.
type book struct {
	routes  []jobs.RouteSample
	targets []jobs.TargetSample
	moves   []jobs.Transition
	asked   []time.Time
}

func since[T any](all []T, at func(T) time.Time, from time.Time) []T {
	return slices.DeleteFunc(slices.Clone(all), func(one T) bool { return !at(one).After(from) })
}

func (b *book) RouteSamples(_ context.Context, from time.Time) ([]jobs.RouteSample, error) {
	b.asked = append(b.asked, from)
	return since(b.routes, func(r jobs.RouteSample) time.Time { return r.At }, from), nil
}

func (b *book) TargetSamples(_ context.Context, from time.Time) ([]jobs.TargetSample, error) {
	return since(b.targets, func(r jobs.TargetSample) time.Time { return r.At }, from), nil
}

func (b *book) Transitions(_ context.Context, from time.Time) ([]jobs.Transition, error) {
	return since(b.moves, func(r jobs.Transition) time.Time { return r.At }, from), nil
}

// day is a book of so many minutes before noon: each minute one sample.
func day(minutes int) *book {
	b := &book{}
	for i := minutes; i >= 0; i-- {
		at := noon.Add(-time.Duration(i) * time.Minute)
		b.routes = append(b.routes, jobs.RouteSample{At: at, Span: time.Minute, Route: "summaries", Waiting: i})
		b.targets = append(b.targets, jobs.TargetSample{At: at, Span: time.Minute, Target: "openai", Calls: 10, Answered: 6, Cost: 1000, Median: time.Second})
	}
	return b
}

func read(t *testing.T, b *book, now time.Time) *history {
	t.Helper()
	h := &history{records: b}
	if err := h.refresh(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	return h
}

// A history asks for what is new alone, and forgets what is too old.
func TestHistoryReadsWhatIsNew(t *testing.T) {
	t.Parallel()
	b := day(3)
	h := read(t, b, noon)
	b.routes = append(b.routes, jobs.RouteSample{At: noon.Add(time.Second), Route: "summaries"})
	if err := h.refresh(t.Context(), noon.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]time.Time{noon.Add(-kept), noon}, b.asked); diff != "" || len(h.routes) != 5 {
		t.Errorf("asked (-want +got):\n%s\n%d are there", diff, len(h.routes))
	}
	if err := h.refresh(t.Context(), noon.Add(kept-time.Minute+time.Second)); err != nil {
		t.Fatal(err)
	}
	if len(h.routes) != 2 {
		t.Errorf("a day later there are %d", len(h.routes))
	}
}

func TestPastAddsUp(t *testing.T) {
	t.Parallel()
	h := read(t, day(200), noon)
	p := h.look(windows[1], noon)
	backlog, flow := p.backlog.lines[0].Values, p.flow.lines[0].Values
	if len(backlog) != 60 || backlog[59] != 0 || backlog[49] != 10 || !near(flow[30], 6) || !near(p.flow.sum, 360) {
		t.Errorf("backlog %v, flow %v of %g", backlog, flow, p.flow.sum)
	}
	if r := p.recent["openai"]; r == nil || r.calls != 20 || r.answered != 12 || r.median != time.Second { // the minute, and what was written just before it
		t.Errorf("of late %+v", r)
	}
	if got := h.look(windows[2], noon); len(got.backlog.lines[0].Values) != 96 || !near(got.flow.lines[0].Values[95], 6) {
		t.Errorf("of a day %v", got.flow.lines)
	}
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

// What no sample says stays as it was, and not for long after the last one.
func TestBacklogHasNoHoles(t *testing.T) {
	t.Parallel()
	b := &book{}
	for _, ago := range []time.Duration{10, 7, 5} {
		b.routes = append(b.routes, jobs.RouteSample{At: noon.Add(-ago * time.Minute), Route: "summaries", Waiting: int(ago)})
	}
	values := read(t, b, noon).look(windows[1], noon).backlog.lines[0].Values
	if diff := cmp.Diff([]float64{0, 10, 10, 10, 7, 7, 5, 5, 5, 0, 0}, values[48:59]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTimeline(t *testing.T) {
	t.Parallel()
	move := func(ago time.Duration, target, state string) jobs.Transition {
		return jobs.Transition{At: noon.Add(-ago), Target: target, State: state, Reason: "why"}
	}
	pause := func(ago time.Duration, owner jobs.Owner, state string) jobs.Transition {
		return jobs.Transition{At: noon.Add(-ago), Route: "summaries", Owner: owner, State: state}
	}
	b := &book{moves: []jobs.Transition{
		move(3*time.Hour, "openai", "open"), move(30*time.Minute, "openai", "closed"), move(10*time.Minute, "openai", "degraded"),
		pause(50*time.Minute, jobs.OwnerPerson, "paused"), pause(45*time.Minute, jobs.OwnerCircuit, "paused"), pause(40*time.Minute, jobs.OwnerPerson, "resumed"), pause(20*time.Minute, jobs.OwnerCircuit, "resumed"),
	}}
	slices.SortFunc(b.moves, func(a, b jobs.Transition) int { return a.At.Compare(b.At) })
	o := well()
	o.Targets[0].Degraded, o.Targets[1].Circuit = "short", jobs.CircuitOpen // of which nothing is written down
	line := read(t, b, noon).timeline(windows[1], noon, o)
	var got []string
	for _, row := range line.Rows {
		for _, one := range row.Bars {
			got = append(got, fmt.Sprintf("%s %s %.0f+%.0f", row.Name, one.State, one.X, one.Wide))
		}
	}
	want := []string{"openai open 0+500", "openai degraded 833+167", "deepseek open 0+1000", "summaries paused 167+500"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("bars (-want +got):\n%s", diff)
	}
	if len(line.Events) != 6 || line.Events[0].What != "degraded" || line.Events[1].What != "resumed by circuit" || line.Rows[0].Says != "openai: 2 times not well in the last hour, 40 min in all" {
		t.Errorf("events %+v, %q", line.Events, line.Rows[0].Says)
	}
}

// A picture is well formed, has no style of its own, and has its figures beside it.
func TestChart(t *testing.T) {
	t.Parallel()
	p := read(t, day(100), noon).look(windows[1], noon)
	for n := range 9 {
		p.backlog.lines = append(p.backlog.lines, line{fmt.Sprintf("<route %d>", n), slices.Repeat([]float64{float64(n)}, 60)})
	}
	c, err := p.backlog.draw("backlog", "Backlog", "jobs", windows[1], compact)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Legend) != mostLines || c.Legend[5].Name != others || c.Legend[1].Name != "<route 5>" || c.Legend[5].Now != "10" || len(c.Rows) != 12 || len(c.Rows[0].Cells) != mostLines || !strings.Contains(c.Says, "summaries: now 0, at most 59") {
		t.Errorf("%+v", c)
	}
	svg := string(c.Picture)
	for _, want := range []string{"s-1", "f-6", "f-text", "s-axis", "−60 min", "−40", "−20", "now"} {
		if !strings.Contains(svg, want) {
			t.Errorf("there is no %q in the picture", want)
		}
	}
	for _, never := range []string{"style=", "rgb(", "xlink", "<route"} {
		if strings.Contains(svg, never) {
			t.Errorf("there is %q in the picture", never)
		}
	}
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	empty := trend{}
	if c, err := empty.draw("flow", "Throughput", "answers", windows[0], compact); err != nil || c.Picture != "" || c.Says != "Throughput: nothing in the last 15 min." {
		t.Errorf("of nothing: %+v, %v", c, err)
	}
}
