package integration

import (
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"tidegate/integration/fixture"
	"tidegate/jobs"
)

// pausers are the ways in which a person pauses a route.
var pausers = map[string]func(*storm){
	"with tidegate": func(s *storm) { s.must("pause", summaries, "--reason", "the prompt is wrong") },
	"with River": func(s *storm) {
		s.Helper()
		client, err := river.NewClient(riverpgxv5.New(s.Pool), &river.Config{Schema: "tidegate"})
		check(s.T, err)
		check(s.T, client.QueuePause(s.Context(), summaries, nil))
	},
}

// pausedStory is an outage that has lasted until the queue was paused, with more
// requests than workers have in hand.
func pausedStory(t *testing.T) (*storm, []*crew, jobs.Batch) {
	t.Helper()
	s := newStorm(t, staging{config: oneTarget})
	s.down("*", down503)
	crews := s.crews(2, nil)
	batch := s.enqueue(5*inHand, nil)
	fixture.Await(t, soon, "the queue is paused for its circuits", func() bool { return s.paused() && slices.Equal(s.owners(), []string{"circuit"}) })
	return s, crews, batch
}

// statusPauses is what `status` says of the owners of a pause, in JSON and in
// words.
func (s *storm) statusPauses() (owners []string, words string) {
	s.Helper()
	type status struct {
		Routes []struct {
			State  string
			Pauses []struct{ Owner string }
		}
	}
	for _, r := range lastLine[status](s.T, s.must("status", "--json").out).Routes {
		for _, p := range r.Pauses {
			owners = append(owners, p.Owner)
		}
	}
	return owners, s.must("status").out
}

// TestPersonsPauseOutlivesAnOutage: somebody pauses a route that its circuits
// pause. It stays paused when the target is well again, whatever the supervisor
// does, and until a person resumes it.
func TestPersonsPauseOutlivesAnOutage(t *testing.T) {
	t.Parallel()
	for name, pause := range pausers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, crews, batch := pausedStory(t)
			pause(s)
			both := []string{"circuit", "person"}
			owners, words := s.statusPauses()
			if diff := gocmp.Diff(both, s.owners()); diff != "" || !slices.Equal(owners, both) {
				t.Errorf("it is paused by %v, status says %v", s.owners(), owners)
			}
			if !strings.Contains(words, "by its circuits") || !strings.Contains(words, "by a person") || !strings.Contains(words, "OVERLOAD") {
				t.Errorf("status says\n%s", words)
			}
			s.back()
			s.awaitClosed(cheap, crews...)
			fixture.Await(t, soon, "the circuits pause it no more", func() bool { return slices.Equal(s.owners(), []string{"person"}) })
			taken := s.count("SELECT count(*) FROM tidegate.river_job WHERE state <> 'available' OR attempt <> 0")
			s.awaitResults(taken)
			s.rounds(5)
			if !s.paused() || s.results() != taken || taken > 2*inHand {
				t.Errorf("paused: %t; %d were in hand, and there are %d results", s.paused(), taken, s.results())
			}
			if got := s.must("resume", summaries); !strings.Contains(got.out, "is not paused") {
				t.Errorf("resumed, it says %q", got.out)
			}
			s.drained(batch)
			if n := len(s.told("tidegate.v1.routes.summaries.paused")); n != 2 {
				t.Errorf("%d events of two pauses", n)
			}
			if n := len(s.told("tidegate.v1.routes.summaries.resumed")); n != 2 {
				t.Errorf("%d events of their ends", n)
			}
		})
	}
}

// TestPauseSaysWhatIsTrue: while a route stays paused, what it waits for changes.
// Its pause then says so, from the same time on, and is the same event; probes
// change nothing of it.
func TestPauseSaysWhatIsTrue(t *testing.T) {
	t.Parallel()
	s, crews, batch := pausedStory(t)
	pause := func() (p jobs.Pause) {
		pauses, err := s.store.Pauses(t.Context())
		check(t, err)
		if len(pauses) == 1 {
			p = pauses[0]
		}
		return p
	}
	s.awaitProbes(s.probes() + 3)
	before := pause()
	if !strings.Contains(before.Reason, cheap+" is open: ") || !strings.Contains(before.Reason, "OVERLOAD: status 503") {
		t.Errorf("it is paused for %q", before.Reason)
	}
	s.must("circuits", "open", cheap, "--reason", "the vendor maintains it")
	fixture.Await(t, soon, "the pause has its new reason", func() bool { return pause().Reason == cheap+" is open: the vendor maintains it" })
	if now := pause(); now.Since.Sub(before.Since).Abs() > time.Second {
		t.Errorf("it is paused since %s, and was since %s", now.Since, before.Since)
	}
	if text := s.must("status").out; !strings.Contains(text, "by its circuits: "+cheap+" is open: the vendor maintains it") || strings.Contains(text, "status 503") {
		t.Errorf("status says\n%s", text)
	}
	s.back()
	s.must("circuits", "close", cheap)
	s.awaitClosed(cheap, crews...)
	s.drained(batch)
	if n := len(s.told("tidegate.v1.routes.summaries.paused")); n != 1 {
		t.Errorf("%d events of one pause", n)
	}
}

// TestPersonResumesInAnOutage: it ends every pause. The circuits pause the route
// again, nobody but probes is called meanwhile, and it drains by itself.
func TestPersonResumesInAnOutage(t *testing.T) {
	t.Parallel()
	s, crews, batch := pausedStory(t)
	pausers["with River"](s)
	began := s.awaitAllShut(cheap, crews...)
	s.must("resume", summaries)
	fixture.Await(t, soon, "it is paused again for its circuits alone", func() bool { return s.paused() && slices.Equal(s.owners(), []string{"circuit"}) })
	before := s.probes()
	s.awaitProbes(before + 2)
	s.apart(s.since(began, time.Now()), soonestAgain, latestAgain)
	s.back()
	s.drained(batch)
	if s.paused() || len(s.owners()) > 0 {
		t.Errorf("it is still paused by %v", s.owners())
	}
}

// TestDeadlinesPassInAnOutage: requests whose deadline passes while they wait, in
// a paused queue or in a worker's hands, end as expired at that time, with their
// event, while the outage goes on. The others are answered after it.
func TestDeadlinesPassInAnOutage(t *testing.T) {
	t.Parallel()
	s := newStorm(t, staging{config: oneTarget})
	s.down("*", down503)
	s.crews(2, nil)
	const mortal = 3 * inHand
	deadline := time.Now().Add(4 * time.Second).Truncate(time.Millisecond)
	batch := s.enqueue(2*mortal, func(i int, r *jobs.Request) {
		if i%2 == 0 {
			r.Deadline = deadline
		}
	})
	fixture.Await(t, soon, "the queue is paused", s.paused)
	if n := s.count("SELECT count(*) FROM tidegate.river_job WHERE state = 'running'"); n == 0 || n >= mortal {
		t.Errorf("%d jobs are in hand", n)
	}
	s.awaitResults(mortal)
	fixture.Await(t, soon, "their events are sent", func() bool { return s.count("SELECT count(*) FROM tidegate.outbox") == 0 })
	s.onTime(mortal, deadline)
	if results, _ := s.events(); len(results) != mortal {
		t.Errorf("%d events for %d that expired", len(results), mortal)
	}
	if !s.paused() {
		t.Error("the outage is over")
	}
	s.back()
	batch = s.settle(batch)
	s.onceEach(batch)
	if batch.Completed != mortal || batch.Failed != mortal {
		t.Errorf("%d were answered, %d were not", batch.Completed, batch.Failed)
	}
}

// onTime checks that n requests, and nobody else, expired when a deadline passed:
// not before, by more than clocks are known to be apart, and not more than two
// seconds after it.
func (s *storm) onTime(n int, deadline time.Time) {
	s.Helper()
	const early, late = 100 * time.Millisecond, 2 * time.Second
	rows, err := s.Pool.Query(s.Context(), "SELECT stored_at FROM tidegate.results WHERE state = 'expired'")
	check(s.T, err)
	times, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
	check(s.T, err)
	if len(times) != n || n != s.results() {
		s.Errorf("%d of %d results are expired, not %d", len(times), s.results(), n)
	}
	for _, at := range times {
		if after := at.Sub(deadline); after < -early || after > late {
			s.Errorf("it expired %s after its deadline", after)
		}
	}
}
