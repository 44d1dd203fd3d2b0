package page

import (
	"embed"
	"fmt"
	"html/template"
	"io"

	"tidegate/routing/replay"
)

//go:embed page.html
var files embed.FS

// A Page is what is shown.
type Page struct {
	*replay.Report
	Log      string // where the log is from
	Assumed  string // of the fleet
	Frontier []string
	Version  string // of the program

	// Label says what a metric is, Figure a number of it, and Change how far it is from
	// another one.
	Label          func(replay.Metric) string
	Figure, Change func(replay.Metric, float64) string
}

var pages = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"percent": func(x float64) string { return fmt.Sprintf("%.2f%%", 100*x) },
	"many":    func(n int) bool { return n > 2 },
}).ParseFS(files, "page.html"))

// Write writes the page.
func (p *Page) Write(to io.Writer) error {
	shown, err := p.shown()
	if err != nil {
		return err
	}
	return pages.Execute(to, shown)
}

// What the page is made of.
type shown struct {
	*Page
	Rows    []row
	Plots   []plot
	Missing bool // a verdict
}

// A row is a metric of all policies.
type row struct {
	Label, Logged string
	Cells         []cell
}

type cell struct {
	Figure, Low, High, Change string
	Doubted                   bool
}

// A plot is one picture, as it is in the light and in the dark.
type plot struct {
	Title, Says string
	Light, Dark template.HTML
}

func (p *Page) shown() (*shown, error) {
	s := &shown{Page: p}
	for i := range p.Results {
		s.Missing = s.Missing || p.Results[i].Confidence == replay.NoVerdict
	}
	for _, m := range replay.Metrics() {
		if _, is := p.Results[0].Metrics[m]; is && p.Label(m) != "" {
			s.Rows = append(s.Rows, p.row(m))
		}
	}
	for _, draw := range []func() (*plot, error){p.completions, p.costs, p.shares, p.circuits, p.frontier} {
		made, err := draw()
		if err != nil {
			return nil, fmt.Errorf("drawing a plot: %w", err)
		}
		if made != nil {
			s.Plots = append(s.Plots, *made)
		}
	}
	return s, nil
}

func (p *Page) row(m replay.Metric) row {
	made := row{Label: p.Label(m), Logged: "–"}
	if x, is := p.Logged[m]; is {
		made.Logged = p.Figure(m, x)
	}
	for i := range p.Results {
		r := &p.Results[i]
		of := r.Metrics[m]
		c := cell{Figure: p.Figure(m, of.At), Low: p.Figure(m, of.Low), High: p.Figure(m, of.High), Doubted: r.Confidence == replay.NoVerdict}
		if change, is := r.Change[m]; is {
			c.Change = p.Change(m, change.At)
		}
		made.Cells = append(made.Cells, c)
	}
	return made
}
