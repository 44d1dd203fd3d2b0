package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"

	"tidegate/jobs"
	"tidegate/worker/publish"
)

// shownLive is a live view of a status, of a size.
func shownLive(view statusView, width, height int) *live {
	l := &live{ctx: context.Background(), every: time.Second, now: func() time.Time { return view.At }, width: width, height: height}
	l.look = func(context.Context) (statusView, error) { return view, nil }
	l.Update(liveRead{view: view})
	return l
}

func busyStatus(routes, targets, batches int) statusView {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	view := statusView{At: at}
	for i := range routes {
		view.Routes = append(view.Routes, routeView{Route: fmt.Sprintf("route-%03d", i), State: stateFlows, Waiting: i * 1000, Why: "because\x1b[2J\nof it"})
	}
	for i := range targets {
		view.Targets = append(view.Targets, targetView{Target: fmt.Sprintf("target-%03d", i), Circuit: jobs.CircuitOpen, Reason: "503", CooldownUntil: at.Add(30 * time.Second)})
	}
	for i := range batches {
		view.Batches = append(view.Batches, batchView{BatchBody: publish.BatchBody{BatchID: fmt.Sprintf("batch_%032d", i), State: jobs.BatchInProgress, Total: 10, Completed: i}})
	}
	return view
}

// Whatever there is and however large the terminal: the lines fit, and no control
// character of anybody else's comes through.
func TestLiveFitsTheTerminal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		width, height := rapid.IntRange(1, 200).Draw(t, "width"), rapid.IntRange(1, 60).Draw(t, "height")
		view := busyStatus(rapid.IntRange(0, 50).Draw(t, "routes"), rapid.IntRange(0, 50).Draw(t, "targets"), rapid.IntRange(0, 5).Draw(t, "batches"))
		l := shownLive(view, width, height)
		for _, key := range rapid.SliceOf(rapid.SampledFrom([]string{"up", "down", "s", "p", "n", "?", "x"})).Draw(t, "keys") {
			l.key(key)
		}
		lines := l.lines()
		if len(lines) != max(height, 3) {
			t.Fatalf("%d lines on %d", len(lines), height)
		}
		for _, line := range lines {
			if ansi.StringWidth(line) > width || strings.ContainsAny(ansi.Strip(line), "\n\x1b") || strings.Contains(line, "\x1b[2J") {
				t.Fatalf("%q on %d", line, width)
			}
		}
	})
}

// At 80 by 24 each table has a place, and the chosen route is seen wherever it stands.
func TestLiveAtTheUsualSize(t *testing.T) {
	t.Parallel()
	l := shownLive(busyStatus(40, 12, 5), 80, 24)
	for range 30 {
		l.key("down")
	}
	text := ansi.Strip(strings.Join(l.lines(), "\n"))
	for _, want := range []string{"TARGET", "target-000", "open, 30s left", "ROUTE", "route-030", "BATCH", "1/10", "q quit"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if l.key("s"); l.view.Routes[0].Route != "route-039" || l.chosen != "route-030" {
		t.Errorf("sorted by what waits, %s is first, and %s chosen", l.view.Routes[0].Route, l.chosen)
	}
	before := l.now()
	l.now = func() time.Time { return before.Add(12 * time.Second) }
	if text := ansi.Strip(strings.Join(l.lines(), "\n")); !strings.Contains(text, "open, 18s left") || !strings.Contains(text, "12s old") {
		t.Errorf("twelve seconds on it is\n%s", text)
	}
}

// A look that fails leaves the last one to be seen, and says so.
func TestLiveKeepsTheLastLook(t *testing.T) {
	t.Parallel()
	l := shownLive(busyStatus(1, 1, 0), 80, 24)
	l.Update(liveRead{err: errors.New("Postgres is away")})
	if text := ansi.Strip(strings.Join(l.lines(), "\n")); !strings.Contains(text, "Postgres is away") || !strings.Contains(text, "route-000") {
		t.Errorf("it is\n%s", text)
	}
}

// What is asked is done when a person says yes, to the route that was named.
func TestLiveAsksBefore(t *testing.T) {
	t.Parallel()
	l := shownLive(busyStatus(2, 0, 0), 80, 24)
	var done []string
	l.able = hands{
		pause: func(_ context.Context, route string) error { done = append(done, "pause "+route); return nil },
		resume: func(_ context.Context, route string) error {
			done = append(done, "resume "+route)
			return errors.New("away")
		},
	}
	l.key("p")
	if no := l.key("n"); no != nil {
		t.Error("a no does something")
	}
	l.key("p")
	l.chosen = "route-001" // it is asked about the other one
	l.Update(l.key("y")())
	if l.said != "route-000 is paused" {
		t.Errorf("it says %q", l.said)
	}
	l.view.Routes[0].Pauses = []pauseView{{Owner: jobs.OwnerPerson}}
	l.chosen = "route-000"
	l.key("p")
	l.Update(l.key("y")())
	if want := []string{"pause route-000", "resume route-000"}; !slices.Equal(done, want) || l.said != "away" {
		t.Errorf("it did %v, and says %q", done, l.said)
	}
}

// panicking is a model that fails when a key is pressed.
type panicking struct{ *live }

func (p panicking) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	if _, is := msg.(tea.KeyPressMsg); is {
		panic("a mistake of ours")
	}
	_, cmd := p.live.Update(msg)
	return p, cmd
}

// A mistake of ours leaves the terminal as it was, and is an error.
func TestLiveSurvivesAPanic(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	err := runLive(t.Context(), panicking{shownLive(busyStatus(1, 1, 1), 80, 24)}, strings.NewReader("x"), &out)
	if err == nil || strings.Contains(out.String(), "\x1b[?1049h") && !strings.Contains(out.String(), "\x1b[?1049l") {
		t.Errorf("it ended with %v and %q", err, out.String())
	}
}
