package dashboard

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tidegate/jobs"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// well is an overview of two targets and a route that has both in its chain.
func well() *Overview {
	return &Overview{
		At: noon, Workers: Workers{Alive: 2},
		Targets: []Target{{Name: "openai", Circuit: jobs.CircuitClosed}, {Name: "deepseek", Circuit: jobs.CircuitClosed}},
		Routes:  []Route{{Name: "summaries", State: Flows, Chain: []string{"openai", "deepseek"}}},
	}
}

func (o *Overview) lose(names ...string) {
	for i := range o.Targets {
		for _, name := range names {
			if o.Targets[i].Name == name {
				o.Targets[i].Circuit, o.Targets[i].DownSince = jobs.CircuitOpen, noon.Add(-time.Duration(i+1)*time.Minute)
			}
		}
	}
}

func TestHeadlineSaysWhatMattersMost(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*Overview)
		mood   string
		text   string
		rest   string // a part of it
		since  time.Duration
	}{
		"all is well":             {func(*Overview) {}, calm, "All flows", "Nothing waits.", 0},
		"some wait":               {func(o *Overview) { o.Routes[0].Waiting = 12_430 }, calm, "All flows", "12,430 jobs wait.", 0},
		"one waits":               {func(o *Overview) { o.Routes[0].Waiting = 1 }, calm, "All flows", "1 job waits.", 0},
		"the first is down":       {func(o *Overview) { o.lose("openai") }, warning, "openai is down", "Calls go to deepseek.", time.Minute},
		"the second is down":      {func(o *Overview) { o.lose("deepseek") }, warning, "deepseek is down", "Nothing waits.", 2 * time.Minute},
		"all are down":            {func(o *Overview) { o.lose("openai", "deepseek"); o.Routes[0].State = Holds }, alarm, "summaries stands still: openai and deepseek are down", "", 2 * time.Minute},
		"the circuits pause it":   {func(o *Overview) { o.lose("openai", "deepseek"); o.pause(jobs.OwnerCircuit) }, alarm, "summaries stands still: openai and deepseek are down", "", 2 * time.Minute},
		"the budget is spent":     {func(o *Overview) { o.pause(jobs.OwnerBudget) }, alarm, "summaries stands still: the budget is spent", "", 3 * time.Minute},
		"a person pauses":         {func(o *Overview) { o.pause(jobs.OwnerPerson) }, notice, "summaries is paused by a person", "", 3 * time.Minute},
		"down goes before paused": {func(o *Overview) { o.lose("openai"); o.pause(jobs.OwnerPerson) }, warning, "openai is down", "", time.Minute},
		"nobody works":            {func(o *Overview) { o.Workers.Alive = 0; o.Routes[0].Waiting = 3 }, alarm, "No worker is alive, and 3 jobs wait", "", 0},
		"nobody works, and need":  {func(o *Overview) { o.Workers.Alive = 0 }, notice, "Nothing waits, and no worker is alive", "", 0},
		"nobody works the route":  {func(o *Overview) { o.Routes[0].State, o.Routes[0].Waiting = Unserved, 7 }, alarm, "No worker works summaries", "7 jobs wait.", 0},
		"answers have changed":    {func(o *Overview) { o.Targets[1].Degraded = "short answers" }, warning, "The answers of deepseek have changed for the worse", "", 0},
		"one cools down":          {func(o *Overview) { o.Targets[0].CooldownUntil = noon.Add(time.Minute) }, notice, "openai cools down", "", 0},
		"it is a drill":           {func(o *Overview) { o.lose("openai"); o.Targets[0].Drill = &jobs.Drill{} }, warning, "openai is down", "This is a drill of openai.", time.Minute},
		"a worker is silent":      {func(o *Overview) { o.Workers.Silent = 1 }, calm, "All flows", "1 worker is silent.", 0},
		"some are in hand":        {func(o *Overview) { o.Routes[0].InHand = 4 }, calm, "All flows", "4 jobs in hand, nothing waits behind.", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := well()
			test.change(o)
			h := o.headline()
			if h.Mood != test.mood || h.Text != test.text || !strings.Contains(strings.Join(h.Rest, " "), test.rest) {
				t.Errorf("%s: %q, %q", h.Mood, h.Text, h.Rest)
			}
			if want := noon.Add(-test.since); test.since > 0 && !h.Since.Equal(want) || test.since == 0 && !h.Since.IsZero() {
				t.Errorf("since %s", h.Since)
			}
		})
	}
}

func (o *Overview) pause(owner jobs.Owner) {
	o.Routes[0].State = Paused
	o.Routes[0].Pauses = []Pause{{Owner: owner, Since: noon.Add(-3 * time.Minute)}}
}

// What is read aloud does not change with the numbers.
func TestHeadlineIsSaidOnce(t *testing.T) {
	t.Parallel()
	o := well()
	o.lose("openai")
	before := o.headline().Say
	o.Routes[0].Waiting, o.At = 4711, noon.Add(time.Minute)
	if after := o.headline().Say; after != before || before != "openai is down. Calls go to deepseek." {
		t.Errorf("%q, then %q", before, after)
	}
}

func TestHeadlineSaysWhenAllIsDone(t *testing.T) {
	t.Parallel()
	o := well()
	o.Routes = append(o.Routes, Route{Name: "labels", State: Flows}, Route{Name: "idle", State: Flows})
	o.Routes[0].Waiting, o.Routes[0].Done = 10, Done{At: noon.Add(time.Hour), Margin: "6 min"}
	o.Routes[1].Waiting, o.Routes[1].Done = 10, Done{At: noon.Add(time.Minute), Margin: "5 s"}
	if h := o.headline(); !h.Done.At.Equal(noon.Add(time.Hour)) || h.Done.Margin != "6 min" {
		t.Errorf("done %+v", h.Done)
	}
	o.Routes[1].Done = Done{Why: "waits for deepseek; 40 min of work after that"}
	if h := o.headline(); !h.Done.At.Equal(noon.Add(time.Hour)) || h.Unsaid != "labels (waits for deepseek; 40 min of work after that)" {
		t.Errorf("of one nobody knows: %+v, but %q", h.Done, h.Unsaid)
	}
	o.Routes[0].Done = Done{Why: "not known yet"}
	o.Routes[0].Waiting = 100
	if h := o.headline(); !h.Done.At.IsZero() || h.Unsaid != "2 routes, as summaries (not known yet)" {
		t.Errorf("of all that waits nobody knows: %+v, %q", h.Done, h.Unsaid)
	}
}

// Where there is much, what is not well stands first; else all keeps its place.
func TestTroubleStandsFirst(t *testing.T) {
	t.Parallel()
	few, much := well(), well()
	few.lose("deepseek")
	for n := range 12 {
		much.Targets = append(much.Targets, Target{Name: fmt.Sprint("t", n), Circuit: jobs.CircuitClosed})
		much.Routes = append(much.Routes, Route{Name: fmt.Sprint("r", n), State: Flows})
	}
	much.lose("t3", "t11")
	much.Routes[7].State = Holds
	if got := few.troubleFirst(); got.Targets[0].Name != "openai" {
		t.Errorf("of few %+v", got.Targets)
	}
	got := much.troubleFirst()
	if got.Targets[0].Name != "t3" || got.Targets[1].Name != "t11" || got.Targets[2].Name != "openai" || got.Routes[0].Name != "r6" || got.Routes[1].Name != "summaries" {
		t.Errorf("%+v, %+v", got.Targets, got.Routes)
	}
	if much.Targets[0].Name != "openai" || much.Routes[0].Name != "summaries" {
		t.Error("what was read is changed, which others have")
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		number(0): "0", number(999): "999", number(1000): "1,000", number(12_430_001): "12,430,001", number(-4321): "−4,321",
		rate(0): "0", rate(0.25): "0.2", rate(12.6): "13", rate(4321): "4,321",
		money(0): "$0", money(1234): "$0.0012", money(1_234_567): "$1.23", money(4_321_000_000): "$4,321",
		span(250 * time.Millisecond): "250 ms", span(4500 * time.Millisecond): "4.5 s", span(42 * time.Second): "42 s", span(62 * time.Second): "1 min 2 s",
		span(time.Hour): "1 h", span(90 * time.Minute): "1 h 30 min", span(50 * time.Hour): "2 days",
		listed(nil): "", listed([]string{"a"}): "a", listed([]string{"a", "b"}): "a and b", listed([]string{"a", "b", "c", "d", "e"}): "a, b, c and 2 more",
		percent(0, 0): "–", percent(1, 1): "100%", percent(0, 7): "0%", percent(99_999, 100_000): "99.9%", percent(1, 100_000): "0.1%",
		many(1, "job"): "1 job", many(2000, "job"): "2,000 jobs",
		clock(noon, noon.Add(3*time.Hour)): "12:00 UTC", clock(noon, noon.Add(13*time.Hour)): "Mar 1, 12:00 UTC",
		compact(0): "0", compact(0.5): "0.5", compact(1500): "1.5k", compact(12_345): "12k", compact(2.5e6): "2.5M", dollars(0.001): "$0.0010", dollars(12.5): "$12.50",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
