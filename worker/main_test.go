package worker_test

import (
	"context"
	"fmt"
	"math"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/jobs/queue"
	"tidegate/store"
	"tidegate/worker"
)

// Most of the time they wait until a deadline or a budget's day has passed.
func TestMain(m *testing.M) { fixture.Main(m, fixture.Abreast(6)) }

// soon is when everything has happened that a test waits for, on a machine that
// has much else to do.
const soon = 30 * time.Second

// A script is a router of which the test says what it does.
type script struct {
	mu      sync.Mutex
	calls   int
	holds   bool
	circuit jobs.Circuit // of the one target, cheap; zero: closed
	route   func(ctx context.Context, request *jobs.Request, history jobs.Trace) jobs.Outcome
	probe   func(ctx context.Context) *jobs.Attempt // nil: there is none
	// failsOver has it begin another call, of which nothing comes.
	failsOver bool
	unpriced  bool          // nobody knows what a call costs
	rough     jobs.MicroUSD // what it may cost as long as its prompt is not counted; zero: what it does
	counted   int           // prompts
	follows   int           // reads of the fleet
	asked     func()        // when it is asked what a call costs; nil: nothing
}

func (s *script) Admit(request *jobs.Request, history jobs.Trace) (jobs.Pass, jobs.Outcome) {
	if n, _ := s.Admits(request.Route); n == 0 {
		return nil, jobs.Outcome{Verdict: jobs.Blocked, Held: true, Reason: "the test holds it"}
	}
	return &pass{s, request, history}, jobs.Outcome{}
}

// A pass begins one call and has the script answer it.
type pass struct {
	script  *script
	request *jobs.Request
	history jobs.Trace
}

func (p *pass) Release() {}

func (p *pass) Route(ctx context.Context, begin func(context.Context, jobs.Begun) error) jobs.Outcome {
	call := jobs.Begun{RequestID: p.request.ID, Target: "cheap", Route: p.request.Route, At: time.Now(), Within: p.script.within(), Estimate: p.script.estimate}
	if err := begin(ctx, call); err != nil {
		return jobs.Outcome{Verdict: jobs.Blocked, Reason: err.Error()}
	}
	p.script.mu.Lock()
	p.script.calls++
	route := p.script.route
	p.script.mu.Unlock()
	outcome := route(ctx, p.request, p.history)
	if n := len(outcome.Trace); n > 0 && outcome.Trace[n-1].Attempt != nil {
		outcome.Trace[n-1].Attempt.At = call.At
	}
	if p.script.failsOver {
		if err := begin(ctx, call); err != nil {
			outcome.Verdict, outcome.Reason = jobs.Blocked, err.Error()
		}
	}
	return outcome
}

// estimate is what each answer costs.
func (s *script) estimate(counted bool) (jobs.MicroUSD, bool) {
	if s.asked != nil {
		s.asked()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if counted {
		s.counted++
	} else if s.rough > 0 {
		return s.rough, !s.unpriced
	}
	return 10, !s.unpriced
}

func (s *script) within() time.Duration { return time.Hour }

func (s *script) Admits(string) (int, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holds {
		return 0, time.Time{}
	}
	return math.MaxInt, time.Time{}
}

func (s *script) Beat(map[string]int) jobs.Beat { return jobs.Beat{} }

func (s *script) Circuits() []jobs.Circuit {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.circuit.State == "" {
		return []jobs.Circuit{{Target: "cheap", State: jobs.CircuitClosed, Since: time.Now()}}
	}
	return []jobs.Circuit{s.circuit}
}

func (s *script) Follow(*jobs.Fleet, string) []jobs.Circuit {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.follows++
	return nil
}

// followed is how often the worker has read what others say.
func (s *script) followed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.follows
}

func (s *script) Grant(string, uint64) bool { return true }

func (s *script) Probe(ctx context.Context, _ string) *jobs.Attempt {
	if s.probe == nil {
		return nil
	}
	return s.probe(ctx)
}

func (s *script) called() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// prompts are how many were counted.
func (s *script) prompts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counted
}

func (s *script) hold(holds bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holds = holds
}

// attempted is an outcome after one call of a class.
func attempted(verdict jobs.Verdict, class jobs.Class) jobs.Outcome {
	attempt := &jobs.Attempt{At: time.Now(), Target: "cheap", Class: class, Status: 200, Latency: time.Millisecond, Cost: 10, Propensity: 1}
	return jobs.Outcome{Verdict: verdict, Trace: jobs.Trace{{Attempt: attempt}}}
}

// answer is what a target says that is well.
func answer(context.Context, *jobs.Request, jobs.Trace) jobs.Outcome {
	outcome := attempted(jobs.Answered, jobs.OK)
	outcome.Answer = &jobs.Answer{Body: []byte(`{"choices":[]}`), Target: "cheap", Model: "cheap-1", Usage: jobs.Usage{Input: 3, Output: 2}}
	return outcome
}

// A site is a database of one test with a worker on it, whose router is a
// script.
type site struct {
	t      *testing.T
	url    string
	pool   *pgxpool.Pool // of the test; the worker has its own
	store  *store.Store
	queue  *queue.Queue
	script *script
	config worker.Config
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, url: fixture.Database(t), script: &script{route: answer}}
	s.pool = s.connect(3, "test")
	s.store = store.New(s.pool)
	if err := s.store.SaveRoutes(t.Context(), []jobs.Route{{Name: "summaries", Goal: "ordered", Chain: []*jobs.Target{{Name: "cheap"}}}}); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.queue, err = queue.New(s.pool); err != nil {
		t.Fatal(err)
	}
	pool := s.connect(8, "worker")
	s.config = worker.Config{
		Pool: pool, Store: store.New(pool), Fleet: fleetOf(store.New(pool)), Router: s.script, Circuits: s.script, Queues: []string{"summaries"},
		StopTimeout: soon, Log: zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.ErrorLevel),
	}
	return s
}

// newQueue is a queue that remembers nothing.
func (s *site) newQueue() *queue.Queue {
	s.t.Helper()
	q, err := queue.New(s.pool)
	if err != nil {
		s.t.Fatal(err)
	}
	return q
}

// fleetOf is all of a store that a worker needs to be one of many.
func fleetOf(s *store.Store) worker.Fleet {
	return worker.Fleet{Peers: s, Probes: s, Claims: s, Lead: s, Care: s, Books: s, Admission: s, Parking: s, Ledger: s, Budgets: s, Queues: s}
}

// connect opens a pool whose connections the server knows by a name.
func (s *site) connect(conns int, name string) *pgxpool.Pool {
	s.t.Helper()
	at, err := url.Parse(s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	query := at.Query()
	query.Set("application_name", name)
	at.RawQuery = query.Encode()
	pool, err := store.Connect(s.t.Context(), at.String(), conns)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(pool.Close)
	return pool
}

// enqueue accepts n requests and returns them.
func (s *site) enqueue(n int) []jobs.Request {
	s.t.Helper()
	out := make([]jobs.Request, n)
	for i := range out {
		out[i] = s.accept(jobs.Request{CustomID: fmt.Sprint("doc-", i)})
	}
	return out
}

func (s *site) accept(request jobs.Request) jobs.Request {
	s.t.Helper()
	request.Route, request.Body = "summaries", []byte(`{"messages":[{"role":"user","content":"hi"}]}`)
	request, err := s.queue.Enqueue(s.t.Context(), request)
	if err != nil {
		s.t.Fatal(err)
	}
	return request
}

// start runs a worker. Its stop tells it to stop and waits until it has; the end
// of the test does so too.
func (s *site) start() (w *worker.Worker, stop func()) {
	s.t.Helper()
	w, err := worker.New(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() {
		if err := w.Run(ctx); err != nil {
			s.t.Errorf("it could not begin: %v", err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); run.Wait() })
	s.t.Cleanup(stop)
	return w, stop
}

// jobs counts the River jobs in a state with an attempt.
func (s *site) jobs(state string, attempt int) int {
	s.t.Helper()
	return s.number("SELECT count(*) FROM tidegate.river_job WHERE state = $1::tidegate.river_job_state AND attempt = $2", state, attempt)
}

// awaitJobs waits until n River jobs are in a state with an attempt.
func (s *site) awaitJobs(n int, state string, attempt int) {
	s.t.Helper()
	what := fmt.Sprintf("%d jobs are %s with attempt %d", n, state, attempt)
	fixture.Await(s.t, soon, what, func() bool { return s.jobs(state, attempt) == n })
}

func (s *site) number(sql string, args ...any) (n int) {
	s.t.Helper()
	if err := s.pool.QueryRow(context.Background(), sql, args...).Scan(&n); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func (s *site) exec(sql string, args ...any) {
	s.t.Helper()
	if _, err := s.pool.Exec(s.t.Context(), sql, args...); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
}

// result reads the one result of a request.
func (s *site) result(id string) jobs.ResultEvent {
	s.t.Helper()
	for event, err := range s.store.Results(s.t.Context(), store.Filter{RequestID: id}) {
		if err != nil {
			s.t.Fatal(err)
		}
		return event
	}
	s.t.Fatalf("request %s has no result", id)
	return jobs.ResultEvent{}
}

// attempts lists the calls that were kept of a request.
func (s *site) attempts(id string) []jobs.Attempt {
	s.t.Helper()
	made, err := s.store.Attempts(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return made
}
