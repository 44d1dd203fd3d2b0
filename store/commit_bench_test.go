package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"tidegate/jobs"
)

// benchGroup is about what a busy worker commits at once.
const benchGroup = 200

// What the ledger costs a job: groups of results alone, with their attempts, and with why
// each went where it did, in turns. TIDEGATE_TEST_DATABASE_URL names a durable server.
func BenchmarkCommit(b *testing.B) {
	decision := &jobs.Decision{Goal: "balanced", Estimator: "decayed"}
	for _, name := range []string{"cheap", "dear", "gpt-5-mini"} {
		decision.Candidates = append(decision.Candidates, jobs.Considered{
			Target: name, Success: 0.9931, Latency: 1234 * time.Millisecond, Cost: 812, Score: jobs.Score{Total: 0.8123, Success: 0.3972, Latency: 0.2011, Cost: 0.214},
		})
	}
	lanes := []*benchLane{
		{name: "result", world: newWorld(b), shape: func(e *jobs.Entry) { e.Trace = nil }},
		{name: "attempt", world: newWorld(b), shape: func(*jobs.Entry) {}},
		{name: "decision", world: newWorld(b), shape: func(e *jobs.Entry) { e.Trace[0].Attempt.Decision = decision }},
	}
	for b.Loop() {
		for _, lane := range lanes {
			lane.commit()
		}
	}
	for _, lane := range lanes {
		lane.report(b)
	}
}

// A benchLane commits groups of one kind into a database of its own.
type benchLane struct {
	*world
	name  string
	shape func(*jobs.Entry)
	jobs  int
	took  time.Duration
	wal   int
}

const walAt = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"

func (l *benchLane) commit() {
	var group [benchGroup]jobs.Entry
	var requests [benchGroup]jobs.Request
	for i := range group {
		requests[i] = jobs.Request{ID: uuid.Must(uuid.NewV7()).String(), Tenant: "acme", Route: "summaries", Body: []byte(body), CreatedAt: time.Now()}
		group[i] = answered(&requests[i])
		l.shape(&group[i])
	}
	wal, began := l.number(walAt), time.Now()
	l.world.commit(group[:]...)
	l.took += time.Since(began)
	l.wal += l.number(walAt) - wal
	l.jobs += len(group)
}

func (l *benchLane) report(b *testing.B) {
	jobs := float64(l.jobs)
	b.ReportMetric(float64(l.took.Microseconds())/jobs, l.name+"-µs/job")
	b.ReportMetric(float64(l.wal)/jobs, l.name+"-WAL-B/job")
	b.ReportMetric(float64(l.number("SELECT sum(pg_total_relation_size(inhrelid))::bigint FROM pg_inherits WHERE inhparent = 'tidegate.attempts'::regclass"))/jobs, l.name+"-B/job")
}
