package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"tidegate/jobs"
)

// A live is the status on a whole terminal: what was read last, and what a person has
// chosen. It belongs to the loop of its program.
type live struct {
	ctx    context.Context // ends with the program: a look must not outlive it
	look   func(context.Context) (statusView, error)
	able   hands
	every  time.Duration
	now    func() time.Time
	width  int
	height int

	view    *statusView // nil: nothing was read yet
	readAt  time.Time
	reading bool
	fault   string // why the last look failed; empty: it did not
	said    string // what came of the last key
	order   int    // of orders
	chosen  string // a route
	asks    string // the route that is to be paused or resumed, if a person says so; empty: none
	help    bool
}

// Messages of the loop.
type (
	liveRead struct {
		view statusView
		err  error
	}
	liveTick struct{}
	liveDone struct {
		said string
		err  error
	}
)

func newLive(ctx context.Context, look *look, able hands, every time.Duration) *live {
	return &live{ctx: ctx, able: able, every: every, now: time.Now, width: 80, height: 24, look: func(ctx context.Context) (statusView, error) {
		_, view, err := look.once(ctx)
		return view, err
	}}
}

// orders are how routes may be sorted.
var orders = []struct {
	name string
	less func(a, b *routeView) int
}{
	{"name", func(a, b *routeView) int { return cmp.Compare(a.Route, b.Route) }},
	{"waiting", func(a, b *routeView) int { return cmp.Compare(b.Waiting+b.InHand, a.Waiting+a.InHand) }},
	{"done last", func(a, b *routeView) int { return cmp.Compare(doneRank(b), doneRank(a)) }},
	{"trouble", func(a, b *routeView) int { return cmp.Compare(trouble(b), trouble(a)) }},
}

// doneRank is larger the later a route is done; largest where nobody knows.
func doneRank(r *routeView) int64 {
	switch {
	case r.Forecast == nil:
		return 0
	case r.Forecast.DoneAt.IsZero():
		return 1<<62 + r.Forecast.WorkMS
	default:
		return r.Forecast.DoneAt.Unix()
	}
}

func trouble(r *routeView) int {
	return slices.Index([]string{stateFlows, stateRetired, stateUnserved, stateHolds, statePaused}, r.State)
}

// Init begins to read.
func (l *live) Init() tea.Cmd { return tea.Batch(l.read(), l.tick()) }

func (l *live) tick() tea.Cmd {
	return tea.Tick(min(l.every, time.Second), func(time.Time) tea.Msg { return liveTick{} })
}

// read has the status read, beside the loop.
func (l *live) read() tea.Cmd {
	if l.reading {
		return nil
	}
	l.reading = true
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(l.ctx, readWithin)
		defer cancel()
		view, err := l.look(ctx)
		return liveRead{view, err}
	}
}

// Update takes what has happened.
func (l *live) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		l.width, l.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		return l, l.key(msg.String())
	case liveTick:
		if l.now().Sub(l.readAt) >= l.every {
			return l, tea.Batch(l.read(), l.tick())
		}
		return l, l.tick()
	case liveRead:
		l.reading, l.readAt = false, l.now()
		if l.fault = ""; msg.err != nil {
			l.fault = oneLine(msg.err.Error())
			break
		}
		l.view = &msg.view
		l.sort()
	case liveDone:
		if l.said = msg.said; msg.err != nil {
			l.said = oneLine(msg.err.Error())
		}
		return l, l.read()
	}
	return l, nil
}

// sort puts the routes in order, and keeps the chosen one.
func (l *live) sort() {
	if l.view == nil {
		return
	}
	slices.SortStableFunc(l.view.Routes, func(a, b routeView) int {
		return cmp.Or(orders[l.order].less(&a, &b), strings.Compare(a.Route, b.Route))
	})
	if l.place() < 0 && len(l.view.Routes) > 0 {
		l.chosen = l.view.Routes[0].Route
	}
}

// place is that of the chosen route; below zero: it is gone.
func (l *live) place() int {
	return slices.IndexFunc(l.view.Routes, func(r routeView) bool { return r.Route == l.chosen })
}

// key does what a key is for.
func (l *live) key(key string) tea.Cmd {
	if l.asks != "" && key != "ctrl+c" && key != "q" {
		return l.answer(key)
	}
	l.said = ""
	switch key {
	case "q", "ctrl+c", "esc":
		return tea.Quit
	case "up", "k":
		l.move(-1)
	case "down", "j", "tab":
		l.move(1)
	case "s":
		l.order = (l.order + 1) % len(orders)
		l.sort()
		l.said = "sorted by " + orders[l.order].name
	case "r":
		return l.read()
	case "p":
		l.ask()
	case "?", "h":
		l.help = !l.help
	}
	return nil
}

func (l *live) move(by int) {
	if l.view == nil || len(l.view.Routes) == 0 {
		return
	}
	at := min(max(l.place()+by, 0), len(l.view.Routes)-1)
	l.chosen = l.view.Routes[at].Route
}

// ask asks whether the chosen route is to be paused or resumed.
func (l *live) ask() {
	if l.view == nil || l.place() < 0 {
		l.said = "there is no route"
		return
	}
	l.asks = l.chosen
}

// answer hears the answer to that.
func (l *live) answer(key string) tea.Cmd {
	route, paused := l.asks, l.paused()
	l.asks = ""
	if key != "y" {
		l.said = "nothing was done"
		return nil
	}
	do, said := l.able.pause, route+" is paused"
	if paused {
		do, said = l.able.resume, route+" is resumed"
	}
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(l.ctx, readWithin)
		defer cancel()
		return liveDone{said, do(ctx, route)}
	}
}

// paused tells whether the route that is asked about is paused by a person.
func (l *live) paused() bool {
	at := slices.IndexFunc(l.view.Routes, func(r routeView) bool { return r.Route == l.asks })
	return at >= 0 && slices.ContainsFunc(l.view.Routes[at].Pauses, func(p pauseView) bool { return p.Owner != jobs.OwnerCircuit })
}

// bottom is the last line: a question, what came of a key, a fault, or the keys.
func (l *live) bottom() string {
	switch {
	case l.asks != "" && l.paused():
		return fmt.Sprintf("resume %s? y: yes, any other key: no", l.asks)
	case l.asks != "":
		return fmt.Sprintf("pause %s for everybody? y: yes, any other key: no", l.asks)
	case l.said != "":
		return l.said
	default:
		return "q quit   ↑↓ choose   p pause or resume   s sort   r read now   ? help"
	}
}
