package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"tidegate/cmd/app"
	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/worker/publish"
)

// quoted is what a provider says in every place where it may say something, as
// one does that quotes the prompt it was sent.
const quoted = "the canary sang of Mrs Miller's diagnosis"

// quoters are targets, each of which refuses every call in another way.
var quoters = map[string]struct {
	status int
	kind   string // the error's type; empty: it quotes, too
	state  jobs.CircuitState
	gist   string // the reason that its circuit must give
}{
	"overload": {http.StatusServiceUnavailable, "", jobs.CircuitOpen, "OVERLOAD: status 503"},
	"broken":   {http.StatusInternalServerError, "", jobs.CircuitOpen, "TRANSIENT: status 500"},
	"garbled":  {http.StatusOK, "", jobs.CircuitOpen, "GARBLED: status 200"},
	"key":      {http.StatusUnauthorized, "", jobs.CircuitOpen, "AUTH: status 401"},
	"money":    {http.StatusTooManyRequests, "insufficient_quota", jobs.CircuitOpen, "QUOTA: status 429"},
	"rate":     {http.StatusTooManyRequests, "", jobs.CircuitClosed, "RATE: status 429"},
	"refusal":  {http.StatusBadRequest, "", jobs.CircuitClosed, ""},
}

// quote answers for the quoters, and lets the other providers answer for
// themselves.
func quote(t *testing.T, providers http.Handler) string {
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		q, ok := quoters[name]
		if !ok {
			providers.ServeHTTP(w, r)
			return
		}
		kind := q.kind
		if kind == "" {
			kind = quoted
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Words", quoted)
		if q.status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "60")
		}
		w.WriteHeader(q.status)
		fmt.Fprintf(w, `{"error":{"message":%q,"type":%q,"param":%q,"code":%q}}`, quoted, kind, quoted, quoted)
	}))
}

// quotersFirst gives each quoter a route, with one that answers behind it.
func quotersFirst(c *config.Config) {
	cheap, route := c.Targets[0], c.Routes[0]
	c.Targets, c.Routes = []config.Target{cheap}, nil
	for name := range quoters {
		target, own := cheap, route
		target.Name, target.Provider, target.BaseURL = name, name, strings.Replace(cheap.BaseURL, "/cheap/", "/"+name+"/", 1)
		own.Name, own.Chain = name, []string{name, cheap.Name}
		c.Targets, c.Routes = append(c.Targets, target), append(c.Routes, own)
	}
}

// A journal is a log that a test reads while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// TestProvidersWordsStayWithTheirRequest: what a provider says of a request may
// quote its prompt. It is kept with the calls and the result of that request,
// and stands in the event of that result; circuits, the log, and the events of
// all others have class, status and code alone.
func TestProvidersWordsStayWithTheirRequest(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{serve: quote, config: quotersFirst})
	conn, err := nats.Connect(s.NATSURL)
	check(t, err)
	defer conn.Close()
	said, err := conn.SubscribeSync("tidegate.>")
	check(t, err)
	check(t, conn.Flush())
	var log journal
	crew := s.work(func(c *app.StackConfig) { c.Log = zerolog.New(&log).Level(zerolog.TraceLevel) })
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range quoters {
			if !yield(name) {
				return
			}
		}
	})
	const each = 6 // more than it takes to open a circuit
	batch := s.settle(s.enqueue(each*len(names), func(i int, r *jobs.Request) { r.Route = names[i%len(names)] }))
	if batch.Completed != each*(len(names)-1) || batch.Failed != each {
		t.Errorf("the batch ended as %+v", batch)
	}
	fixture.Await(t, soon, "circuits were written", func() bool {
		return s.count("SELECT count(*) FROM tidegate.circuits WHERE state = 'open'") == 5
	})
	crew.stop()
	s.circuitsGiveTheGist()
	s.wordsAreIn("attempts", "results")
	if text := log.String(); strings.Contains(text, "canary") || !strings.Contains(text, "circuit changed") || !strings.Contains(text, "BAD_REQUEST") {
		t.Errorf("the log:\n%s", text)
	}
	seen := map[string]int{}
	for seen[publish.TypeResult] < batch.Total || seen[publish.TypeBatch] == 0 || seen[publish.TypeCircuit] < 5 {
		msg, err := said.NextMsg(soon)
		check(t, err)
		seen[msg.Header.Get("ce-type")]++
		eventKeepsQuiet(t, msg)
	}
}

// circuitsGiveTheGist checks what is written of each quoter's circuit.
func (s *stage) circuitsGiveTheGist() {
	s.Helper()
	circuits, err := s.store.Circuits(s.Context())
	check(s.T, err)
	for _, c := range circuits {
		if q, ok := quoters[c.Target]; ok && (c.State != q.state || !strings.HasSuffix(c.Reason, q.gist)) {
			s.Errorf("%s is %s because of %q, not %s because of %q", c.Target, c.State, c.Reason, q.state, q.gist)
		}
	}
}

// wordsAreIn checks in which tables the canary is: in those, and in no other.
func (s *stage) wordsAreIn(tables ...string) {
	s.Helper()
	rows, err := s.Pool.Query(s.Context(), "SELECT relname FROM pg_class WHERE relnamespace = 'tidegate'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1")
	check(s.T, err)
	defer rows.Close()
	var all, found []string
	for rows.Next() {
		var name string
		check(s.T, rows.Scan(&name))
		all = append(all, name)
	}
	check(s.T, rows.Err())
	for _, name := range all {
		if s.count("SELECT count(*) FROM tidegate."+name+" AS row WHERE row::text LIKE '%canary%'") > 0 {
			found = append(found, name)
		}
	}
	if diff := gocmp.Diff(tables, found); diff != "" {
		s.Errorf("tables with a provider's words (-may have +have):\n%s", diff)
	}
}

// eventKeepsQuiet checks that an event has no provider's words, but for why a
// request was refused.
func eventKeepsQuiet(t *testing.T, msg *nats.Msg) {
	t.Helper()
	data := msg.Data
	if msg.Header.Get("ce-type") == publish.TypeResult {
		var body publish.ResultBody
		check(t, json.Unmarshal(data, &body))
		if body.State == jobs.StateRefused {
			if !strings.Contains(body.Error.Message, "canary") {
				t.Errorf("a refusal does not say why: %s", data)
			}
			body.Error = nil
		}
		var err error
		data, err = json.Marshal(body)
		check(t, err)
	}
	if text := fmt.Sprintf("%s %v %s", msg.Subject, msg.Header, data); strings.Contains(text, "canary") {
		t.Errorf("an event tells: %s", text)
	}
}
