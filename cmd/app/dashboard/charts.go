package dashboard

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"time"

	"github.com/go-analyze/charts"
)

const (
	chartWidth, chartHeight = 460, 200
	// mostLines are how many things have a line of their own; the rest is one.
	mostLines  = 6
	others     = "others"
	tableLines = 12 // of a chart's table, about
)

// A chart is a picture, what it says in a sentence, and the same in figures.
type chart struct {
	ID, Title, Unit string
	Says            string
	Picture         template.HTML // empty: there is nothing to see
	Legend          []legend
	Heads           []string
	Rows            []chartRow
}

// A legend says which line is whose.
type legend struct {
	N         int // its color and its dashes, from 1
	Name, Now string
}

type chartRow struct {
	When  string
	Cells []string
}

// A scale is how a chart writes its values.
type scale func(float64) string

// draw makes the chart of a trend.
func (t *trend) draw(id, title, unit string, w window, write scale) (chart, error) {
	c := chart{ID: id, Title: title, Unit: unit}
	lines := t.few()
	peak := 0.0
	for _, l := range lines {
		peak = max(peak, l.peak())
	}
	if peak == 0 {
		c.Says = fmt.Sprintf("%s: nothing in the last %s.", title, w.Last)
		return c, nil
	}
	c.Says = fmt.Sprintf("%s, %s, over the last %s.", title, unit, w.Last)
	for i, l := range lines {
		now := write(l.last())
		c.Legend = append(c.Legend, legend{i + 1, l.Name, now})
		c.Says += fmt.Sprintf(" %s: now %s, at most %s.", l.Name, now, write(l.peak()))
	}
	c.tabulate(lines, w, write)
	var err error
	c.Picture, err = picture(lines, w, write)
	return c, err
}

func (l *line) last() float64 { return l.Values[len(l.Values)-1] }

func (l *line) peak() (peak float64) {
	for _, v := range l.Values {
		peak = max(peak, v)
	}
	return peak
}

// few are as many lines as one can tell apart: the largest ones, in the order in which all
// of them are, and what the others are together.
func (t *trend) few() []line {
	if len(t.lines) <= mostLines {
		return t.lines
	}
	bySize := make([]int, len(t.lines))
	for i := range bySize {
		bySize[i] = i
	}
	slices.SortStableFunc(bySize, func(a, b int) int { return cmp.Compare(t.lines[b].size(), t.lines[a].size()) })
	shown := bySize[:mostLines-1]
	slices.Sort(shown)
	var few []line
	rest := line{others, make([]float64, len(t.lines[0].Values))}
	for n, l := range t.lines {
		if slices.Contains(shown, n) {
			few = append(few, l)
			continue
		}
		for i, v := range l.Values {
			rest.Values[i] += v
		}
	}
	return append(few, rest)
}

func (l *line) size() (sum float64) {
	for _, v := range l.Values {
		sum += v
	}
	return sum
}

// tabulate puts some of the figures into a table, the latest first.
func (c *chart) tabulate(lines []line, w window, write scale) {
	for _, l := range lines {
		c.Heads = append(c.Heads, l.Name)
	}
	points := len(lines[0].Values)
	for back := 0; back < points; back += max(1, points/tableLines) {
		row := chartRow{When: "now"}
		if back > 0 {
			row.When = span(time.Duration(back)*w.Each) + " ago"
		}
		for _, l := range lines {
			row.Cells = append(row.Cells, write(l.Values[points-1-back]))
		}
		c.Rows = append(c.Rows, row)
	}
}

// picture draws lines, each on top of the ones before.
func picture(lines []line, w window, write scale) (template.HTML, error) {
	values := make([][]float64, len(lines))
	for i, l := range lines {
		values[i] = l.Values
	}
	o := charts.NewLineChartOptionWithData(values)
	o.Theme = marked(len(lines))
	o.Symbol.Shape, o.LineStrokeWidth = charts.SymbolNone, 1.5
	o.FillArea, o.FillOpacity, o.StackSeries = charts.Ptr(true), 90, charts.Ptr(true)
	o.Legend.Show = charts.Ptr(false)
	o.ValueFormatter = charts.ValueFormatter(write)
	font := charts.NewFontStyleWithSize(12)
	o.YAxis = []charts.YAxisOption{{Min: charts.Ptr(0.0), LabelCount: 4, LabelFontStyle: font, ValueFormatter: charts.ValueFormatter(write)}}
	o.XAxis.Labels = w.labels(len(lines[0].Values))
	o.XAxis.LabelCount, o.XAxis.BoundaryGap, o.XAxis.LabelFontStyle = len(w.marks), charts.Ptr(false), font
	o.Padding = charts.NewBox(4, 10, 26, 4)
	p := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: chartWidth, Height: chartHeight})
	if err := p.LineChart(o); err != nil {
		return "", fmt.Errorf("drawing a chart: %w", err)
	}
	svg, err := p.Bytes()
	if err != nil {
		return "", fmt.Errorf("drawing a chart: %w", err)
	}
	return restyled(svg), nil
}

// labels says how long ago each point is: those that are written are the same far apart, as
// the marks are.
func (w window) labels(points int) []string {
	labels := make([]string, points)
	for i := range labels {
		part := float64(i) / float64(max(points-1, 1))
		labels[i] = w.marks[int(part*float64(len(w.marks)-1)+0.5)]
	}
	return labels
}
