package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"

	"tidegate/cmd/app"
	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing/simulator"
	"tidegate/worker"
)

// limited is a stage with one target that may be called ten times a second, and a server.
func limited(t *testing.T) *front {
	t.Helper()
	f, _ := limitedWorker(t)
	return f
}

// limitedWorker is limited, with its worker.
func limitedWorker(t *testing.T) (*front, *crew) {
	t.Helper()
	st := newStage(t, staging{config: func(c *config.Config) {
		c.Targets[0].Limits.RequestsPerMinute = 600
		c.Targets, c.Routes[0].Chain = c.Targets[:1], c.Routes[0].Chain[:1]
	}})
	working := st.work(func(c *app.StackConfig) { c.Timing = worker.Timing{Look: 50 * time.Millisecond} })
	return &front{stage: st, base: st.serveHTTP()}, working
}

// A saidForecast is a forecast as it comes over HTTP.
type saidForecast struct {
	DoneAt, Earliest, Latest int64
	Work                     int64  `json:"work_seconds"`
	Ahead                    int    `json:"jobs_ahead"`
	Missed                   string `json:"deadline_missed"`
	Reason                   string `json:"reason"`
}

func (f *saidForecast) UnmarshalJSON(text []byte) error {
	var said struct {
		DoneAt   int64 `json:"done_at"`
		Earliest int64 `json:"earliest"`
		Latest   int64 `json:"latest"`
	}
	type rest saidForecast
	if err := json.Unmarshal(text, (*rest)(f)); err != nil {
		return err
	}
	err := json.Unmarshal(text, &said)
	f.DoneAt, f.Earliest, f.Latest = said.DoneAt, said.Earliest, said.Latest
	return err
}

// An official SDK reads a batch as before, and finds the forecast beside what it knows.
func TestForecastOfABatch(t *testing.T) {
	t.Parallel()
	f := limited(t)
	client := f.client()
	batch := f.order(client, f.upload(client, batchLines(3000)).ID)
	var said saidForecast
	ask := func() {
		got, err := client.Batches.Get(f.Context(), batch.ID)
		check(t, err)
		said = saidForecast{}
		if extra := got.JSON.ExtraFields["forecast"]; extra.Raw() != "" {
			check(t, json.Unmarshal([]byte(extra.Raw()), &said))
		}
		if got.ID != batch.ID || len(got.Metadata) != 0 {
			t.Fatalf("it is %s", got.RawJSON())
		}
	}
	fixture.Await(t, soon, "all of it has a forecast", func() bool { ask(); return said.DoneAt > 0 && said.Ahead > 2000 })
	now := time.Now().Unix()
	if work := said.Work; work < 150 || work > 450 || said.Earliest < now || said.DoneAt < said.Earliest || said.Latest < said.DoneAt || said.Missed != "" {
		t.Errorf("3,000 calls at ten a second: %+v, now it is %d", said, now)
	}
	got, err := http.Get(f.base + "/status")
	check(t, err)
	text, err := io.ReadAll(got.Body)
	check(t, errors.Join(err, got.Body.Close()))
	if !regexp.MustCompile(`"text": ?"done by \d\d:\d\d(:\d\d)? UTC ± `).Match(text) {
		t.Errorf("over HTTP the status does not say of what zone its times are: %s", text)
	}
	f.down("*", simulator.Fault{Mode: simulator.Unavailable})
	fixture.Await(t, soon, "nobody can say when it ends", func() bool { ask(); return strings.HasPrefix(said.Reason, "waits for") })
	if said.DoneAt != 0 || said.Work < 100 {
		t.Errorf("in an outage: %+v", said)
	}
	list, err := client.Batches.List(f.Context(), openai.BatchListParams{})
	if err != nil || len(list.Data) != 1 || !strings.Contains(list.Data[0].JSON.ExtraFields["forecast"].Raw(), `"reason":"waits for`) {
		t.Errorf("a list has %d batches, %v: %s", len(list.Data), err, list.RawJSON())
	}
	conf := write(t, "tidegate.yaml", f.config.String()) // which knows the limit
	shown := f.must("status", "--config", conf)
	if !strings.Contains(shown.out, "of work)") {
		t.Errorf("the status:\n%s", shown.out)
	}
	var status struct {
		Routes, Batches []struct{ Forecast struct{ Reason, Text string } }
	}
	check(t, json.Unmarshal([]byte(f.must("status", "--json", "--config", conf).out), &status))
	for _, one := range append(status.Routes, status.Batches...) {
		if !strings.HasPrefix(one.Forecast.Reason, "waits for") || !strings.Contains(one.Forecast.Text, "of work after that") {
			t.Errorf("the status has %+v", status)
		}
	}
}

// Whoever sends what cannot be done by its deadline is told so, and not refused.
func TestForecastWarns(t *testing.T) {
	t.Parallel()
	f := limited(t)
	f.enqueue(3000, nil)
	post := func(deadline string) (warning string, said saidForecast) {
		return postJob(t, f.base, deadline)
	}
	var warning string
	var job saidForecast
	fixture.Await(t, soon, "a deadline of ten seconds is warned of", func() bool { warning, job = post("10s"); return warning != "" })
	if !strings.Contains(warning, "will be missed") || job.Missed != "likely" {
		t.Errorf("it is warned with %q, and %+v", warning, job)
	}
	if warning, said := post("20h"); warning != "" || said.Missed != "" || said.DoneAt == 0 {
		t.Errorf("of 20 hours, it is warned with %q, and %+v", warning, said)
	}
	var got said
	fixture.Await(t, soon, "the command, which knows no limits, hears how fast it goes", func() bool {
		got = f.must("enqueue", write(t, "in.jsonl", numbered(5, openaiLine)...), "--deadline", "10s")
		return got.errors != ""
	})
	if !strings.Contains(got.errors, "will be missed") {
		t.Errorf("the command says %q", got.errors)
	}
	got = f.must("enqueue", write(t, "in.jsonl", numbered(5, openaiLine)...), "--deadline", "20h", "--json")
	if strings.Contains(got.errors, "missed") || !strings.Contains(got.errors, "done by") || lastLine[map[string]any](t, got.out)["requests"] != 5.0 {
		t.Errorf("the command says %q and %q", got.errors, got.out)
	}
}

// Who enqueues just after others did is warned by what these enqueued, though nobody has
// counted it since.
func TestForecastKnowsWhatCameJustNow(t *testing.T) {
	t.Parallel()
	f, first := limitedWorker(t)
	fixture.Await(t, soon, "it is counted that nothing waits", func() bool {
		all, err := f.store.Progress(t.Context())
		check(t, err)
		return len(all) == 1 && all[0].Served && !all[0].CountedAt.IsZero()
	})
	first.stop() // nobody counts again
	f.enqueue(3000, nil)
	warning, said := postJob(t, f.base, "10s")
	if !strings.Contains(warning, "will be missed") || said.Missed != "likely" || said.Ahead < 3000 {
		t.Errorf("it is warned with %q, and %+v", warning, said)
	}
	f.enqueue(500, nil)
	fixture.Await(t, soon, "and of those that come then", func() bool { _, said = postJob(t, f.base, "10s"); return said.Ahead >= 3500 })
	if all := f.count("SELECT count(*) FROM tidegate.requests"); said.Ahead > all {
		t.Errorf("of %d, %d are ahead", all, said.Ahead)
	}
}

// postJob sends one request with a deadline, and says what it is warned with.
func postJob(t *testing.T, base, deadline string) (warning string, said saidForecast) {
	t.Helper()
	line := fmt.Sprintf(`{"custom_id":"a","method":"POST","url":"/v1/chat/completions","deadline":%q,"body":%s}`, deadline, body(1))
	response, err := http.Post(base+"/jobs", jsonType, strings.NewReader(line))
	check(t, err)
	defer func() { check(t, response.Body.Close()) }()
	var job struct{ Forecast saidForecast }
	check(t, json.NewDecoder(response.Body).Decode(&job))
	if response.StatusCode != http.StatusAccepted {
		t.Fatalf("it is answered with %d", response.StatusCode)
	}
	return response.Header.Get("Tidegate-Warning"), job.Forecast
}

// What is measured is that of whoever supervised before, too.
func TestForecastOutlivesItsSupervisor(t *testing.T) {
	t.Parallel()
	st := newStage(t, staging{latency: 200 * time.Millisecond})
	fast := func(c *app.StackConfig) {
		c.Timing = worker.Timing{Look: 50 * time.Millisecond, Beat: 50 * time.Millisecond}
	}
	first := st.work(fast)
	batch := st.enqueue(60, nil)
	speed := func() (p jobs.Progress) {
		all, err := st.store.Progress(t.Context())
		check(t, err)
		if len(all) == 1 {
			p = all[0]
		}
		return p
	}
	fixture.Await(t, soon, "it is seen how fast they end", func() bool { return speed().Speed.Slow.N > 10 })
	st.awaitBatch(batch)
	first.stop()
	before := speed()
	st.work(fast)
	fixture.Await(t, soon, "another one goes on", func() bool { return speed().At.After(before.At) })
	if now := speed(); now.Speed.Slow.N < before.Speed.Slow.N/2 || !now.Served {
		t.Errorf("it was %+v, and now is %+v", before, now)
	}
}
