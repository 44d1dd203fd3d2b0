package page

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"
)

const (
	rowHeight  = 26
	labelWidth = 260
	leastWidth = 2.0 // of an opening, so that it is seen
	mostRows   = 20
)

// circuits are when which circuits were open, a row for each target of each policy.
func (p *Page) circuits() (*plot, error) {
	type line struct{ policy, target string }
	var lines []line
	bars := map[line][]string{}
	_, results := p.lines()
	to := p.To // what came last may be answered long after
	for _, r := range results {
		for _, o := range r.Openings {
			if o.To.After(to) {
				to = o.To
			}
		}
	}
	all := max(to.Sub(p.From), time.Second)
	for number, r := range results {
		for _, o := range r.Openings {
			at := line{r.Policy, o.Target}
			if _, seen := bars[at]; !seen {
				lines = append(lines, at)
			}
			x := float64(o.From.Sub(p.From)) / float64(all)
			wide := float64(o.To.Sub(o.From)) / float64(all)
			x, wide = min(max(x, 0), 1)*(width-labelWidth), min(max(wide, 0), 1-min(max(x, 0), 1))*(width-labelWidth)
			bars[at] = append(bars[at], fmt.Sprintf(`<rect class="c%d" x="%.1f" y="%%d" width="%.1f" height="%d" rx="2"><title>%s</title></rect>`,
				(number+1)%len(palettes[false]), labelWidth+x, max(wide, leastWidth), rowHeight-8,
				template.HTMLEscapeString(o.Target+": from "+o.From.Format(time.DateTime)+" for "+o.To.Sub(o.From).Round(time.Second).String())))
		}
	}
	if len(lines) == 0 {
		return nil, nil
	}
	slices.SortStableFunc(lines, func(a, b line) int { return strings.Compare(a.target, b.target) })
	says := "When a target was not called since it was in trouble, in the times that were run (UTC)."
	if left := len(lines) - mostRows; left > 0 {
		lines, says = lines[:mostRows], says+fmt.Sprintf(" There are %d more.", left)
	}
	var text strings.Builder
	high := rowHeight*len(lines) + 24
	fmt.Fprintf(&text, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" class="timeline" role="img">`, width, high)
	for i, at := range lines {
		y := rowHeight * i
		fmt.Fprintf(&text, `<text x="0" y="%d">%s</text><line x1="%d" x2="%d" y1="%d" y2="%d"/>`, y+16, template.HTMLEscapeString(cut(at.target+" · "+at.policy)), labelWidth, width, y+12, y+12)
		for _, bar := range bars[at] {
			text.WriteString(strings.Replace(bar, `y="%d"`, fmt.Sprintf(`y="%d"`, y+3), 1))
		}
	}
	fmt.Fprintf(&text, `<text x="%d" y="%d">%s</text><text x="%d" y="%d" text-anchor="end">%s</text></svg>`,
		labelWidth, high-6, p.From.UTC().Format(time.DateTime), width, high-6, to.UTC().Format(time.DateTime))
	return &plot{Title: "When circuits were open", Says: says, Light: template.HTML(text.String())}, nil // #nosec G203 -- names are escaped above
}

// cut shortens what stands before a row.
func cut(text string) string {
	const most = 38
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
