package integration

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"tidegate/cmd/app"
	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing/simulator"
	"tidegate/worker/publish"
)

// write puts a file into a folder of the test.
func write(t *testing.T, name string, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	check(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	return path
}

// openaiLine is a line of an OpenAI batch.
func openaiLine(i int) string {
	return fmt.Sprintf(`{"custom_id":"line-%d","method":"POST","url":"/v1/chat/completions","body":%s}`, i, body(i))
}

// numbered makes n lines.
func numbered(n int, line func(int) string) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = line(i)
	}
	return lines
}

// must is a command that succeeds.
func (s *stage) must(args ...string) said {
	s.Helper()
	got := s.tidegate(args...)
	if got.code != 0 {
		s.Fatalf("tidegate %s: exit code %d\n%s", strings.Join(args, " "), got.code, got.errors)
	}
	return got
}

var batchForm = regexp.MustCompile(`batch_[0-9a-f]{32}`)

// batchOf finds the id of the batch that a command printed.
func (s *stage) batchOf(got said) jobs.Batch {
	s.Helper()
	batch, err := s.store.Batch(s.Context(), batchForm.FindString(got.out))
	if err != nil {
		s.Fatalf("no batch is named in %q: %v", got.out, err)
	}
	return batch
}

// lastLine reads JSON that a command printed: the last line.
func lastLine[T any](t *testing.T, text string) (value T) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &value); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, text)
	}
	return value
}

// decodeLines reads JSON lines: no line is blank.
func decodeLines[T any](t *testing.T, text string) []T {
	t.Helper()
	var all []T
	for line := range strings.Lines(text) {
		var value T
		if err := json.Unmarshal([]byte(line), &value); err != nil {
			t.Fatalf("line %d is not JSON: %v\n%q", len(all)+1, err, line)
		}
		all = append(all, value)
	}
	return all
}

// An outputLine is a line of an OpenAI batch's output file.
type outputLine struct {
	ID       string `json:"id"`
	CustomID string `json:"custom_id"`
	Response *struct {
		StatusCode int    `json:"status_code"`
		RequestID  string `json:"request_id"`
		Body       struct {
			Object  string `json:"object"`
			Choices []struct {
				Message struct{ Content string } `json:"message"`
			} `json:"choices"`
			Usage struct {
				TotalTokens int `json:"total_tokens"`
			} `json:"usage"`
		} `json:"body"`
	} `json:"response"`
	Error *struct{ Code string } `json:"error"`
}

func TestEnqueueTakesEveryForm(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.work(nil)
	texts := t.TempDir()
	for name, text := range map[string]string{"a.txt": "The tide rose.", "b.md": "The gate closed.", ".hidden": "no", "binary": "\x00\x01", "empty": " "} {
		check(t, os.WriteFile(filepath.Join(texts, name), []byte(text), 0o600))
	}
	bare := func(i int) string { return string(body(100 + i)) }
	for name, c := range map[string]struct {
		args     []string
		requests int
		custom   string // a custom id that must be there
	}{
		"OpenAI lines": {[]string{write(t, "a.jsonl", numbered(5, openaiLine)...)}, 5, "line-4"},
		"bare bodies":  {[]string{write(t, "b.jsonl", numbered(3, bare)...), "--metadata", "team=sea"}, 3, ""},
		"documents":    {[]string{"--text", texts, "--prompt", "Summarise."}, 2, "b.md"},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.must(append([]string{"enqueue", "--json"}, c.args...)...)
			told := lastLine[struct {
				BatchID  string `json:"batch_id"`
				Requests int    `json:"requests"`
				Skipped  int    `json:"skipped"`
			}](t, got.out)
			batch := s.settle(s.batchOf(got))
			if told.BatchID != batch.ID || told.Requests != c.requests || told.Skipped != 0 || batch.Total != c.requests || batch.Completed != c.requests {
				t.Errorf("told %+v, stored %+v", told, batch)
			}
			if n := s.count("SELECT count(*) FROM tidegate.requests WHERE batch_id = $1 AND custom_id = $2", batch.ID, c.custom); c.custom != "" && n != 1 {
				t.Errorf("custom id %s is there %d times", c.custom, n)
			}
			if n := s.count("SELECT count(*) FROM tidegate.requests WHERE batch_id = $1 AND metadata->>'team' = 'sea'", batch.ID); n > 0 != (name == "bare bodies") {
				t.Errorf("%d requests have the metadata", n)
			}
		})
	}
}

// TestEnqueueReadsStandardInput runs the command itself, to give it an input.
func TestEnqueueReadsStandardInput(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	root := app.New()
	var out, errors bytes.Buffer
	root.SetIn(strings.NewReader(strings.Join(numbered(4, openaiLine), "\n")))
	root.SetOut(&out)
	root.SetErr(&errors)
	root.SetArgs([]string{"enqueue", "-", "--database-url", s.URL, "--deadline", "2d6h"})
	check(t, root.ExecuteContext(t.Context()))
	if batch := s.batchOf(said{out: out.String()}); batch.Total != 4 {
		t.Errorf("%+v", batch)
	}
	if n := s.count("SELECT count(*) FROM tidegate.requests WHERE deadline BETWEEN now() + interval '53 hours' AND now() + interval '54 hours'"); n != 4 {
		t.Errorf("%d requests have the deadline", n)
	}
}

func TestEnqueueWaitsAndWritesResults(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.work(nil)
	output := filepath.Join(t.TempDir(), "results.jsonl")
	got := s.must("enqueue", write(t, "in.jsonl", numbered(12, openaiLine)...), "--wait", "-o", output)
	if !strings.Contains(got.out, "12 answered, 0 failed") {
		t.Errorf("it said %q", got.out)
	}
	text, err := os.ReadFile(output)
	check(t, err)
	lines := decodeLines[outputLine](t, string(text))
	if len(lines) != 12 {
		t.Fatalf("%d lines", len(lines))
	}
	for i, line := range lines {
		if r := line.Response; line.CustomID != fmt.Sprintf("line-%d", i) || r == nil || r.StatusCode != 200 || r.RequestID == "" ||
			r.Body.Object != "chat.completion" || len(r.Body.Choices) != 1 || r.Body.Choices[0].Message.Content == "" || r.Body.Usage.TotalTokens == 0 {
			t.Errorf("line %d: %+v", i, line)
		}
	}
}

// TestEnqueueThatWaitsFails: a script that goes on with the results must know
// that some are no answers.
func TestEnqueueThatWaitsFails(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.work(nil)
	refused := `{"body":{"messages":[{"role":"nobody","content":"Hear me."}]}}`
	got := s.tidegate("enqueue", write(t, "in.jsonl", openaiLine(0), refused, openaiLine(1)), "--wait", "-o", "-")
	if got.code != 1 || len(decodeLines[outputLine](t, got.out)) != 3 || !strings.Contains(got.errors, "1 of 3 requests got no answer: `tidegate results batch_") {
		t.Errorf("%+v", got)
	}
}

func TestEnqueueSkipsBadLines(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	file := write(t, "in.jsonl", openaiLine(0), `{"custom_id":"x"}`, openaiLine(1), `not json`, openaiLine(0))
	got := s.must("enqueue", file, "--skip-bad")
	if batch := s.batchOf(got); batch.Total != 2 || !strings.Contains(got.out, "3 bad lines left out") {
		t.Errorf("%+v: %s", batch, got.out)
	}
	for _, says := range []string{"line 2: body:", "line 4:", "line 5: custom_id:", "line 1 already"} {
		if !strings.Contains(got.errors, says) {
			t.Errorf("it does not say %q:\n%s", says, got.errors)
		}
	}
}

func TestDryRunEnqueuesNothing(t *testing.T) {
	t.Parallel()
	file := write(t, "in.jsonl", numbered(10, openaiLine)...)
	got := tidegate(t, "enqueue", file, "--dry-run") // needs no database
	if got.code != 0 || !strings.Contains(got.out, "10 requests") || !strings.Contains(got.out, "sim-dear") {
		t.Errorf("%+v", got)
	}
	s := newStage(t, staging{})
	s.prepare()
	e := lastLine[struct {
		Requests int `json:"requests"`
		Input    int `json:"input_tokens"`
		Targets  []struct {
			Target string        `json:"target"`
			Cost   jobs.MicroUSD `json:"cost_micro_usd"`
			Known  bool          `json:"price_known"`
		} `json:"targets"`
	}](t, s.must("enqueue", file, "--dry-run", "--json").out)
	if e.Requests != 10 || e.Input == 0 || len(e.Targets) != 3 || !e.Targets[2].Known || e.Targets[2].Cost <= e.Targets[0].Cost {
		t.Errorf("%+v", e)
	}
	if n := s.count("SELECT (SELECT count(*) FROM tidegate.requests) + (SELECT count(*) FROM tidegate.batches) + count(*) FROM tidegate.river_job"); n != 0 {
		t.Errorf("a dry run wrote %d rows", n)
	}
}

func TestWatchGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.work(nil)
	const each, runs = 7, 4
	batch := s.settle(s.enqueue(each*runs, nil))
	seen := map[string]int{}
	for run := range runs {
		args := []string{"watch", "--json", "--count", fmt.Sprint(each), "--batch", batch.ID}
		if run == 0 {
			args = append(args, "--from-start")
		}
		events := s.watchBriefly(args...)
		if len(events) != each {
			t.Fatalf("run %d printed %d events", run, len(events))
		}
		for _, e := range events {
			if e.BatchID != batch.ID || e.State != jobs.StateAnswered || e.Response == nil {
				t.Errorf("%+v", e)
			}
			seen[e.RequestID]++
		}
	}
	if len(seen) != each*runs {
		t.Errorf("%d runs of %d saw %d requests", runs, each, len(seen))
	}
}

// watchBriefly watches for less time than JetStream waits for an
// acknowledgement before it sends an event once more.
func (s *stage) watchBriefly(args ...string) []publish.ResultBody {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 20*time.Second)
	defer cancel()
	got := tidegateUntil(ctx, s.T, append(args, "--nats-url", s.NATSURL)...)
	if got.code != 0 {
		s.Fatalf("%v: %+v", args, got)
	}
	return decodeLines[publish.ResultBody](s.T, got.out)
}

// TestWatchEndsWithItsReader: who has seen enough of it closes the pipe.
func TestWatchEndsWithItsReader(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.work(nil)
	s.settle(s.enqueue(3, nil))
	reader, writer, err := os.Pipe()
	check(t, err)
	ended := make(chan int, 1)
	go func() {
		ended <- app.Execute(t.Context(), []string{"watch", "--from-start", "--nats-url", s.NATSURL, "--data", t.TempDir()}, writer, io.Discard)
	}()
	line, err := bufio.NewReader(reader).ReadString('\n')
	if err != nil || !strings.Contains(line, "answered") {
		t.Errorf("%q, %v", line, err)
	}
	check(t, reader.Close())
	select {
	case code := <-ended:
		if code != 0 {
			t.Logf("exit code %d: it was writing still", code)
		}
	case <-time.After(soon):
		t.Fatal("it goes on")
	}
	check(t, writer.Close())
}

func TestWatchFollowsAlone(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.work(nil)
	s.settle(s.enqueue(1, nil)) // the stream is there
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	watched := make(chan said, 1)
	args := []string{"watch", "--route", summaries, "--nats-url", s.NATSURL}
	go func() { watched <- tidegateUntil(ctx, t, args...) }()
	fixture.Await(t, soon, "somebody watches", func() bool {
		consumers := consumersOf(t, s.Conn, publish.ResultFilter("", summaries, ""))
		return len(consumers) == 1 && consumers[0].NumWaiting > 0
	})
	fixture.Await(t, soon, "a second is refused", func() bool {
		short, cancel := context.WithTimeout(t.Context(), latency)
		defer cancel()
		got := tidegateUntil(short, t, args...)
		return got.code == 1 && strings.Contains(got.errors, "--name")
	})
	if got := s.must("watch", "--from-start", "--count", "1", "--name", "another"); !strings.Contains(got.out, "n-000") {
		t.Errorf("under another name: %q", got.out)
	}
	batch := s.settle(s.enqueue(3, func(i int, r *jobs.Request) { r.CustomID = fmt.Sprintf("new-%d", i) }))
	fixture.Await(t, soon, "the events were taken", func() bool { return s.unacknowledged(args[2]) == 0 })
	stop()
	got := <-watched
	if got.code != 0 || strings.Count(got.out, "new-") != batch.Total || strings.Contains(got.out, "n-000") {
		t.Errorf("the first saw %+v", got)
	}
}

// unacknowledged counts what the consumers of a route still have to take.
func (s *stage) unacknowledged(route string) int {
	s.Helper()
	return unacknowledged(s.T, s.Conn, publish.ResultFilter("", route, ""))
}

func TestResultsInBothFormats(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.work(nil)
	batch := s.settle(s.enqueue(5, func(i int, r *jobs.Request) {
		if i == 3 {
			r.Body = json.RawMessage(`{"messages":[{"role":"nobody","content":"Hear me."}]}`)
		}
	}))
	lines := decodeLines[outputLine](t, s.must("results", batch.ID).out)
	if len(lines) != 5 || lines[4].CustomID != "n-004" || lines[3].Response.StatusCode != 400 || lines[0].Response.StatusCode != 200 {
		t.Errorf("OpenAI's: %+v", lines)
	}
	whole := decodeLines[publish.ResultBody](t, s.must("results", batch.ID, "--json").out)
	if len(whole) != 5 || whole[3].State != jobs.StateRefused || whole[3].Error.Class != jobs.BadRequest || whole[0].CostMicroUSD == nil || *whole[0].CostMicroUSD <= 0 || whole[0].Target != "sim-cheap" {
		t.Errorf("whole: %+v", whole)
	}
	one := decodeLines[publish.ResultBody](t, s.must("results", whole[1].RequestID, "--json").out)
	if len(one) != 1 || one[0].RequestID != whole[1].RequestID {
		t.Errorf("one: %+v", one)
	}
	for _, c := range []struct {
		args  []string
		count int
	}{
		{[]string{"--state", "refused"}, 1},
		{[]string{"--state", "answered", "--limit", "2"}, 2},
		{[]string{"--route", summaries, "--since", "10m"}, 5},
		{[]string{"--tenant", "nobody"}, 0},
	} {
		if got := decodeLines[outputLine](t, s.must(append([]string{"results"}, c.args...)...).out); len(got) != c.count {
			t.Errorf("%v: %d results", c.args, len(got))
		}
	}
	output := filepath.Join(t.TempDir(), "out.jsonl")
	s.must("results", batch.ID, "-o", output)
	if text, err := os.ReadFile(output); err != nil || len(decodeLines[outputLine](t, string(text))) != 5 {
		t.Errorf("%v: %s", err, text)
	}
	before, _ := s.events()
	if got := s.must("results", batch.ID, "--republish"); !strings.Contains(got.out, "5 events") {
		t.Error(got.out)
	}
	s.settle(batch)
	if after, _ := s.events(); len(after) != len(before) {
		t.Errorf("published again at once, %d events became %d: the ids are not the same", len(before), len(after))
	}
}

func TestCancelEndsWhatWaits(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	single := s.enqueue(3, nil)
	whole := s.enqueue(5, func(i int, r *jobs.Request) { r.Body = body(100 + i) })
	var id string
	check(t, s.Pool.QueryRow(t.Context(), "SELECT id::text FROM tidegate.requests WHERE batch_id = $1 AND custom_id = 'n-001'", single.ID).Scan(&id))
	if got := s.must("cancel", whole.ID, id, whole.ID, id); got.out != whole.ID+": cancelled 5\n"+id+": cancelled 1\n" {
		t.Error(got.out)
	}
	again := lastLine[struct {
		Cancelled map[string]int `json:"cancelled"`
	}](t, s.must("cancel", whole.ID, id, "--json").out)
	if again.Cancelled[whole.ID] != 0 || again.Cancelled[id] != 0 || len(again.Cancelled) != 2 {
		t.Errorf("once more: %+v", again)
	}
	s.work(nil)
	whole, single = s.settle(whole), s.settle(single)
	if whole.State != jobs.BatchCancelled || whole.Failed != 5 || single.State != jobs.BatchCompleted || single.Completed != 2 || single.Failed != 1 {
		t.Errorf("%+v\n%+v", whole, single)
	}
	if calls := s.sim.Calls("*").Total; calls != 2 {
		t.Errorf("%d calls were made for 2 requests that were not cancelled", calls)
	}
	results, batches := s.events()
	if len(results) != 8 || len(batches) != 2 {
		t.Errorf("%d events, %d of batches", len(results), len(batches))
	}
	s.noneBurned()
	if lines := decodeLines[outputLine](t, s.must("results", whole.ID).out); len(lines) != 5 || lines[0].Error == nil || lines[0].Error.Code != "batch_cancelled" {
		t.Errorf("%+v", lines)
	}
}

func TestStatusShowsAnOutage(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{config: func(c *config.Config) {
		for i := range c.Targets {
			c.Targets[i].Circuit.Cooldown = time.Minute // a probe that fails meanwhile would be another reason
		}
	}})
	crew := s.work(nil)
	s.settle(s.enqueue(4, nil))
	s.down("*", simulator.Fault{Mode: simulator.Unavailable})
	s.enqueue(20, func(i int, r *jobs.Request) { r.Body = body(100 + i) })
	fixture.Await(t, soon, "all circuits are known to be open, and NATS was told", func() bool {
		return crew.Worker.Waiting(summaries) > 0 && s.count("SELECT count(*) FROM tidegate.circuits WHERE state <> 'closed'") == 3 &&
			s.count("SELECT count(*) FROM tidegate.outbox") == 0
	})
	text := s.must("status").out
	for _, says := range []string{"ROUTE", summaries, "holds", "no target of its chain may be called", "TARGET", "sim-cheap", "failures in a row", "BATCH", "in_progress", "completed", "4 answered", "Owed to NATS: nothing"} {
		if !strings.Contains(text, says) {
			t.Errorf("it does not say %q:\n%s", says, text)
		}
	}
	status := lastLine[statusView](t, s.must("status", "--json").out)
	if len(status.Routes) != 1 || status.Routes[0].State != "holds" || status.Routes[0].Waiting+status.Routes[0].InHand != 20 || len(status.Targets) != 3 ||
		status.Targets[0].Circuit == jobs.CircuitClosed || status.Targets[0].Reason == "" || len(status.Batches) != 2 || status.Results["answered"] != 4 {
		t.Errorf("%+v", status)
	}
}

// A statusView is what status --json and /v1/status say, in part.
type statusView struct {
	Routes []struct {
		Route   string
		State   string
		Waiting int
		InHand  int `json:"in_hand"`
	}
	Targets []struct {
		Target, Reason string
		Circuit        jobs.CircuitState
	}
	Batches []struct {
		ID    string
		Total int
	}
	Results map[string]int `json:"results_last_minute"`
	Outbox  *int
}

func TestMigrateBringsADatabaseUpToDate(t *testing.T) {
	t.Parallel()
	url := fixture.EmptyDatabase(t)
	conf := write(t, "tidegate.yaml", config.DefaultSimulated("http://127.0.0.1:9").String())
	run := func(args ...string) said {
		return tidegate(t, append([]string{"migrate", "--database-url", url, "--config", conf}, args...)...)
	}
	if got := run("--check"); got.code != 1 || !strings.Contains(got.out, "missing") {
		t.Errorf("before: %+v", got)
	}
	if got := tidegate(t, "work", "--database-url", url, "--config", conf, "--nats-url", "nats://127.0.0.1:9"); got.code != 1 || !strings.Contains(got.errors, "tidegate migrate") {
		t.Errorf("a worker before: %+v", got)
	}
	if got := run(); got.code != 0 || !strings.Contains(got.out, "applied") {
		t.Errorf("migrate: %+v", got)
	}
	if got := run(); got.code != 0 || !strings.Contains(got.out, "up to date") {
		t.Errorf("once more: %+v", got)
	}
	if got := run("--check", "--json"); got.code != 0 || len(lastLine[map[string][]string](t, got.out)["pending"]) != 0 {
		t.Errorf("after: %+v", got)
	}
	if got := tidegate(t, "enqueue", write(t, "in.jsonl", openaiLine(0)), "--database-url", url); got.code != 0 {
		t.Errorf("producers do not know the routes: %+v", got)
	}
}

// TestDoctorTellsOfAStreamThatTakesLittle: answers will be missing in events,
// and subscribers should know before.
func TestDoctorTellsOfAStreamThatTakesLittle(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	js, err := jetstream.New(s.Conn)
	check(t, err)
	stream, err := publish.EnsureStream(t.Context(), js, 0)
	check(t, err)
	if got := s.must("doctor"); strings.Contains(got.out, "as references") {
		t.Errorf("it takes a whole MiB:\n%s", got.out)
	}
	little := stream.CachedInfo().Config
	little.MaxMsgSize = 16 << 10
	_, err = js.UpdateStream(t.Context(), little)
	check(t, err)
	for _, says := range []string{"16384 bytes at most", "as references", "max_payload"} {
		if got := s.must("doctor"); !strings.Contains(got.out, says) {
			t.Errorf("it does not say %q:\n%s", says, got.out)
		}
	}
}

func TestDoctorFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.work(nil)
	s.settle(s.enqueue(1, nil))
	conf := write(t, "tidegate.yaml", s.config.String())
	got := s.must("doctor", "--config", conf, "--call")
	for _, says := range []string{"configuration", "3 targets, 1 route\n", "postgres", "up to date", "nats", "with JetStream", "sim-cheap", "answered"} {
		if !strings.Contains(got.out, says) {
			t.Errorf("it does not say %q:\n%s", says, got.out)
		}
	}
	if strings.Contains(got.out, "WRONG") {
		t.Errorf("nothing is wrong:\n%s", got.out)
	}
	dead := write(t, "dead.yaml", config.DefaultSimulated("http://127.0.0.1:9").String())
	got = tidegate(t, "doctor", "--json", "--config", dead, "--database-url", "postgres://me:canary@127.0.0.1:9/db", "--nats-url", "nats://me:canary@127.0.0.1:9")
	found := lastLine[struct {
		Findings []struct{ About, Level, Remedy string }
	}](t, got.out)
	wrong := map[string]bool{}
	for _, f := range found.Findings {
		if f.Level == "wrong" {
			wrong[f.About] = f.Remedy != ""
		}
	}
	for _, about := range []string{"postgres", "nats", "sim-cheap", "sim-fast", "sim-dear"} {
		if !wrong[about] {
			t.Errorf("it does not say what is wrong with %s and what to do:\n%s", about, got.out)
		}
	}
	if got.code != 1 || strings.Contains(got.out+got.errors, "canary") {
		t.Errorf("exit code %d\n%s%s", got.code, got.out, got.errors)
	}
}

func TestInitWritesAConfiguration(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mine.yaml")
	if got := tidegate(t, "init", path); got.code != 0 || !strings.Contains(got.out, "tidegate doctor --config "+path) {
		t.Errorf("%+v", got)
	}
	if got := tidegate(t, "init", path); got.code != 1 || !strings.Contains(got.errors, "--force") {
		t.Errorf("a second time: %+v", got)
	}
	text, err := os.ReadFile(path)
	check(t, err)
	if got := tidegate(t, "init", "-"); got.code != 0 || got.out != string(text) {
		t.Errorf("on standard output it is another text: %+v", got)
	}
	if got := tidegate(t, "enqueue", write(t, "in.jsonl", openaiLine(0)), "--dry-run", "--config", path); got.code != 0 {
		t.Errorf("the file is not taken: %+v", got)
	}
}

// TestEveryCommandHelps: each explains itself, with an example that begins with
// the program and names flags that it has.
func TestEveryCommandHelps(t *testing.T) {
	t.Parallel()
	for _, command := range commandsOf(app.New()) {
		path := command.CommandPath()
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			got := tidegate(t, append(strings.Fields(path)[1:], "--help")...)
			if got.code != 0 || !strings.Contains(got.out, "Examples:") || !strings.Contains(got.out, "Usage:") || got.errors != "" {
				t.Errorf("%+v", got)
			}
			if command.Short == "" || len(command.Long) <= len(command.Short) {
				t.Errorf("it says too little of itself: %q", command.Long)
			}
			checkExamples(t, path, command.Example)
		})
	}
}

// commandsOf lists the commands of a command, and theirs.
func commandsOf(parent *cobra.Command) (all []*cobra.Command) {
	for _, command := range parent.Commands() {
		if !command.Hidden && command.Name() != "help" && command.Name() != "completion" && !command.IsAdditionalHelpTopicCommand() {
			all = append(append(all, command), commandsOf(command)...)
		}
	}
	return all
}

// shellWords are the words of a line as a shell has them, up to a comment, another command
// or a redirection.
func shellWords(line string) (words []string) {
	var word strings.Builder
	quote, in := rune(0), false
	for _, c := range line {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '"' || c == '\'':
			quote, in = c, true
		case strings.ContainsRune(" \n", c):
			if in {
				words = append(words, word.String())
			}
			word.Reset()
			in = false
		case c == ')', !in && strings.ContainsRune("#&;<>", c):
			if in {
				words = append(words, word.String())
			}
			return words
		default:
			word.WriteRune(c)
			in = true
		}
	}
	if in {
		words = append(words, word.String())
	}
	return words
}

var flagForm = regexp.MustCompile(`(?:^|\s)--([a-z][a-z0-9-]*)`)

func checkExamples(t *testing.T, path, example string) {
	t.Helper()
	if !strings.Contains(example, path) {
		t.Errorf("its example does not run it: %q", example)
	}
	for line := range strings.Lines(example) {
		line, _, _ = strings.Cut(line, "|")
		_, run, found := strings.Cut(line, "tidegate ")
		if !found {
			continue
		}
		command, _, err := app.New().Find(strings.Fields(run)) // a command of its own, in the example of its parent
		check(t, err)
		for _, found := range flagForm.FindAllStringSubmatch(line, -1) {
			if command.Flag(found[1]) == nil && command.InheritedFlags().Lookup(found[1]) == nil {
				t.Errorf("%s has no flag --%s: %s", command.CommandPath(), found[1], line)
			}
		}
		words := shellWords(run)
		err = command.ParseFlags(words[strings.Count(command.CommandPath(), " "):])
		check(t, err)
		if err := command.ValidateArgs(command.Flags().Args()); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}
