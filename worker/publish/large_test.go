package publish_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/store"
	"tidegate/worker/publish"
)

const kib = 1 << 10

// answer gives the result under an id an answer of n bytes.
func (s *site) answer(id string, n int) {
	s.t.Helper()
	s.set("UPDATE tidegate.results SET body = $2 WHERE id = $1", id, []byte(`{"choices":["`+strings.Repeat("x", n-16)+`"]}`))
}

// name gives the request of the result under an id a custom_id of n characters.
func (s *site) name(id string, n int) {
	s.t.Helper()
	s.set("UPDATE tidegate.requests SET custom_id = $2 WHERE id = (SELECT request_id FROM tidegate.results WHERE id = $1)", id, strings.Repeat("x", n))
}

func (s *site) set(sql string, args ...any) {
	s.t.Helper()
	if tag, err := s.pool.Exec(s.t.Context(), sql, args...); err != nil || tag.RowsAffected() != 1 {
		s.t.Fatalf("%s: %v, %v", sql, tag, err)
	}
}

// answered tells of each event by its id how large an answer it carries; zero:
// it refers to it.
func (s *site) answered() map[string]int {
	s.t.Helper()
	all := map[string]int{}
	for _, msg := range s.messages() {
		var body publish.ResultBody
		if err := json.Unmarshal(msg.Data(), &body); err != nil {
			s.t.Fatal(err)
		}
		all[msg.Headers().Get("ce-id")] = len(body.Response)
		if want := "tidegate:results/" + body.RequestID; body.Response == nil && msg.Headers().Get("ce-dataref") != want {
			s.t.Errorf("an event without an answer refers to %q, not %q", msg.Headers().Get("ce-dataref"), want)
		}
	}
	return all
}

// A NATS that takes little is sent references where a larger one would be sent
// the answers.
func TestLargeAnswersGoByReference(t *testing.T) {
	t.Parallel()
	s := newSiteOf(t, fixture.NATSOf(t, 16*kib))
	ids := s.owe(4)
	s.answer(ids[1], 8*kib)
	s.answer(ids[2], 16*kib-450) // it would fit without its headers
	s.answer(ids[3], 60*kib)
	s.relay()
	s.awaitOwed(0)
	s.expectOnce(ids)
	got := s.answered()
	if got[ids[0]] == 0 || got[ids[1]] != 8*kib || got[ids[2]] != 0 || got[ids[3]] != 0 {
		t.Errorf("the events carry answers of %d, %d, %d and %d bytes", got[ids[0]], got[ids[1]], got[ids[2]], got[ids[3]])
	}
	if text := s.log.String(); text != "" {
		t.Errorf("it was said: %s", text)
	}
}

// The stream may take less than the server, also from one moment to the next.
func TestStreamThatTakesLittle(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.relay()
	ids := s.owe(1)
	s.awaitOwed(0)
	js, err := jetstream.New(s.conn)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), publish.StreamName)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.MaxMsgSize = 4 * kib
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	large, requests, entries := answers(1)
	entries[0].Result.Body = []byte(`{"choices":["` + strings.Repeat("x", 8*kib) + `"]}`)
	s.keep(requests, entries)
	s.awaitOwed(0)
	s.expectOnce(append(ids, large...))
	if got := s.answered(); got[large[0]] != 0 {
		t.Errorf("the large one carries an answer of %d bytes", got[large[0]])
	}
}

// A counted outbox knows how often it was asked.
type counted struct {
	*store.Store
	rounds atomic.Int64
}

func (c *counted) Relay(ctx context.Context, behind int64, limit int, send func([]jobs.Event) ([]bool, error)) (int64, error) {
	defer c.rounds.Add(1)
	return c.Store.Relay(ctx, behind, limit, send)
}

// What cannot be published waits for somebody to look at it, and for that alone:
// what is behind it goes. It is said once, with the remedy; after that, it goes.
func TestUnpublishableEventsBlockNobody(t *testing.T) {
	t.Parallel()
	s := newSiteOf(t, fixture.NATSOf(t, 16*kib))
	ids := s.owe(5)
	s.set("UPDATE tidegate.results SET body = '{' WHERE id = $1", ids[0])                                                     // goes by reference
	s.set("UPDATE tidegate.results SET state = 'refused', body = NULL, message = repeat('x', 2000000) WHERE id = $1", ids[1]) // goes without its words
	s.name(ids[2], 20*kib)
	outbox := &counted{Store: s.store}
	s.relay(func(c *publish.Config) { c.Outbox = outbox })
	s.awaitOwed(1)
	s.expectOnce(slices.Delete(slices.Clone(ids), 2, 3))
	seen := outbox.rounds.Load()
	fixture.Await(t, soon, "it was tried again a few times", func() bool { return outbox.rounds.Load() > seen+3 })
	text := s.log.String()
	if strings.Count(text, "\n") != 1 || !strings.Contains(text, "raise max_payload of NATS") || !strings.Contains(text, `"level":"error"`) {
		t.Errorf("it was said: %s", text)
	}
	s.nats.Stop()
	s.nats = fixture.RestartNATS(t, s.nats) // which takes 1 MiB
	s.awaitOwed(0)
	fixture.Await(t, soon, "the test is connected again", s.conn.IsConnected)
	s.expectOnce(ids)
}

// One that cannot be published does not end the round of the others: more than
// one round goes without another poll.
func TestUnpublishableEventsDelayNobody(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ids := s.owe(1200)
	s.name(ids[0], 2<<20)
	r, _ := s.relay(func(c *publish.Config) { c.Poll = time.Hour })
	r.Wake()
	s.awaitOwed(1)
	s.expectOnce(ids[1:])
}

// More events than go in one round cannot be published: what is behind them
// goes, in the same pass, and it is not said more than once of each.
func TestManyUnpublishableEventsDelayNobody(t *testing.T) {
	t.Parallel()
	s := newSiteOf(t, fixture.NATSOf(t, 16*kib))
	ids := s.owe(1203)
	const large = 1100 // more than two rounds
	s.set("WITH q AS (UPDATE tidegate.requests SET custom_id = repeat('x', 20000) WHERE id IN (SELECT request_id FROM tidegate.outbox ORDER BY id LIMIT $1)) SELECT 1", large)
	r, _ := s.relay(func(c *publish.Config) { c.Poll = time.Hour })
	r.Wake()
	s.awaitOwed(large)
	if n := len(s.published()); n != len(ids)-large {
		t.Errorf("%d were published", n)
	}
	if n := strings.Count(s.log.String(), "\n"); n != large {
		t.Errorf("%d lines were said of %d events", n, large)
	}
}

// Events that the server refuses, for a reason that nobody can know before, do
// not hold up what is behind them either.
func TestRefusedEventsDelayNobody(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	js, err := jetstream.New(s.conn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := publish.EnsureStream(t.Context(), js, 0); err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), publish.StreamName)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.Subjects = []string{"tidegate.v1.acme.>"} // nobody takes the other tenants'
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	ids := s.owe(700)
	s.set("WITH q AS (UPDATE tidegate.requests SET tenant = 'umbrella' WHERE id IN (SELECT request_id FROM tidegate.outbox ORDER BY id LIMIT $1)) SELECT 1", 600)
	s.relay()
	s.awaitOwed(600)
	if n := len(s.published()); n != len(ids)-600 {
		t.Errorf("%d were published", n)
	}
}
