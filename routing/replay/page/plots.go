package page

import (
	"cmp"
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-analyze/charts"

	"tidegate/routing/replay"
)

const width, height = 900, 340

// mostLines are how many policies are drawn in one plot, beside what there was.
const mostLines = 5

// colors of what there was, of the old policy and of the others; light, and dark.
var palettes = map[bool][]string{
	false: {"#8a8f98", "#2f6fde", "#e07b1a", "#1f9d6b", "#a24bd0", "#c8324f"},
	true:  {"#9aa0aa", "#6ea8ff", "#ffab5c", "#5bd6a3", "#cf93f2", "#ff7d93"},
}

func theme(dark bool) charts.ColorPalette {
	o := charts.ThemeOption{IsDarkMode: dark, BackgroundColor: charts.ColorTransparent}
	text, line, split := "#3a3f47", "#9aa0aa", "#e3e6ea"
	if dark {
		text, line, split = "#d5d9df", "#6b727c", "#343a42"
	}
	o.TextColor, o.AxisStrokeColor, o.AxisSplitLineColor = charts.ColorFromHex(text), charts.ColorFromHex(line), charts.ColorFromHex(split)
	for _, hex := range palettes[dark] {
		o.SeriesColors = append(o.SeriesColors, charts.ColorFromHex(hex))
	}
	return charts.MakeTheme(o)
}

// drawn draws a plot for the light, and for the dark.
func drawn(title, says string, draw func(*charts.Painter, charts.ColorPalette) error) (*plot, error) {
	made := &plot{Title: title, Says: says}
	for _, dark := range []bool{false, true} {
		p := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: width, Height: height})
		if err := draw(p, theme(dark)); err != nil {
			return nil, err
		}
		svg, err := p.Bytes()
		if err != nil {
			return nil, err
		}
		text := template.HTML(scalable(string(svg))) // #nosec G203 -- the library escapes the names
		if dark {
			made.Dark = text
		} else {
			made.Light = text
		}
	}
	return made, nil
}

// scalable has a picture be as wide as its page.
func scalable(svg string) string {
	size := fmt.Sprintf(`width="%d" height="%d"`, width, height)
	return strings.Replace(svg, size, fmt.Sprintf(`viewBox="0 0 %d %d"`, width, height), 1)
}

// lines are what is drawn of each policy, with what there was first.
func (p *Page) lines() (names []string, results []*replay.Result) {
	names = []string{"the log"}
	for i := range p.Results[:min(len(p.Results), mostLines)] {
		names = append(names, p.Results[i].Policy)
		results = append(results, &p.Results[i])
	}
	return names, results
}

func (p *Page) shapes() (names []string, shapes []replay.Shape) {
	names, results := p.lines()
	shapes = []replay.Shape{p.Shape}
	for _, r := range results {
		shapes = append(shapes, r.Shape)
	}
	return names, shapes
}

// completions are how many requests were done in which time.
func (p *Page) completions() (*plot, error) {
	names, shapes := p.shapes()
	seen := map[float64]bool{}
	for _, s := range shapes {
		for _, d := range s.Done {
			if d.Share < 0.9999 || len(s.Done) == 1 {
				seen[d.Within] = true
			}
		}
	}
	if len(seen) < 2 {
		return nil, nil
	}
	times := slices.Sorted(maps.Keys(seen))
	values := make([][]float64, len(shapes))
	labels := make([]string, len(times))
	for i, within := range times {
		labels[i] = p.Figure(replay.Mean, within)
		for line := range shapes {
			values[line] = append(values[line], 100*shareWithin(shapes[line].Done, within))
		}
	}
	return drawn("How long requests take", "Share of the requests that are done within a time. The further left, the faster.", func(painter *charts.Painter, theme charts.ColorPalette) error {
		o := lineChart(theme, names, values, labels, func(x float64) string { return fmt.Sprintf("%.0f%%", x) })
		o.YAxis[0].Max, o.YAxis[0].LabelCount = charts.Ptr(100.0), 6
		return painter.LineChart(o)
	})
}

func shareWithin(done []replay.Done, within float64) float64 {
	share := 0.0
	for _, d := range done {
		if d.Within > within*(1+1e-9) {
			break
		}
		share = d.Share
	}
	return share
}

func lineChart(theme charts.ColorPalette, names []string, values [][]float64, labels []string, format func(float64) string) charts.LineChartOption {
	o := charts.NewLineChartOptionWithData(values)
	o.Theme, o.Legend.SeriesNames, o.XAxis.Labels = theme, names, labels
	o.XAxis.LabelCount, o.XAxis.BoundaryGap = min(len(labels), 6), charts.Ptr(false)
	o.Symbol.Shape, o.LineStrokeWidth = charts.SymbolNone, 2
	o.ValueFormatter = format
	o.YAxis = []charts.YAxisOption{{Min: charts.Ptr(0.0), ValueFormatter: format}}
	o.Padding = charts.NewBox(10, 10, 30, 10)
	return o
}

// costs are what is spent over the time.
func (p *Page) costs() (*plot, error) {
	names, shapes := p.shapes()
	times := p.Shape.Times
	if len(times) < 2 {
		return nil, nil
	}
	each, form := "day", "Jan 2"
	switch every := times[1].From.Sub(times[0].From); {
	case every < time.Hour:
		each, form = "ten minutes", "15:04"
	case every < 24*time.Hour:
		each, form = "hour", "Jan 2 15:04"
	}
	labels := make([]string, len(times))
	values := make([][]float64, len(shapes))
	for i := range times {
		labels[i] = times[i].From.Format(form)
		for line := range shapes {
			values[line] = append(values[line], shapes[line].Times[i].CostUSD)
		}
	}
	return drawn("What each "+each+" costs", "In US dollars, failed calls included (UTC).", func(painter *charts.Painter, theme charts.ColorPalette) error {
		return painter.LineChart(lineChart(theme, names, values, labels, dollars(values)))
	})
}

// dollars has as many digits as tell amounts apart.
func dollars(values [][]float64) func(float64) string {
	most := 0.0
	for _, line := range values {
		most = max(most, slices.Max(line))
	}
	digits := 2
	if most > 0 {
		digits = max(2, 2-int(math.Floor(math.Log10(most))))
	}
	return func(x float64) string { return fmt.Sprintf("$%.*f", digits, x) }
}

// shares are where the calls go.
func (p *Page) shares() (*plot, error) {
	names, results := p.lines()
	targets := map[string]bool{}
	for name := range p.Shares {
		targets[name] = true
	}
	for _, r := range results {
		for name := range r.Shares {
			targets[name] = true
		}
	}
	labels := slices.Sorted(maps.Keys(targets))
	values := make([][]float64, len(names))
	for _, name := range labels {
		values[0] = append(values[0], 100*p.Shares[name])
		for i, r := range results {
			values[i+1] = append(values[i+1], 100*r.Shares[name].At)
		}
	}
	return drawn("Where the calls go", "Share of the calls, by target.", func(painter *charts.Painter, theme charts.ColorPalette) error {
		o := charts.NewBarChartOptionWithData(values)
		percent := func(x float64) string { return fmt.Sprintf("%.0f%%", x) }
		o.Theme, o.Legend.SeriesNames, o.CategoryAxis.Labels = theme, names, labels
		o.ValueAxis = []charts.ValueAxisOption{{Min: charts.Ptr(0.0), ValueFormatter: percent}}
		if most := slices.MaxFunc(values, func(a, b []float64) int { return cmp.Compare(slices.Max(a), slices.Max(b)) }); slices.Max(most) > 80 {
			o.ValueAxis[0].Max, o.ValueAxis[0].LabelCount = charts.Ptr(100.0), 6 // and not 110% above it
		}
		o.Padding = charts.NewBox(10, 10, 20, 10)
		return painter.BarChart(o)
	})
}

const frontierBins = 60

// frontier is the cost and the time of each policy, where there are several.
func (p *Page) frontier() (*plot, error) {
	if len(p.Results) < 3 {
		return nil, nil
	}
	costs := make([]float64, len(p.Results))
	for i := range p.Results {
		costs[i] = p.Results[i].Metrics[replay.Cost].At
	}
	low, high := slices.Min(costs), slices.Max(costs)
	if high <= low {
		return nil, nil
	}
	values := [][]float64{make([]float64, frontierBins+1), make([]float64, frontierBins+1)} // others, on the frontier
	labels := make([]string, frontierBins+1)
	for bin := range labels {
		labels[bin] = p.Figure(replay.Cost, low+float64(bin)/frontierBins*(high-low))
		values[0][bin], values[1][bin] = charts.GetNullValue(), charts.GetNullValue()
	}
	for i := range p.Results {
		line := 0
		if slices.Contains(p.Frontier, p.Results[i].Policy) {
			line = 1
		}
		values[line][int(math.Round((costs[i]-low)/(high-low)*frontierBins))] = p.Results[i].Metrics[replay.Mean].At
	}
	return drawn("Cost against time", "Mean completion over the cost of 1,000 requests. Down and left is better: of those on the frontier no other is both as cheap and as fast.",
		func(painter *charts.Painter, theme charts.ColorPalette) error {
			o := charts.NewScatterChartOptionWithData(values)
			o.Theme, o.Legend.SeriesNames, o.XAxis.Labels, o.XAxis.LabelCount = theme, []string{"others", "on the frontier"}, labels, 5
			o.Symbol.Size = 6
			seconds := func(x float64) string { return p.Figure(replay.Mean, x) }
			o.YAxis = []charts.YAxisOption{{Min: charts.Ptr(0.0), ValueFormatter: seconds}}
			o.Padding = charts.NewBox(10, 10, 30, 10)
			return painter.ScatterChart(o)
		})
}
