package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"tidegate/jobs"
	"tidegate/store"
)

type pgxTx = pgx.Tx

// noChange is a change that must not be called.
func noChange(t *testing.T) func(context.Context, pgx.Tx) error {
	return func(context.Context, pgx.Tx) error {
		t.Error("the queue was changed")
		return nil
	}
}

// A gated is a world with a route and River's own client, that a supervisor
// leads.
type gated struct {
	*world
	river *river.Client[pgx.Tx]
	held  jobs.Lead
}

func newGated(t *testing.T) *gated {
	t.Helper()
	w := newWorld(t)
	if err := w.SaveRoutes(t.Context(), []jobs.Route{{Name: "summaries", Goal: "ordered", Chain: []*jobs.Target{{Name: "b"}, {Name: "a"}}}}); err != nil {
		t.Fatal(err)
	}
	client, err := river.NewClient(riverpgxv5.New(w.pool), &river.Config{Schema: "tidegate"})
	if err != nil {
		t.Fatal(err)
	}
	return &gated{world: w, river: client, held: w.lead("one")}
}

func (g *gated) pauseTx(ctx context.Context, tx pgx.Tx) error {
	return g.river.QueuePauseTx(ctx, tx, "summaries", nil)
}

func (g *gated) resumeTx(ctx context.Context, tx pgx.Tx) error {
	return g.river.QueueResumeTx(ctx, tx, "summaries", nil)
}

// do is what somebody does, in a word, and whether that changed the queue, as far
// as it says so.
func (g *gated) do(act string) (changed bool) {
	g.t.Helper()
	var err error
	switch act {
	case "trip":
		changed, err = g.Pause(g.t.Context(), g.held, "summaries", "all are down", g.pauseTx)
	case "explain":
		err = g.Explain(g.t.Context(), g.held, "summaries", "another cause")
	case "mend":
		changed, err = g.Resume(g.t.Context(), g.held, "summaries", g.resumeTx)
	case "pause":
		err = g.PauseByPerson(g.t.Context(), "summaries", "lunch", g.pauseTx)
	case "resume":
		err = g.ResumeByPerson(g.t.Context(), "summaries", g.resumeTx)
	case "river pause":
		err = g.river.QueuePause(g.t.Context(), "summaries", nil)
	case "river resume":
		err = g.river.QueueResume(g.t.Context(), "summaries", nil)
	case "lose the queue":
		g.exec("DELETE FROM tidegate.river_queue")
	case "serve": // as River's producers do, each minute
		g.exec("INSERT INTO tidegate.river_queue (name, updated_at) VALUES ('summaries', now()) ON CONFLICT (name) DO UPDATE SET updated_at = excluded.updated_at")
	default:
		g.t.Fatalf("nobody knows how to %s", act)
	}
	if err != nil {
		g.t.Fatalf("%s: %v", act, err)
	}
	return changed
}

// stands says who pauses the route, and whether River's queue is paused.
func (g *gated) stands() string {
	g.t.Helper()
	pauses, err := g.Pauses(g.t.Context())
	if err != nil {
		g.t.Fatal(err)
	}
	var said []string
	for _, p := range pauses {
		said = append(said, fmt.Sprintf("%s: %s", p.Owner, p.Reason))
	}
	paused := g.number("SELECT count(*) FROM tidegate.river_queue WHERE name = 'summaries' AND paused_at IS NOT NULL") == 1
	return fmt.Sprint(said, " ", paused)
}

func TestPausesAreCountedByOwner(t *testing.T) {
	t.Parallel()
	const (
		circuit, lunch, person = "circuit: all are down", "person: lunch", "person: paused by a person"
		free                   = "[] false"
	)
	for name, c := range map[string]struct {
		acts    []string
		changed []string // those acts of the supervisor that changed the queue
		want    string
	}{
		"circuits":                               {[]string{"trip"}, []string{"trip"}, "[" + circuit + "] true"},
		"circuits twice":                         {[]string{"trip", "trip"}, []string{"trip"}, "[" + circuit + "] true"},
		"circuits and back":                      {[]string{"trip", "mend"}, []string{"trip", "mend"}, free},
		"another cause":                          {[]string{"trip", "pause", "explain"}, []string{"trip"}, "[circuit: another cause " + lunch + "] true"},
		"another cause of nothing":               {[]string{"pause", "explain"}, nil, "[" + lunch + "] true"},
		"nothing to resume":                      {[]string{"mend"}, nil, free},
		"a person":                               {[]string{"pause"}, nil, "[" + lunch + "] true"},
		"a person and back":                      {[]string{"pause", "resume"}, nil, free},
		"circuits may not resume a person":       {[]string{"pause", "mend"}, nil, "[" + lunch + "] true"},
		"a person in an outage that ends":        {[]string{"trip", "pause", "mend"}, []string{"trip"}, "[" + lunch + "] true"},
		"... and then resumes":                   {[]string{"trip", "pause", "mend", "resume"}, []string{"trip"}, free},
		"an outage in a pause":                   {[]string{"pause", "trip", "mend"}, nil, "[" + lunch + "] true"},
		"a person resumes in an outage":          {[]string{"trip", "pause", "resume"}, []string{"trip"}, free},
		"... and it is paused again":             {[]string{"trip", "resume", "trip"}, []string{"trip", "trip"}, "[" + circuit + "] true"},
		"... or mends":                           {[]string{"trip", "resume", "mend"}, []string{"trip"}, free},
		"River's pause":                          {[]string{"serve", "river pause"}, nil, "[" + person + "] true"},
		"River's pause of a paused queue":        {[]string{"trip", "river pause"}, []string{"trip"}, "[" + circuit + " " + person + "] true"},
		"... outlives the outage":                {[]string{"trip", "river pause", "mend"}, []string{"trip"}, "[" + person + "] true"},
		"River's resume clears all":              {[]string{"trip", "pause", "river resume"}, []string{"trip"}, free},
		"River's pause after one with a reason":  {[]string{"pause", "river pause"}, nil, "[" + lunch + "] true"},
		"a reason after River's pause":           {[]string{"serve", "river pause", "pause"}, nil, "[" + lunch + "] true"},
		"River serves the queue":                 {[]string{"trip", "serve", "serve"}, []string{"trip"}, "[" + circuit + "] true"},
		"... and books nothing for it":           {[]string{"serve", "serve"}, nil, free},
		"River forgot the queue":                 {[]string{"trip", "lose the queue", "trip"}, []string{"trip"}, "[" + circuit + "] true"},
		"River forgot the queue, and it is over": {[]string{"trip", "lose the queue", "mend"}, []string{"trip", "mend"}, free},
		"... and makes it anew":                  {[]string{"trip", "lose the queue", "serve", "serve"}, []string{"trip"}, "[" + circuit + "] true"},
		"... and it is over after that":          {[]string{"trip", "lose the queue", "serve", "mend"}, []string{"trip", "mend"}, free},
		"River forgot a person's pause":          {[]string{"pause", "lose the queue", "serve"}, nil, "[" + lunch + "] true"},
		"... which that one ends":                {[]string{"pause", "lose the queue", "resume", "serve"}, nil, free},
		"... and there is an outage in it":       {[]string{"pause", "lose the queue", "trip", "mend"}, nil, "[" + lunch + "] true"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGated(t)
			var changed []string
			for _, act := range c.acts {
				if g.do(act) {
					changed = append(changed, act)
				}
			}
			if !slices.Equal(changed, c.changed) {
				t.Errorf("the supervisor changed the queue by %v, not %v", changed, c.changed)
			}
			if got := g.stands(); got != c.want {
				t.Errorf("it stands at %s, not %s", got, c.want)
			}
		})
	}
}

// A pause whose cause changes is the same pause.
func TestExplainIsNoNewPause(t *testing.T) {
	t.Parallel()
	g := newGated(t)
	g.do("trip")
	g.exec("UPDATE tidegate.pauses SET since = now() - interval '1 hour'")
	before := len(g.owed())
	g.do("explain")
	pauses, err := g.Pauses(t.Context())
	if err != nil || len(pauses) != 1 || time.Since(pauses[0].Since) < 50*time.Minute || pauses[0].Reason != "another cause" {
		t.Errorf("it is %+v, %v", pauses, err)
	}
	expect(t, "events", []int{before, len(g.owed())}, []int{1, 0})
	other := g.held
	other.Epoch++
	if err := g.Explain(t.Context(), other, "summaries", "r"); !errors.Is(err, jobs.ErrDeposed) {
		t.Errorf("to one who does not lead it says %v", err)
	}
}

// What River refuses leaves no trace.
func TestPauseIsOneTransaction(t *testing.T) {
	t.Parallel()
	g := newGated(t)
	broken := errors.New("River is out")
	fails := func(context.Context, pgx.Tx) error { return broken }
	changed, pauseErr := g.Pause(t.Context(), g.held, "summaries", "down", fails)
	if changed || !errors.Is(pauseErr, broken) || !errors.Is(g.PauseByPerson(t.Context(), "summaries", "", fails), broken) {
		t.Errorf("it says %v, %v", changed, pauseErr)
	}
	expect(t, "it stands at", g.stands(), "[] false")
	for _, err := range []error{
		g.PauseByPerson(t.Context(), "nobody", "", noChange(t)), g.ResumeByPerson(t.Context(), "nobody", noChange(t)),
	} {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("of an unknown route it says %v", err)
		}
	}
}

// Everybody at once: nobody waits for ever, and rows and queue agree at the end.
func TestPausesByManyAtOnce(t *testing.T) {
	t.Parallel()
	g := newGated(t)
	ctx := t.Context()
	acts := []func() error{
		func() error { _, err := g.Pause(ctx, g.held, "summaries", "down", g.pauseTx); return err },
		func() error { _, err := g.Resume(ctx, g.held, "summaries", g.resumeTx); return err },
		func() error { return g.PauseByPerson(ctx, "summaries", "lunch", g.pauseTx) },
		func() error { return g.ResumeByPerson(ctx, "summaries", g.resumeTx) },
		func() error { return ignoreMissing(g.river.QueuePause(ctx, "summaries", nil)) },
	}
	var parts sync.WaitGroup
	for _, act := range acts {
		parts.Go(func() {
			for range 20 {
				if err := act(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	parts.Wait()
	if disagree := g.number(`SELECT count(*) FROM tidegate.river_queue q
		WHERE (paused_at IS NOT NULL) <> EXISTS (SELECT FROM tidegate.pauses WHERE route = q.name)`); disagree != 0 {
		t.Errorf("the queue and its pauses disagree: %s", g.stands())
	}
}

// ignoreMissing drops River's word for a queue that nobody has served yet.
func ignoreMissing(err error) error {
	if errors.Is(err, river.ErrNotFound) {
		return nil
	}
	return err
}

func TestRoutesKnowTheirChains(t *testing.T) {
	t.Parallel()
	g := newGated(t)
	expect(t, "chains in order", g.number("SELECT count(*) FROM tidegate.routes WHERE chain = '{b,a}'"), 1)
}
