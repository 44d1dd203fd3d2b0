package integration

import (
	"strings"
	"testing"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"tidegate/integration/fixture"
	"tidegate/jobs"
)

// A shownRoute is what `status --json` says of a route, and of the quarantine.
type shownRoute struct {
	Route   string
	State   string
	Why     string
	Waiting int
	Pauses  []struct{ Owner, Reason string }
}

// quarantine is what status says of the quarantine; nil: nothing.
func (s *stage) quarantine() *shownRoute {
	s.Helper()
	shown := lastLine[struct{ Routes []shownRoute }](s.T, s.must("status", "--json").out)
	for i, r := range shown.Routes {
		if r.Route == jobs.QuarantineQueue {
			return &shown.Routes[i]
		}
	}
	return nil
}

// River's UI pauses all queues with one click, and the quarantine with them: it is
// seen, and ended like any other pause.
func TestQuarantineIsPausedAndResumed(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.work(nil)
	s.settle(s.enqueue(1, nil))
	if got := s.quarantine(); got != nil {
		t.Errorf("of an empty quarantine it says %+v", got)
	}
	client, err := river.NewClient(riverpgxv5.New(s.Pool), &river.Config{Schema: "tidegate"})
	check(t, err)
	fixture.Await(t, soon, "a worker serves it", func() bool {
		return s.count("SELECT count(*) FROM tidegate.river_queue WHERE name = $1", jobs.QuarantineQueue) == 1
	})
	check(t, client.QueuePause(t.Context(), "*", nil))
	if got := s.quarantine(); got == nil || got.State != "paused" || len(got.Pauses) != 1 || got.Pauses[0].Owner != "person" {
		t.Errorf("paused with all, it is %+v", got)
	}
	if got := s.must("resume", jobs.QuarantineQueue); got.out != jobs.QuarantineQueue+" is not paused any more.\n" || s.quarantine() != nil {
		t.Errorf("resumed, it says %q", got.out)
	}
	s.must("pause", jobs.QuarantineQueue, "--reason", "lunch")
	batch := s.enqueue(2, nil)
	_, err = s.Pool.Exec(t.Context(), "UPDATE tidegate.river_job SET queue = $1 WHERE queue = $2 AND state = 'available'", jobs.QuarantineQueue, summaries)
	check(t, err)
	s.must("resume", summaries)
	if got := s.quarantine(); got == nil || got.State != "paused" || got.Waiting != 2 || got.Why != "by a person: lunch" {
		t.Errorf("paused, it is %+v", got)
	}
	if text := s.must("status").out; !strings.Contains(text, jobs.QuarantineQueue) || !strings.Contains(text, "by a person: lunch") {
		t.Errorf("status says\n%s", text)
	}
	s.must("resume", jobs.QuarantineQueue)
	s.settle(batch)
	if got := s.quarantine(); got != nil {
		t.Errorf("at the end it is %+v", got)
	}
}

// What waits in quarantine is seen without a worker, too.
func TestQuarantineThatHoldsJobsIsShown(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	s.enqueue(3, nil)
	_, err := s.Pool.Exec(t.Context(), "UPDATE tidegate.river_job SET queue = $1", jobs.QuarantineQueue)
	check(t, err)
	if got := s.quarantine(); got == nil || got.State != "unserved" || got.Waiting != 3 {
		t.Errorf("nobody works it, and it is %+v", got)
	}
	_, err = s.Pool.Exec(t.Context(), "INSERT INTO tidegate.river_queue (name, updated_at) VALUES ($1, now())", jobs.QuarantineQueue)
	check(t, err)
	if got := s.quarantine(); got == nil || got.State != "flows" || !strings.Contains(got.Why, "alone") {
		t.Errorf("it is %+v", got)
	}
	if got := s.tidegate("resume", "tidegate-quarantin"); got.code != 1 || !strings.Contains(got.errors, `did you mean "tidegate-quarantine"?`) {
		t.Errorf("exit code %d: %s", got.code, got.errors)
	}
}
