package integration

import (
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/store"
	"tidegate/worker/publish"
)

// TestNATSOutageLosesNoEvent: NATS stops, a hundred jobs complete, NATS comes
// back with its streams, and there are a hundred events, each once.
func TestNATSOutageLosesNoEvent(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.work(nil)
	before := s.settle(s.enqueue(10, nil)) // the stream is there, and has something in it
	s.nats.Stop()
	batch := s.enqueue(100, func(i int, r *jobs.Request) { r.Body = body(1000 + i) })
	fixture.Await(t, soon, "a hundred jobs completed without NATS", func() bool {
		return s.results() == 110 && s.count("SELECT count(*) FROM tidegate.river_job WHERE finalized_at IS NULL") == 0
	})
	if owed := s.count("SELECT count(*) FROM tidegate.outbox"); owed != 101 {
		t.Errorf("%d events are owed, and there are 100 results and a batch", owed)
	}
	fixture.RestartNATS(t, s.nats)
	batch = s.settle(batch)
	fixture.Await(t, soon, "the test is connected again", s.Conn.IsConnected)
	results, batches := s.events()
	ids := map[string]bool{}
	for _, e := range results {
		ids[e.id] = true
	}
	if len(results) != 110 || len(ids) != 110 || len(batches) != 2 {
		t.Errorf("%d events of results under %d ids, and %d of batches", len(results), len(ids), len(batches))
	}
	s.published(before)
	s.published(batch)
}

// published checks that every result of a batch is in the stream under its own
// id and subject.
func (s *stage) published(batch jobs.Batch) {
	s.Helper()
	results, _ := s.events()
	subjects := map[string]string{}
	for _, e := range results {
		if e.body.BatchID == batch.ID {
			subjects[e.id] = e.subject
		}
	}
	stored := map[string]string{}
	for e, err := range s.store.Results(s.Context(), store.Filter{BatchID: batch.ID}) {
		check(s.T, err)
		stored[e.ID] = publish.ResultSubject(e.Tenant, e.Route, e.BatchID, e.RequestID)
	}
	if diff := gocmp.Diff(stored, subjects); diff != "" || len(stored) != batch.Total {
		s.Errorf("%d results of %d (-stored +published):\n%s", len(stored), batch.Total, diff)
	}
}

// TestNATSGoesAwayInTheMiddle: NATS stops and comes back twice while a batch is
// worked and events are on their way.
func TestNATSGoesAwayInTheMiddle(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.work(nil)
	batch := s.enqueue(150, nil)
	server := s.nats
	for _, n := range []int{20, 80} {
		s.awaitResults(n)
		server.Stop()
		s.awaitResults(n + 40)
		server = fixture.RestartNATS(t, server)
	}
	batch = s.settle(batch)
	fixture.Await(t, soon, "the test is connected again", s.Conn.IsConnected)
	s.onceEach(batch)
}

// TestEventsAreCloudEvents: what a subscriber without any code of ours sees.
func TestEventsAreCloudEvents(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	conn, err := nats.Connect(s.NATSURL)
	check(t, err)
	defer conn.Close()
	plain, err := conn.SubscribeSync("tidegate.>")
	check(t, err)
	check(t, conn.Flush())
	s.work(nil)
	batch := s.settle(s.enqueue(1, nil))
	for range 2 {
		msg, err := plain.NextMsg(soon)
		check(t, err)
		h := msg.Header
		for _, name := range []string{"ce-id", "ce-source", "ce-type", "ce-subject", "ce-time"} {
			if h.Get(name) == "" {
				t.Errorf("%s: no header %s", msg.Subject, name)
			}
		}
		if h.Get("ce-specversion") != "1.0" || h.Get("ce-id") != h.Get(nats.MsgIdHdr) || h.Get("content-type") != "application/json" {
			t.Errorf("%s: headers %v", msg.Subject, h)
		}
		want := "tidegate.v1.default.results.summaries." + batch.ID + "." + h.Get("ce-subject")
		if h.Get("ce-type") == publish.TypeBatch {
			want = "tidegate.v1.default.batches." + batch.ID + ".completed"
		}
		if msg.Subject != want || strings.Contains(string(msg.Data), "Bearer") {
			t.Errorf("subject %s, want %s", msg.Subject, want)
		}
	}
}
