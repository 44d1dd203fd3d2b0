package worker

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tidegate/jobs"
)

// A shed has things that are to be removed, on a fake clock.
type shed struct {
	mu       sync.Mutex
	batches  int                                      // requests in batches
	singles  int                                      // and those in none
	attempts func(step jobs.RemovalStep) jobs.Removed // one step of removing days
	takes    func(rows int) time.Duration             // a step of so many rows
	asked    []int                                    // rows, by step
	at       []time.Time                              // when these began
	kept     []jobs.Kept                              // as it was written down
	whole    []bool
	fails    error
}

func (s *shed) step(ctx context.Context, step jobs.RemovalStep, left *int) (jobs.Removed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails != nil {
		return jobs.Removed{}, s.fails
	}
	s.asked, s.at = append(s.asked, step.AtMost), append(s.at, time.Now())
	if s.takes != nil && sleepUntil(ctx, s.takes(step.AtMost)) != nil {
		return jobs.Removed{}, context.DeadlineExceeded
	}
	n := min(step.AtMost, *left)
	*left -= n
	return jobs.Removed{Requests: n, More: n == step.AtMost, At: time.Now()}, nil
}

func (s *shed) RemoveBatches(ctx context.Context, _ jobs.Lead, step jobs.RemovalStep) (jobs.Removed, error) {
	return s.step(ctx, step, &s.batches)
}

func (s *shed) RemoveSingles(ctx context.Context, _ jobs.Lead, step jobs.RemovalStep) (jobs.Removed, error) {
	return s.step(ctx, step, &s.singles)
}

func (s *shed) RemoveAttempts(_ context.Context, _ jobs.Lead, step jobs.RemovalStep) (jobs.Removed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.attempts == nil {
		return jobs.Removed{}, nil
	}
	return s.attempts(step), nil
}

func (s *shed) SaveKept(_ context.Context, _ jobs.Lead, kept jobs.Kept, whole *time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept, s.whole = append(s.kept, kept), append(s.whole, whole != nil)
	return nil
}

// last is what was written down last of a kind.
func (s *shed) last(what string) (kept jobs.Kept, whole bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.kept {
		if s.kept[i].What == what {
			kept, whole = s.kept[i], s.whole[i]
		}
	}
	return kept, whole
}

// sweeps runs a remover that leads for so long.
func (s *shed) sweeps(t *testing.T, lasts time.Duration, keep jobs.Retention) (log string) {
	t.Helper()
	var said bytes.Buffer
	r := &remover{
		leads: func() (jobs.Lead, bool) { return jobs.Lead{Worker: "one"}, true }, removal: s, keep: keep, timing: Timing{}.withDefaults(),
		log: zerolog.New(&said), now: time.Now,
	}
	ctx, stop := context.WithTimeout(t.Context(), lasts)
	defer stop()
	r.Run(ctx)
	return said.String()
}

var bothAMonth = jobs.Retention{Requests: jobs.DefaultKeep, Attempts: jobs.DefaultKeep}

// Steps become larger while they are quick and smaller while they are slow, and rest
// as long as they took.
func TestRemovalFitsItsSteps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shed{batches: 100_000, takes: func(rows int) time.Duration { return time.Duration(rows) * 100 * time.Microsecond }}
		log := s.sweeps(t, 5*time.Minute, bothAMonth)
		if s.batches != 0 {
			t.Errorf("%d are left", s.batches)
		}
		for i := range s.at {
			if took := s.takes(s.asked[i]); took > 2*slowStep {
				t.Errorf("step %d of %d rows took %s", i, s.asked[i], took)
			} else if i > 0 && s.at[i-1].Add(2*s.takes(s.asked[i-1])).After(s.at[i]) {
				t.Errorf("step %d did not rest as long as the one before took", i)
			}
		}
		if !strings.Contains(log, `"requests":100000`) || strings.Count(log, "\n") != 1 {
			t.Errorf("it says %s", log)
		}
		removed := 0
		for _, k := range s.kept {
			removed += k.Removed
		}
		if k, whole := s.last(jobs.KeptRequests); removed != 100_000 || !whole || !k.At.IsZero() {
			t.Errorf("written down are %d; at last %+v, %v", removed, k, whole)
		}
		if !slices.ContainsFunc(s.kept, func(k jobs.Kept) bool { return !k.At.IsZero() && k.Removed > 0 }) {
			t.Error("nobody could see how far it was")
		}
	})
}

// One that is cut off is tried with fewer rows.
func TestRemovalThatIsTooSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shed{singles: 500, takes: func(rows int) time.Duration { return time.Duration(rows) * 10 * time.Millisecond }}
		s.sweeps(t, 5*time.Minute, bothAMonth)
		if s.singles != 0 || slices.Min(s.asked) < removeLeast {
			t.Errorf("%d are left, after %v", s.singles, s.asked)
		}
	})
}

func TestNothingIsRemovedThatIsKeptForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shed{batches: 10, attempts: func(jobs.RemovalStep) jobs.Removed { return jobs.Removed{Days: 1} }}
		log := s.sweeps(t, 5*time.Minute, jobs.Retention{})
		if s.batches != 10 || log != "" {
			t.Errorf("%d are left: %s", s.batches, log)
		}
		if k, whole := s.last(jobs.KeptAttempts); k.Keep != 0 || !whole || k.Removed != 0 {
			t.Errorf("written down is %+v", k)
		}
	})
}

// Whoever does not lead sweeps nothing.
func TestOnlyTheSupervisorRemoves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shed{batches: 10}
		r := &remover{leads: (&supervisor{}).Leads, removal: s, keep: bothAMonth, timing: Timing{}.withDefaults(), log: zerolog.Nop(), now: time.Now}
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		r.Run(ctx)
		if s.batches != 10 {
			t.Errorf("%d are left", s.batches)
		}
	})
}

// A day that somebody reads is tried again some times, and is then left to the next
// sweep; one whose requests have not ended is passed by. Both are told.
func TestRemovalSaysWhatStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tries, read := 0, true
		s := &shed{}
		s.attempts = func(step jobs.RemovalStep) jobs.Removed {
			switch {
			case step.Behind.Name == "" && read:
				tries++
				return jobs.Removed{Held: "somebody reads", InTheWay: true, More: true}
			case step.Behind.Name == "":
				return jobs.Removed{Days: 1, Place: jobs.RemovalPlace{Name: "second"}, More: true}
			case step.Behind.Name == "second":
				return jobs.Removed{Held: "it has not ended", Place: jobs.RemovalPlace{Name: "third"}, More: true}
			default:
				return jobs.Removed{Days: 1}
			}
		}
		log := s.sweeps(t, 5*time.Minute, bothAMonth)
		if k, whole := s.last(jobs.KeptAttempts); tries != mostTries || k.Held != "somebody reads" || whole || !strings.Contains(log, "somebody reads") {
			t.Errorf("after %d tries: %+v, %v, %s", tries, k, whole, log)
		}
		read = false
		log = s.sweeps(t, 5*time.Minute, bothAMonth)
		if k, whole := s.last(jobs.KeptAttempts); k.Held != "it has not ended" || whole || k.Removed != 2 || !strings.Contains(log, `"days":2`) {
			t.Errorf("in the next sweep: %+v, %v, %s", k, whole, log)
		}
	})
}

func TestRemovalThatFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shed{batches: 10, fails: errors.New("no Postgres")}
		if log := s.sweeps(t, 5*time.Minute, bothAMonth); !strings.Contains(log, "no Postgres") {
			t.Errorf("it says %s", log)
		}
		s.fails = jobs.ErrDeposed
		if log := s.sweeps(t, 5*time.Minute, bothAMonth); log != "" {
			t.Errorf("another one leads, and it says %s", log)
		}
	})
}
