package publish_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/store"
	"tidegate/worker/publish"
)

func TestRelaySendsWhatIsOwed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ids := s.owe(3)
	r, _ := s.relay(func(c *publish.Config) { c.Poll = time.Hour })
	r.Wake()
	s.awaitOwed(0)
	s.expectOnce(ids)
	msg := s.messages()[0]
	var body publish.ResultBody
	if err := json.Unmarshal(msg.Data(), &body); err != nil || body.CustomID != "doc-0" || string(body.Response) != `{"choices":[]}` {
		t.Errorf("the first says %s, %v", msg.Data(), err)
	}
	if want := publish.ResultSubject("acme", "summaries", "", body.RequestID); msg.Subject() != want {
		t.Errorf("the first goes to %s, not %s", msg.Subject(), want)
	}
}

// Nobody wakes the relay: another worker may have committed.
func TestRelayPolls(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.relay()
	ids := s.owe(1)
	s.awaitOwed(0)
	s.expectOnce(ids)
}

func TestTheSameEventTwiceIsOneMessage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.relay()
	ids := s.owe(2)
	s.awaitOwed(0)
	if _, err := s.pool.Exec(t.Context(), "INSERT INTO tidegate.outbox (request_id) SELECT request_id FROM tidegate.results"); err != nil {
		t.Fatal(err)
	}
	s.awaitOwed(0)
	s.expectOnce(ids)
}

// While NATS is away the rows wait; when it is back they go.
func TestNATSIsAway(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	_, stop := s.relay()
	ids := s.owe(5)
	s.awaitOwed(0)
	s.nats.Stop()
	fixture.Await(t, soon, "the connection is lost", func() bool { return !s.conn.IsConnected() })
	ids = append(ids, s.owe(100)...)
	if n := s.owed(); n != 100 {
		t.Errorf("%d of 100 rows wait", n)
	}
	s.nats = fixture.RestartNATS(t, s.nats)
	s.awaitOwed(0)
	fixture.Await(t, soon, "the test is connected again", s.conn.IsConnected)
	s.expectOnce(ids)
	stop()
}

// NATS goes away and comes back again and again while events are sent.
func TestNATSIsShaky(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r, _ := s.relay()
	var ids []string
	for range 3 {
		ids = append(ids, s.owe(300)...)
		r.Wake()
		fixture.Await(t, soon, "something was sent", func() bool { return s.owed() < 300 })
		s.nats.Stop()
		s.nats = fixture.RestartNATS(t, s.nats)
		s.awaitOwed(0)
	}
	fixture.Await(t, soon, "the test is connected again", s.conn.IsConnected)
	s.expectOnce(ids)
}

// What changes for the whole fleet goes the same way as results, before and
// after them, also twice under one id; what another version owes stays.
func TestRelaySendsWhatTheFleetTells(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const turn = "UPDATE tidegate.circuits SET state = $1, generation = generation + 1, reason = 'OVERLOAD: status 503', since = now()"
	s.exec("INSERT INTO tidegate.outbox (event) VALUES ('{\"type\": \"of tomorrow\"}')")
	s.exec("INSERT INTO tidegate.circuits (target, region, state, generation, since) VALUES ('cheap', 'eu', 'closed', 1, now())")
	s.exec(turn, "open")
	s.owe(1)
	s.exec("INSERT INTO tidegate.pauses (route, owner, reason) VALUES ('summaries', 'circuit', 'cheap is open')")
	s.exec(turn, "half-open")
	s.exec(turn, "closed")
	s.exec("DELETE FROM tidegate.pauses")
	s.exec("INSERT INTO tidegate.outbox (event) SELECT event FROM tidegate.outbox WHERE event IS NOT NULL")
	s.relay()
	s.awaitOwed(2)
	var subjects []string
	for _, msg := range s.messages() {
		subjects = append(subjects, msg.Subject())
		if h := msg.Headers(); h.Get("ce-id") == "" || h.Get("ce-id") != h.Get("Nats-Msg-Id") {
			t.Errorf("%s has the headers %v", msg.Subject(), h)
		}
	}
	want := []string{
		"tidegate.v1.circuits.cheap.open", "tidegate.v1.acme.results.summaries.-", "tidegate.v1.routes.summaries.paused",
		"tidegate.v1.circuits.cheap.closed", "tidegate.v1.routes.summaries.resumed",
	}
	if len(subjects) > 1 { // the id of a request is not known before
		subjects[1] = subjects[1][:strings.LastIndex(subjects[1], ".")]
	}
	if !slices.Equal(want, subjects) {
		t.Errorf("the stream has %q", subjects)
	}
	if text := s.log.String(); text != "" {
		t.Errorf("it was said: %s", text)
	}
}

func TestStreamThatWasDeletedIsMadeAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.relay()
	s.owe(1)
	s.awaitOwed(0)
	js, err := jetstream.New(s.conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), publish.StreamName); err != nil {
		t.Fatal(err)
	}
	ids := s.owe(2)
	s.awaitOwed(0)
	s.expectOnce(ids)
}

func TestTwoRelaysAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ids := s.owe(1200)
	a, _ := s.relay()
	b, _ := s.relay()
	a.Wake()
	b.Wake()
	s.awaitOwed(0)
	s.expectOnce(ids)
	if text := s.log.String(); text != "" {
		t.Errorf("it was said: %s", text)
	}
}

// A stopper is an outbox that is asked while its relay is told to stop.
type stopper struct {
	*store.Store
	stop func()
}

func (s *stopper) Relay(ctx context.Context, behind int64, limit int, send func([]jobs.Event) ([]bool, error)) (int64, error) {
	s.stop()
	return s.Store.Relay(ctx, behind, limit, send)
}

func TestStopIsNoFailureAndTheLastRoundRuns(t *testing.T) {
	t.Parallel()
	for name, poll := range map[string]time.Duration{"between rounds": time.Hour, "in a round": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			ids := s.owe(700) // two rounds
			ctx, cancel := context.WithCancel(t.Context())
			r, err := publish.New(s.config(&stopper{s.store, cancel}, poll))
			if err != nil {
				t.Fatal(err)
			}
			if poll == time.Hour {
				cancel()
			}
			r.Run(ctx)
			if n := s.owed(); n != 0 {
				t.Errorf("%d events are still owed", n)
			}
			s.expectOnce(ids)
			if text := s.log.String(); text != "" {
				t.Errorf("it was said: %s", text)
			}
		})
	}
}

// The last round fails, and that is said.
func TestLastRoundThatFails(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.owe(1)
	_, stop := s.relay(func(c *publish.Config) { c.Poll = time.Hour })
	s.pool.Close()
	stop()
	if text := s.log.String(); !strings.Contains(text, "they stay in the outbox") {
		t.Errorf("it was said: %q", text)
	}
}

func TestStreamSettings(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	js, err := jetstream.New(s.conn)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := publish.EnsureStream(t.Context(), js, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	got := stream.CachedInfo().Config
	if got.Name != "TIDEGATE" || !slices.Equal(got.Subjects, publish.StreamSubjects()) || got.MaxBytes != 1<<20 || got.MaxAge != 7*24*time.Hour ||
		got.Duplicates != 10*time.Minute || got.Discard != jetstream.DiscardOld || got.Storage != jetstream.FileStorage || got.Retention != jetstream.LimitsPolicy {
		t.Errorf("the stream is %+v", got)
	}
	got.MaxAge = time.Hour // what an operator chose stays
	if _, err := js.UpdateStream(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	if stream, err = publish.EnsureStream(t.Context(), js, 0); err != nil {
		t.Fatal(err)
	}
	if again := stream.CachedInfo().Config; again.MaxAge != time.Hour || again.MaxBytes != 1<<20 {
		t.Errorf("the operator's settings were changed: %+v", again)
	}
}
