package publish_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"tidegate/deploy/embedded"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/store"
	"tidegate/worker/publish"
)

func TestMain(m *testing.M) { fixture.Main(m) }

// soon is when everything has happened that a test waits for, on a machine that
// has much else to do.
const soon = 30 * time.Second

// A lines is a log that a test reads while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A site is a database and a NATS server of one test.
type site struct {
	t     testing.TB
	store *store.Store
	pool  *pgxpool.Pool
	nats  *embedded.NATS
	conn  *nats.Conn // the test's own
	log   lines
}

func newSite(t testing.TB) *site {
	t.Helper()
	return newSiteOf(t, fixture.NATS(t))
}

func newSiteOf(t testing.TB, nats *embedded.NATS) *site {
	t.Helper()
	pool, err := store.Connect(t.Context(), fixture.Database(t), 6)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s := &site{t: t, pool: pool, store: store.New(pool), nats: nats}
	s.conn = s.dial()
	return s
}

func (s *site) dial() *nats.Conn {
	s.t.Helper()
	conn, err := nats.Connect(s.nats.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(conn.Close)
	return conn
}

// owe stores answers to n requests and returns the ids of their results.
func (s *site) owe(n int) []string {
	s.t.Helper()
	ids, requests, entries := answers(n)
	s.keep(requests, entries)
	return ids
}

// answers makes n requests, and answers to them whose results have ids.
func answers(n int) (ids []string, requests []jobs.Request, entries []jobs.Entry) {
	ids, requests, entries = make([]string, n), make([]jobs.Request, n), make([]jobs.Entry, n)
	for i := range ids {
		ids[i] = uuid.Must(uuid.NewV7()).String()
		requests[i] = jobs.Request{
			ID: uuid.Must(uuid.NewV7()).String(), Tenant: "acme", Route: "summaries", CustomID: fmt.Sprint("doc-", i), Body: []byte(`{"messages":[{}]}`),
			CreatedAt: time.Now(),
		}
		entries[i] = jobs.Entry{Request: &requests[i], Result: &jobs.Result{
			ID: ids[i], RequestID: requests[i].ID, State: jobs.StateAnswered, Status: 200, Body: []byte(`{"choices":[]}`),
		}}
	}
	return ids, requests, entries
}

func (s *site) keep(requests []jobs.Request, entries []jobs.Entry) {
	s.t.Helper()
	ctx := s.t.Context()
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return store.InsertRequests(ctx, tx, requests) })
	if err != nil {
		s.t.Fatal(err)
	}
	if _, refused, err := s.store.Commit(ctx, entries); err != nil || len(refused) > 0 {
		s.t.Fatalf("refused %v, %v", refused, err)
	}
}

func (s *site) config(outbox publish.Outbox, poll time.Duration) publish.Config {
	s.t.Helper()
	return publish.Config{Outbox: outbox, Conn: s.dial(), Poll: poll, Linger: time.Millisecond, Log: zerolog.New(&s.log)}
}

// relay runs a relay on a connection of its own until stop, or the end of the
// test.
func (s *site) relay(change ...func(*publish.Config)) (r *publish.Relay, stop func()) {
	s.t.Helper()
	config := s.config(s.store, 20*time.Millisecond)
	for _, c := range change {
		c(&config)
	}
	r, err := publish.New(config)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { r.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); run.Wait() })
	s.t.Cleanup(stop)
	return r, stop
}

func (s *site) exec(sql string, args ...any) {
	s.t.Helper()
	if _, err := s.pool.Exec(s.t.Context(), sql, args...); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
}

// owed counts the rows of the outbox.
func (s *site) owed() (n int) {
	s.t.Helper()
	if err := s.pool.QueryRow(context.Background(), "SELECT count(*) FROM tidegate.outbox").Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *site) awaitOwed(n int) {
	s.t.Helper()
	fixture.Await(s.t, soon, fmt.Sprintf("%d events are owed", n), func() bool { return s.owed() == n })
}

// published reads the stream from its beginning: how often each message id is
// in it.
func (s *site) published() map[string]int {
	s.t.Helper()
	ids := map[string]int{}
	for _, msg := range s.messages() {
		ids[msg.Headers().Get("Nats-Msg-Id")]++
	}
	return ids
}

func (s *site) messages() []jetstream.Msg {
	s.t.Helper()
	ctx := s.t.Context()
	js, err := jetstream.New(s.conn)
	if err != nil {
		s.t.Fatal(err)
	}
	stream, err := js.Stream(ctx, publish.StreamName)
	if err != nil {
		s.t.Fatal(err)
	}
	consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy})
	if err != nil {
		s.t.Fatal(err)
	}
	var all []jetstream.Msg
	for total := int(consumer.CachedInfo().NumPending); len(all) < total; {
		batch, err := consumer.Fetch(min(total-len(all), 500), jetstream.FetchMaxWait(soon))
		if err != nil {
			s.t.Fatal(err)
		}
		for msg := range batch.Messages() {
			all = append(all, msg)
		}
		if err := batch.Error(); err != nil {
			s.t.Fatal(err)
		}
	}
	return all
}

// expectOnce checks that the stream has each of ids once, and nothing else.
func (s *site) expectOnce(ids []string) {
	s.t.Helper()
	published := s.published()
	for _, id := range ids {
		if published[id] != 1 {
			s.t.Errorf("%s is in the stream %d times", id, published[id])
		}
	}
	if len(published) != len(ids) {
		s.t.Errorf("the stream has %d ids, not %d", len(published), len(ids))
	}
}
