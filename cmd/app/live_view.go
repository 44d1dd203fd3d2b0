package app

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"tidegate/jobs"
)

// Ways of writing, as terminals have them. Where a terminal has no colours, the library
// leaves them out.
const (
	inBold    = "1"
	inFaint   = "2"
	inReverse = "7"
	inRed     = "31"
	inGreen   = "32"
	inYellow  = "33"
)

func written(how, text string) string { return "\x1b[" + how + "m" + text + "\x1b[0m" }

// View draws the whole terminal.
func (l *live) View() tea.View {
	view := tea.NewView(strings.Join(l.lines(), "\n"))
	view.AltScreen = true
	view.WindowTitle = "tidegate"
	return view
}

// lines are those of the terminal, from the top, none longer than it is wide.
func (l *live) lines() []string {
	height := max(l.height, 3)
	all := []string{written(inBold, l.title())}
	switch {
	case l.help:
		all = append(all, helpLines...)
	case l.view == nil && l.fault == "":
		all = append(all, "", "reading …")
	case l.view != nil:
		all = append(all, l.sections(height-2)...)
	}
	if l.fault != "" {
		all = append(all[:1:1], append([]string{written(inRed, "the status could not be read: "+l.fault)}, all[1:]...)...)
	}
	if len(all) > height-1 {
		all = all[:height-1]
	}
	for len(all) < height-1 {
		all = append(all, "")
	}
	all = append(all, written(inFaint, l.bottom()))
	for i := range all {
		all[i] = ansi.Truncate(all[i], max(l.width, 1), "…")
	}
	return all
}

var helpLines = []string{
	"",
	"↑ ↓ k j   choose a route",
	"p         pause the chosen route for everybody, or resume it; it asks before",
	"s         sort routes by name, by what waits, by when they are done, by trouble",
	"r         read now",
	"q Esc     quit; Ctrl-C, too",
	"",
	"done by   is right in eight of ten cases if nothing new happens; while nobody",
	"          knows when an outage ends, it is said how much work is left",
	"",
	"? again closes this.",
}

// title is what there is to say of the whole.
func (l *live) title() string {
	text := "tidegate  " + l.now().Format("15:04:05")
	if l.view == nil {
		return text
	}
	alive, calls, cost := 0, 0, jobs.MicroUSD(0)
	for _, w := range l.view.Workers {
		if w.State == workerAlive {
			alive++
		}
	}
	for _, t := range l.view.Targets {
		calls, cost = calls+t.Calls, cost+t.cost
	}
	text += fmt.Sprintf("  %s  %d calls/min  %s/min", counted(alive, "worker"), calls, jobs.CostText(cost, false))
	if l.view.Outbox > 0 {
		text += fmt.Sprintf("  %d owed to NATS", l.view.Outbox)
	}
	if old := l.now().Sub(l.readAt); old > 3*l.every && old > 5*time.Second {
		text += fmt.Sprintf("  %s old", old.Round(time.Second))
	}
	return text
}

// A section is a table with its head.
type section struct {
	head   []string
	rows   [][]string
	how    []string // of each row
	chosen int      // the row that must be seen
}

// sections are the tables in so many lines: each has its share of them by what it has.
func (l *live) sections(lines int) []string {
	all := []section{l.targets(), l.routes(), l.batches()}
	room := max(lines-2*len(all), len(all)) // a head each, and a line between
	given := portions(room, []int{len(all[0].rows), len(all[1].rows), len(all[2].rows)})
	var drawn []string
	for i := range all {
		if len(all[i].rows) == 0 {
			continue
		}
		if len(drawn) > 0 {
			drawn = append(drawn, "")
		}
		drawn = append(drawn, all[i].draw(given[i])...)
	}
	return drawn
}

// portions gives each of some what it wants, if that is no more than its even part of what
// is left; the others have that.
func portions(room int, wants []int) []int {
	given := make([]int, len(wants))
	for left := len(wants); left > 0; {
		even, settled := room/left, false
		for i, want := range wants {
			if given[i] == 0 && want > 0 && want <= even {
				given[i], room, left, settled = want, room-want, left-1, true
			} else if given[i] == 0 && want == 0 {
				given[i], left, settled = -1, left-1, true
			}
		}
		if settled {
			continue
		}
		for i := range wants {
			if given[i] == 0 {
				given[i] = even
			}
		}
		break
	}
	return given
}

func (l *live) targets() section {
	s := section{head: []string{"TARGET", "CIRCUIT", "CALLS/MIN", "ANSWERED", "MEDIAN", "COST/MIN", "WHY"}, chosen: -1}
	now := l.there()
	for _, t := range l.view.Targets {
		how := ""
		switch {
		case t.Circuit != jobs.CircuitClosed:
			how = inRed
		case t.CooldownUntil.After(now) || t.Degraded != "":
			how = inYellow
		}
		s.add(how, t.Target, circuitState(now, t), fmt.Sprint(t.Calls), fmt.Sprint(t.Answered), (time.Duration(t.MedianMS) * time.Millisecond).String(),
			jobs.CostText(t.cost, t.Unpriced > 0), why(now, t))
	}
	return s
}

func (l *live) routes() section {
	s := section{head: []string{"ROUTE", "WAITING", "IN HAND", "OLDEST", "DONE BY", "STATE", "SINCE", "WHY"}, chosen: -1}
	now := l.there()
	for i := range l.view.Routes {
		r := &l.view.Routes[i]
		how := inRed
		switch {
		case r.Route == l.chosen:
			how, s.chosen = inReverse, i
		case r.State == stateFlows:
			how = ""
		case r.State == stateRetired:
			how = inFaint
		}
		s.add(how, r.Route, fmt.Sprint(r.Waiting), fmt.Sprint(r.InHand), age(now, r.Oldest), r.Forecast.short(now.Local()), r.State, age(now, r.Since), cmp.Or(oneLine(r.Why), "-"))
	}
	return s
}

func (l *live) batches() section {
	s := section{head: []string{"BATCH", "STATE", "DONE", "", "FAILED", "AGE", "DONE BY"}, chosen: -1}
	now := l.there()
	for i := range l.view.Batches {
		b := &l.view.Batches[i]
		how := ""
		switch {
		case b.State == jobs.BatchCompleted:
			how = inGreen
		case b.State.Final():
			how = inFaint
		case b.Forecast != nil && b.Forecast.Missed != "":
			how = inYellow
		}
		done := b.Completed + b.Failed
		s.add(how, shorten(b.BatchID, 22), string(b.State), fmt.Sprintf("%d/%d", done, b.Total), bar(done, b.Total, 10), fmt.Sprint(b.Failed), age(now, b.CreatedAt), b.Forecast.short(now.Local()))
	}
	return s
}

// there is the time by the clock of what was read, so that countdowns run.
func (l *live) there() time.Time { return l.view.At.Add(l.now().Sub(l.readAt)) }

// bar is how much of something is done.
func bar(done, all, width int) string {
	full := 0
	if all > 0 {
		full = min(done*width/all, width)
	}
	return strings.Repeat("━", full) + strings.Repeat("─", width-full)
}

func (s *section) add(how string, cells ...string) {
	for i := range cells {
		cells[i] = visible(cells[i])
	}
	s.rows, s.how = append(s.rows, cells), append(s.how, how)
}

// draw writes so many rows at most, under the head: those around the chosen one.
func (s *section) draw(most int) []string {
	from := 0
	if len(s.rows) > most {
		from = min(max(s.chosen-most/2, 0), len(s.rows)-most)
	}
	to := min(from+most, len(s.rows))
	wide := make([]int, len(s.head))
	for _, row := range append([][]string{s.head}, s.rows[from:to]...) {
		for i, cell := range row {
			wide[i] = max(wide[i], ansi.StringWidth(cell))
		}
	}
	head := padded(s.head, wide)
	if hidden := len(s.rows) - (to - from); hidden > 0 {
		head += fmt.Sprintf("  (%d more)", hidden)
	}
	lines := []string{written(inFaint, head)}
	for i := from; i < to; i++ {
		line := padded(s.rows[i], wide)
		if s.how[i] != "" {
			line = written(s.how[i], line)
		}
		lines = append(lines, line)
	}
	return lines
}

// padded is a row whose cells, but the last, are so wide.
func padded(cells []string, wide []int) string {
	var line strings.Builder
	for i, cell := range cells {
		line.WriteString(cell)
		if i < len(cells)-1 {
			line.WriteString(strings.Repeat(" ", wide[i]-ansi.StringWidth(cell)+2))
		}
	}
	return strings.TrimRight(line.String(), " ")
}
