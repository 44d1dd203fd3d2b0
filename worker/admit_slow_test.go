package worker

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// A slowIntake is a Postgres that takes a millisecond for each request of an
// admission, at first.
type slowIntake struct {
	mu       sync.Mutex
	each     time.Duration
	waits    int
	admitted []int // in each transaction
}

func (s *slowIntake) Backlogs(context.Context, int) ([]jobs.Backlog, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return []jobs.Backlog{{Route: "r", Running: 5000, Calling: 5000}}, nil
}

func (s *slowIntake) Admit(ctx context.Context, _ jobs.Lead, in jobs.Intake, choose func(jobs.Heads) jobs.Admitted) (int, string, error) {
	s.mu.Lock()
	waits, each := s.waits, s.each
	s.mu.Unlock()
	heads := jobs.Heads{Tenants: []jobs.TenantHeads{{Tenant: "a"}}}
	for i := range min(in.AtMost, waits) {
		heads.Tenants[0].Requests = append(heads.Tenants[0].Requests, jobs.Head{RequestID: fmt.Sprint(i), Work: 1})
	}
	n := len(choose(heads).Requests)
	select {
	case <-time.After(time.Duration(n) * each):
	case <-ctx.Done():
		return 0, "", ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits -= n
	s.admitted = append(s.admitted, n)
	return n, "", nil
}

func (s *slowIntake) AdmitAll(context.Context, jobs.Lead, string, int) (int, error) { return 0, nil }

func (s *slowIntake) Park(context.Context, pgx.Tx, []jobs.Parked) error { return nil }

// Where Postgres is slow, less is admitted at once, and the lead is kept; when it is
// quick again, more is.
func TestSlowAdmissionDoesLessAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVillage()
		v.fleet.Chains, v.fleet.Fair = map[string][]string{"r": {"a"}}, map[string]bool{"r": true}
		intake := &slowIntake{each: 10 * time.Millisecond, waits: 100_000}
		config := v.alone(&breakers{})
		config.Fleet.Admission, config.Weight = intake, func(string) float64 { return 1 }
		s := newSupervisor(config, nil, func() {})
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { s.Run(ctx) })
		defer func() { cancel(); run.Wait() }()
		after(20 * time.Second)
		intake.mu.Lock()
		slow := len(intake.admitted)
		for _, n := range intake.admitted {
			if time.Duration(n)*intake.each > s.timing.Lease/dutyShare {
				t.Errorf("%d were admitted at once", n)
			}
		}
		intake.each = 10 * time.Microsecond
		intake.mu.Unlock()
		after(20 * time.Second)
		intake.mu.Lock()
		defer intake.mu.Unlock()
		most := 0
		for _, n := range intake.admitted[slow:] {
			most = max(most, n)
		}
		if slow < 10 || most < admitMost {
			t.Errorf("%d were admitted while it was slow, and up to %d at once when it was quick", slow, most)
		}
	})
}
