package page_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"tidegate/routing/replay"
	"tidegate/routing/replay/page"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// made is a report of some policies, of which the last one has no verdict.
func made(policies ...string) *page.Page {
	shape := func(slower float64) replay.Shape {
		s := replay.Shape{}
		for i := range 10 {
			s.Done = append(s.Done, replay.Done{Within: slower * float64(i+1), Share: float64(i+1) / 10})
			s.Times = append(s.Times, replay.Time{From: noon.Add(time.Duration(i) * time.Hour), Requests: 10, CostUSD: slower})
		}
		return s
	}
	r := &replay.Report{
		Requests: 100, Attempts: 110, From: noon, To: noon.Add(10 * time.Hour), Sampled: 0.5, Seed: 7,
		Logged: map[replay.Metric]float64{replay.Mean: 2, replay.Cost: 1}, Shares: map[string]float64{"a": 1}, Shape: shape(1),
		Self: &replay.SelfReplay{Policy: policies[0], Latency: 1.01, Failures: 1, Cost: 0.99}, Warnings: []string{"clocks <differ>"}, Outages: []string{"a is out"},
	}
	for i, name := range policies {
		x := float64(i + 1)
		result := replay.Result{
			Policy: name, Confidence: replay.Confident, Shape: shape(x), Shares: map[string]replay.Range{"a": {At: 0.5}, "b": {At: 0.5}},
			Metrics:  map[replay.Metric]replay.Range{replay.Mean: {At: x, Low: x / 2, High: 2 * x}, replay.Cost: {At: 10 - x}},
			Openings: []replay.Opening{{Target: "a", From: noon.Add(time.Hour), To: noon.Add(2 * time.Hour)}},
		}
		if i > 0 {
			result.Change = map[replay.Metric]replay.Range{replay.Mean: {At: 0.25}}
		}
		if i == len(policies)-1 {
			result.Confidence, result.Reasons = replay.NoVerdict, []string{"it says nothing"}
		}
		r.Results = append(r.Results, result)
	}
	return &page.Page{
		Report: r, Log: "the ledger", Assumed: "1 worker", Frontier: policies[:1], Version: "v1",
		Label: func(m replay.Metric) string {
			return map[replay.Metric]string{replay.Mean: "mean", replay.Cost: "cost"}[m]
		},
		Figure: func(_ replay.Metric, x float64) string { return fmt.Sprintf("=%.2f", x) },
		Change: func(_ replay.Metric, x float64) string { return fmt.Sprintf("%+.0f%%", 100*x) },
	}
}

func written(t *testing.T, p *page.Page) string {
	t.Helper()
	var text strings.Builder
	if err := p.Write(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

var pictures = regexp.MustCompile(`(?s)<svg.*?</svg>`)

// A page says the warnings first, has all figures and plots, needs nothing from elsewhere,
// and takes no name for a part of itself.
func TestPageSaysAll(t *testing.T) {
	t.Parallel()
	text := written(t, made("old.yaml", "<b>&new", "other.yaml"))
	for _, want := range []string{
		"100 requests with 110 calls of the ledger", "clocks &lt;differ&gt;", "a is out", "No verdict", "it says nothing", "1.010 times as long", "50.00% of the requests",
		"&lt;b&gt;&amp;new", "=2.00", "=1.00 to =4.00", "&#43;25%", "How long requests take", "What each hour costs", "Where the calls go", "When circuits were open", "Cost against time",
		"prefers-color-scheme: dark", "tidegate v1",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if strings.Index(text, "clocks") > strings.Index(text, "Side by side") {
		t.Error("the warnings come late")
	}
	bare := strings.NewReplacer("http://www.w3.org/2000/svg", "", "http://www.w3.org/1999/xlink", "").Replace(text)
	for _, never := range []string{"http:", "https:", "<script", "src=", "@import", "url(", "<b>", "%!"} {
		if strings.Contains(bare, never) {
			t.Errorf("there is %q in it", never)
		}
	}
	all := pictures.FindAllString(text, -1)
	if len(all) != 9 { // four in the light and in the dark, and one that is the same in both
		t.Errorf("%d pictures", len(all))
	}
	for i, svg := range all {
		wellFormed(t, i, svg)
	}
	if again := written(t, made("old.yaml", "<b>&new", "other.yaml")); again != text {
		t.Error("it is another page the second time")
	}
}

func wellFormed(t *testing.T, i int, svg string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("picture %d: %v\n%s", i, err, svg)
		}
	}
}

// Of one policy, of a moment, there is a page, too, without the plots that would be empty.
func TestPageOfLittle(t *testing.T) {
	t.Parallel()
	p := made("only.yaml")
	p.Shape, p.Frontier = replay.Shape{Times: p.Shape.Times[:1]}, nil
	p.Results[0].Shape, p.Results[0].Openings = replay.Shape{Times: p.Results[0].Shape.Times[:1]}, nil
	text := written(t, p)
	for _, never := range []string{"How long requests take", "What each", "When circuits", "Cost against time"} {
		if strings.Contains(text, never) {
			t.Errorf("there is a plot %q", never)
		}
	}
	if !strings.Contains(text, "Where the calls go") {
		t.Error("it does not say where the calls go")
	}
}

// A batch comes within a moment, and circuits open while it is worked on: the plot is of
// that time.
func TestPageShowsCircuitsOfWhatComesAtOnce(t *testing.T) {
	t.Parallel()
	p := made("only.yaml")
	p.To = noon
	p.Results[0].Openings = []replay.Opening{
		{Target: "a", From: noon.Add(10 * time.Second), To: noon.Add(20 * time.Second)},
		{Target: "a", From: noon.Add(30 * time.Second), To: noon.Add(40 * time.Second)},
	}
	text := written(t, p)
	if !strings.Contains(text, "2026-03-01 12:00:00</text>") || !strings.Contains(text, "2026-03-01 12:00:40</text>") {
		t.Error("the plot is not of the time from the first request to the end of the last opening")
	}
	if strings.Contains(text, ">110%<") {
		t.Error("a share may be more than all")
	}
	for _, x := range []string{"420", "740"} { // a quarter of what is beside the labels, and three
		if !strings.Contains(text, `x="`+x+`.0"`) {
			t.Errorf("no opening begins at %s", x)
		}
	}
}
