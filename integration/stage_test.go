package integration

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"tidegate/cmd/app"
	"tidegate/cmd/app/config"
	"tidegate/deploy/embedded"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/jobs/queue"
	"tidegate/routing/simulator"
	"tidegate/store"
	"tidegate/worker/publish"
)

const (
	summaries = "summaries" // the route of app.DefaultSimulated

	// soon is how long a fact may take that is only waiting for a busy machine.
	soon = 60 * time.Second
	// latency is how long a simulated answer takes.
	latency = 30 * time.Millisecond
	// atOnce is how many calls a worker of a stage makes at once, and inHand how
	// many jobs it has then: called, or about to be.
	atOnce = 4
	inHand = 2 * atOnce
)

// A stage is everything that a worker needs, for one test alone: a database, a
// NATS server, three simulated providers, and the configuration that names
// them. Workers are put on it by work.
type stage struct {
	*testing.T
	*app.Backbone
	nats   *embedded.NATS
	sim    *simulator.Server
	config *config.Config
	store  *store.Store
	queue  *queue.Queue
}

// A staging changes what a stage is made of, before it is.
type staging struct {
	latency time.Duration // of every answer; zero: the usual
	key     jobs.Secret   // the only one that providers take; empty: any or none
	// serve lets the providers be called, and says below which URL; nil: the
	// stage does.
	serve func(*testing.T, http.Handler) string
	// simulated is told what the providers are made of and may change it; nil: it stays.
	simulated func(*simulator.Config)
	// config is told the configuration and may change it; nil: it stays.
	config func(*config.Config)
	// postgres is the URL of a server for this test alone; empty: a database on
	// the shared one.
	postgres string
}

func newStage(t *testing.T, s staging) *stage {
	t.Helper()
	named := providers(cmp.Or(s.latency, latency))
	for i := range named.Providers {
		named.Providers[i].Key = s.key
	}
	if s.simulated != nil {
		s.simulated(&named)
	}
	sim, err := simulator.New(named)
	check(t, err)
	if s.serve == nil {
		s.serve = serve
	}
	st := &stage{T: t, sim: sim, nats: fixture.NATS(t)}
	st.config = config.DefaultSimulated(s.serve(t, sim))
	if s.config != nil {
		s.config(st.config)
	}
	if s.postgres == "" {
		s.postgres = fixture.Database(t)
	}
	st.Backbone, err = app.StartBackbone(t.Context(), app.BackboneConfig{PostgresURL: s.postgres, NATSURL: st.nats.URL(), Conns: 16})
	check(t, err)
	t.Cleanup(func() { check(t, st.Stop()) })
	st.store = store.New(st.Pool)
	st.queue, err = queue.New(st.Pool)
	check(t, err)
	return st
}

// providers are those that app.DefaultSimulated names.
func providers(latency time.Duration) simulator.Config {
	named := func(name, model string) simulator.Provider {
		return simulator.Provider{Name: name, Models: []string{model}, Latency: simulator.Latency{Median: latency}}
	}
	return simulator.Config{Remember: true, Providers: []simulator.Provider{
		named("cheap", "sim-small"), named("fast", "sim-medium"), named("dear", "sim-large"),
	}}
}

// serve serves until the test ends, and then cuts off whoever still hangs.
func serve(t *testing.T, handler http.Handler) string {
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// check ends the test at an error that has nothing to do with what it tests.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A crew is a worker process that runs on a stage.
type crew struct {
	*app.Stack
	stop func() // in order, and waits; calling it again does nothing
}

// work starts a worker. It ends with the test, if it was not stopped before.
func (s *stage) work(change func(*app.StackConfig)) *crew {
	s.Helper()
	_, routes := s.config.Build()
	conf := app.StackConfig{Pool: s.Pool, Conn: s.Conn, Routes: routes, Concurrency: atOnce, StopTimeout: 5 * time.Second, Log: zerolog.Nop()}
	if change != nil {
		change(&conf)
	}
	stack, err := app.NewStack(s.Context(), conf)
	check(s.T, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- stack.Run(ctx) }()
	c := &crew{Stack: stack, stop: sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			s.Errorf("the worker ended with: %v", err)
		}
	})}
	s.Cleanup(c.stop)
	return c
}

// body is a completion of a document that no other number has.
func body(n int) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"model":"auto","messages":[{"role":"user","content":"Summarise: the gate closed %d times. The tide rose. It fell again."}]}`, n))
}

// enqueue accepts n requests as one batch, numbered in their custom ids.
func (s *stage) enqueue(n int, change func(i int, r *jobs.Request)) jobs.Batch {
	s.Helper()
	requests := make([]jobs.Request, n)
	for i := range requests {
		requests[i] = jobs.Request{Route: summaries, CustomID: fmt.Sprintf("n-%03d", i), Body: body(i)}
		if change != nil {
			change(i, &requests[i])
		}
	}
	batch, err := s.queue.EnqueueMany(s.Context(), requests)
	check(s.T, err)
	return batch
}

// prepare tells producers the routes, as the first worker would.
func (s *stage) prepare() {
	s.Helper()
	_, routes := s.config.Build()
	check(s.T, s.store.SaveRoutes(s.Context(), routes))
}

// count is the answer to a query that counts.
func (s *stage) count(sql string, args ...any) int {
	s.Helper()
	return count(s.T, s.Pool, sql, args...)
}

// text is the answer to a query for one text.
func (s *stage) text(sql string, args ...any) (text string) {
	s.Helper()
	if err := s.Pool.QueryRow(s.Context(), sql, args...).Scan(&text); err != nil {
		s.Fatalf("%s: %v", sql, err)
	}
	return text
}

func count(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) (n int) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// down begins a fault at a provider, or at all with "*".
func (s *stage) down(name string, fault simulator.Fault) {
	s.Helper()
	check(s.T, s.sim.Set(name, fault))
}

// back ends the faults of all.
func (s *stage) back() {
	s.Helper()
	check(s.T, s.sim.Clear("*"))
}

// results counts those that were stored.
func (s *stage) results() int { return s.count("SELECT count(*) FROM tidegate.results") }

func (s *stage) awaitResults(n int) {
	s.Helper()
	fixture.Await(s.T, soon, fmt.Sprintf("%d results are stored", n), func() bool { return s.results() >= n })
}

// settle waits until a batch has ended, all jobs are out of the queue, and
// nothing is owed to NATS.
func (s *stage) settle(batch jobs.Batch) jobs.Batch {
	s.Helper()
	batch = s.awaitBatch(batch)
	fixture.Await(s.T, soon, "no job is left and nothing is owed to NATS", func() bool {
		return s.count("SELECT (SELECT count(*) FROM tidegate.outbox) + count(*) FROM tidegate.river_job WHERE finalized_at IS NULL AND NOT ("+nextCanary+")") == 0
	})
	return batch
}

func (s *stage) awaitBatch(batch jobs.Batch) jobs.Batch {
	s.Helper()
	fixture.Await(s.T, soon, "the batch ended", func() bool {
		now, err := s.store.Batch(s.Context(), batch.ID)
		check(s.T, err)
		batch = now
		return batch.Ended()
	})
	return batch
}

// An event is a message of the stream.
type event struct {
	id, subject, kind string
	body              publish.ResultBody
}

// events reads the whole stream.
func (s *stage) events() (results, batches []event) {
	s.Helper()
	for _, e := range readStream(s.T, s.Conn) {
		switch e.kind {
		case publish.TypeBatch:
			batches = append(batches, e)
		case publish.TypeResult:
			results = append(results, e)
		}
	}
	return results, batches
}

func readStream(t *testing.T, conn *nats.Conn) []event {
	t.Helper()
	js, err := jetstream.New(conn)
	check(t, err)
	stream, err := js.Stream(t.Context(), publish.StreamName)
	check(t, err)
	consumer, err := stream.OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{})
	check(t, err)
	messages, err := consumer.Messages()
	check(t, err)
	defer messages.Stop()
	all := make([]event, stream.CachedInfo().State.Msgs)
	for i := range all {
		msg, err := messages.Next()
		check(t, err)
		all[i] = event{id: msg.Headers().Get(nats.MsgIdHdr), subject: msg.Subject(), kind: msg.Headers().Get("ce-type")}
		if all[i].kind == publish.TypeResult {
			check(t, json.Unmarshal(msg.Data(), &all[i].body))
		}
	}
	return all
}

// consumersOf lists the consumers of the stream that follow a subject.
func consumersOf(t *testing.T, conn *nats.Conn, subject string) []*jetstream.ConsumerInfo {
	t.Helper()
	js, err := jetstream.New(conn)
	check(t, err)
	stream, err := js.Stream(t.Context(), publish.StreamName)
	check(t, err)
	var found []*jetstream.ConsumerInfo
	consumers := stream.ListConsumers(t.Context())
	for info := range consumers.Info() {
		if info.Config.FilterSubject == subject {
			found = append(found, info)
		}
	}
	check(t, consumers.Err())
	return found
}

// unacknowledged counts what consumers of a subject still have to take.
func unacknowledged(t *testing.T, conn *nats.Conn, subject string) int {
	t.Helper()
	left := 0
	for _, info := range consumersOf(t, conn, subject) {
		left += info.NumAckPending + int(info.NumPending)
	}
	return left
}

// onceEach checks what every story ends with that kills no worker: oneEach, and
// no provider gave the same answer twice.
func (s *stage) onceEach(batches ...jobs.Batch) {
	s.Helper()
	s.oneEach(batches...)
	if seen := s.sim.Seen("*"); seen.AnsweredTwice != 0 {
		s.Errorf("%d requests were answered twice by providers", seen.AnsweredTwice)
	}
}

// oneEach checks that each request of the only batches has exactly one result and
// one event, under the result's id; that each batch has one; and that no River
// attempt was burned.
func (s *stage) oneEach(all ...jobs.Batch) {
	s.Helper()
	total, stored := 0, map[string]string{} // the id of the result, by request
	for i := range all {
		total += all[i].Total
		for e, err := range s.store.Results(s.Context(), store.Filter{BatchID: all[i].ID}) {
			check(s.T, err)
			stored[e.RequestID] = e.ID
		}
	}
	results, batches := s.events()
	published := map[string]string{}
	for _, e := range results {
		published[e.body.RequestID] = e.id
	}
	if len(stored) != total || len(results) != total {
		s.Errorf("%d results and %d events of %d requests", len(stored), len(results), total)
	}
	if diff := gocmp.Diff(stored, published); diff != "" {
		s.Errorf("events (-stored +published):\n%s", diff)
	}
	if len(batches) != len(all) {
		s.Errorf("%d batches have %d events", len(all), len(batches))
	}
	s.noneBurned()
}

// nextCanary is a job that asks a target a canary prompt and has not ended yet, at its first
// attempt. River's leader inserts the next one at any moment.
const nextCanary = "kind = 'canary' AND finalized_at IS NULL AND attempt <= 1 AND state <> 'retryable'"

// noneBurned checks that River's attempts are all 1, and all jobs completed, but for canaries
// that are on their way.
func (s *stage) noneBurned() {
	s.Helper()
	rows, err := s.Pool.Query(s.Context(), "SELECT state::text || ' after ' || attempt, count(*) FROM tidegate.river_job WHERE NOT ("+nextCanary+") GROUP BY 1")
	check(s.T, err)
	defer rows.Close()
	histogram := map[string]int{}
	for rows.Next() {
		var how string
		var n int
		check(s.T, rows.Scan(&how, &n))
		histogram[how] = n
	}
	check(s.T, rows.Err())
	if delete(histogram, "completed after 1"); len(histogram) > 0 {
		s.Errorf("jobs that did not simply complete: %v", histogram)
	}
	burned, err := s.store.AttemptsBurned(s.Context())
	check(s.T, err)
	if burned != 0 {
		s.Errorf("%d attempts were burned", burned)
	}
}

// attempts counts the calls that were written down, by "target class", with
// " probe" behind a probe's.
func (s *stage) attempts() map[string]int {
	s.Helper()
	rows, err := s.Pool.Query(s.Context(), `SELECT target || ' ' || class || CASE WHEN probe THEN ' probe' ELSE '' END, count(*) FROM tidegate.attempts GROUP BY 1`)
	check(s.T, err)
	defer rows.Close()
	all := map[string]int{}
	for rows.Next() {
		var what string
		var n int
		check(s.T, rows.Scan(&what, &n))
		all[what] = n
	}
	check(s.T, rows.Err())
	return all
}

// calls counts the attempts with a class, of probes and others.
func (s *stage) calls(class jobs.Class) int {
	s.Helper()
	return s.count("SELECT count(*) FROM tidegate.attempts WHERE class = $1", class)
}

// afterwards is a context for cleanups, when that of the test has ended.
func afterwards(t *testing.T) context.Context { return context.WithoutCancel(t.Context()) }

// A said is what a command came to.
type said struct {
	code        int
	out, errors string
}

// tidegate runs a command in this process, beside the stage's Postgres and
// NATS.
func (s *stage) tidegate(args ...string) said {
	s.Helper()
	return tidegate(s.T, append(args, "--database-url", s.URL, "--nats-url", s.NATSURL)...)
}

// tidegate runs a command in this process. It sees no dev of this machine.
func tidegate(t *testing.T, args ...string) said {
	t.Helper()
	return tidegateUntil(t.Context(), t, args...)
}

func tidegateUntil(ctx context.Context, t *testing.T, args ...string) said {
	t.Helper()
	var out, errors bytes.Buffer
	code := app.Execute(ctx, append([]string{"--data", t.TempDir()}, args...), &out, &errors)
	return said{code, out.String(), errors.String()}
}
