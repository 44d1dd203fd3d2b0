package queue_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"tidegate/jobs"
	"tidegate/jobs/queue"
	"tidegate/store"
)

// upload writes a file as its sender's HTTP request does.
func (w *world) upload(content string) jobs.File {
	w.t.Helper()
	file := jobs.File{ID: store.NewFileID(), Tenant: "acme", Purpose: jobs.PurposeBatch, Name: "in.jsonl", Bytes: int64(len(content))}
	if err := w.store.NewFile(w.t.Context(), file); err != nil {
		w.t.Fatal(err)
	}
	for at := 0; at < len(content); at += 100 {
		if err := w.store.AppendPiece(w.t.Context(), file.ID, int64(at), []byte(content[at:min(len(content), at+100)])); err != nil {
			w.t.Fatal(err)
		}
	}
	file, err := w.store.FinishFile(w.t.Context(), file)
	if err != nil {
		w.t.Fatal(err)
	}
	return file
}

// order makes a batch of a file with such content.
func (w *world) order(content string, change ...func(*jobs.BatchOrder)) jobs.Batch {
	w.t.Helper()
	now := time.Now().Truncate(time.Microsecond)
	batch := jobs.Batch{
		ID: "batch_" + strings.ReplaceAll(uuid.Must(uuid.NewV7()).String(), "-", ""), Tenant: "acme", CreatedAt: now,
		Order: &jobs.BatchOrder{InputFile: w.upload(content).ID, Endpoint: "/v1/chat/completions", Window: "24h", ExpiresAt: now.Add(24 * time.Hour), Route: "summaries"},
	}
	for _, c := range change {
		c(batch.Order)
	}
	made, err := w.store.CreateBatch(w.t.Context(), batch, jobs.BudgetLimits{}, store.Once{})
	if err != nil {
		w.t.Fatal(err)
	}
	return made
}

func (w *world) keeper() *queue.Keeper { return &queue.Keeper{Queue: w.Queue, Store: w.store} }

// keep has a Keeper see to a batch, and returns it.
func (w *world) keep(id string) jobs.Batch {
	w.t.Helper()
	if err := w.keeper().Keep(w.t.Context(), id); err != nil {
		w.t.Fatal(err)
	}
	return w.batch(id)
}

func (w *world) batch(id string) jobs.Batch {
	w.t.Helper()
	batch, err := w.store.Batch(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return batch
}

// answer has the requests of a batch that have no result answered or refused, as a
// worker does: every third is refused.
func (w *world) answer(id string, most int) (n int) {
	w.t.Helper()
	rows, err := w.pool.Query(w.t.Context(), `SELECT id::text FROM tidegate.requests q WHERE batch_id = $1
		AND NOT EXISTS (SELECT FROM tidegate.results r WHERE r.request_id = q.id) ORDER BY id LIMIT $2`, id, most)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	var entries []jobs.Entry
	for rows.Next() {
		var request string
		if err := rows.Scan(&request); err != nil {
			w.t.Fatal(err)
		}
		result := &jobs.Result{
			ID: uuid.NewString(), RequestID: request, State: jobs.StateAnswered, Status: 200, Body: []byte(`{"object":"chat.completion"}`),
			Usage: jobs.Usage{Input: 10, Output: 3}, Cost: 7,
		}
		if len(entries)%3 == 2 {
			*result = jobs.Result{ID: result.ID, RequestID: request, State: jobs.StateRefused, Status: 400, Class: jobs.BadRequest, Message: "no"}
		}
		entries = append(entries, jobs.Entry{Request: &jobs.Request{ID: request, BatchID: id}, Result: result})
	}
	if _, _, err := w.store.Commit(w.t.Context(), entries); err != nil {
		w.t.Fatal(err)
	}
	return len(entries)
}

// lines reads a file of a batch; empty: there is none.
func (w *world) lines(id string) []string {
	w.t.Helper()
	if id == "" {
		return nil
	}
	file, err := w.store.File(w.t.Context(), "acme", id)
	if err != nil {
		w.t.Fatal(err)
	}
	content, err := io.ReadAll(w.store.OpenFile(w.t.Context(), file, 0))
	if err != nil || int64(len(content)) != file.Bytes {
		w.t.Fatalf("%d bytes of %d, %v", len(content), file.Bytes, err)
	}
	return strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
}

func customIDs(t *testing.T, lines []string) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	for _, line := range lines {
		var read struct {
			CustomID string `json:"custom_id"`
		}
		if err := json.Unmarshal([]byte(line), &read); err != nil || ids[read.CustomID] {
			t.Errorf("%s: %v, or it is there twice", line, err)
		}
		ids[read.CustomID] = true
	}
	return ids
}

func inputLines(n int) string {
	var all strings.Builder
	for i := range n {
		fmt.Fprintf(&all, `{"custom_id":"c%d","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[{"role":"user","content":"%d"}]}}`+"\n", i, i)
	}
	return all.String()
}

func TestBatchOfAFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const total = 2500
	id := w.order(inputLines(total)).ID
	batch := w.keep(id)
	if batch.State != jobs.BatchInProgress || batch.Total != total || batch.Order.Model != "m" || batch.Order.InProgressAt.IsZero() || batch.Order.OutputFile != "" {
		t.Fatalf("enqueued: %+v %+v", batch, batch.Order)
	}
	if n := w.number("SELECT count(*) FROM tidegate.river_job WHERE queue = 'summaries' AND state = 'available'"); n != total {
		t.Errorf("%d jobs", n)
	}
	w.answer(id, total)
	if batch = w.batch(id); batch.State != jobs.BatchFinalizing || !batch.EndedAt.IsZero() || batch.Order.OutputFile != "" {
		t.Fatalf("all have results: %+v", batch)
	}
	if n := w.number("SELECT count(*) FROM tidegate.river_job WHERE queue = 'tidegate-batches' AND args->>'b' = $1", id); n != 2 {
		t.Errorf("%d jobs work on it", n)
	}
	batch = w.keep(id)
	if batch.State != jobs.BatchCompleted || batch.EndedAt.IsZero() || batch.Completed+batch.Failed != total {
		t.Fatalf("at its end: %+v", batch)
	}
	if want := (jobs.Usage{Input: 10 * batch.Completed, Output: 3 * batch.Completed}); batch.Order.Usage != want {
		t.Errorf("usage %+v", batch.Order.Usage)
	}
	answered, refused := customIDs(t, w.lines(batch.Order.OutputFile)), customIDs(t, w.lines(batch.Order.ErrorFile))
	if len(answered) != batch.Completed || len(refused) != batch.Failed {
		t.Errorf("%d and %d lines of %d and %d", len(answered), len(refused), batch.Completed, batch.Failed)
	}
	if n := w.number("SELECT count(*) FROM tidegate.outbox WHERE batch_id = $1 AND batch_state = 'completed'", id); n != 1 {
		t.Errorf("%d events of its end", n)
	}
	var said []jobs.BatchOrder
	if _, err := w.store.Relay(t.Context(), 0, 2*total, func(events []jobs.Event) ([]bool, error) {
		for _, event := range events {
			if event.Batch != nil && event.Batch.State == jobs.BatchCompleted {
				said = append(said, *event.Batch.Order)
			}
		}
		return make([]bool, len(events)), nil
	}); err != nil {
		t.Fatal(err)
	}
	want := jobs.BatchOrder{InputFile: batch.Order.InputFile, OutputFile: batch.Order.OutputFile, ErrorFile: batch.Order.ErrorFile}
	if diff := cmp.Diff([]jobs.BatchOrder{want}, said); diff != "" || want.OutputFile == "" || want.ErrorFile == "" {
		t.Errorf("its event says (-want +got):\n%s", diff)
	}
}

func TestFaultsOfABatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const line = `{"custom_id":"%s","method":"POST","url":"/v1/chat/completions","body":{"messages":[{"role":"user","content":"hi"}]}}` + "\n"
	good := fmt.Sprintf(line, "a")
	for _, c := range []struct {
		name, content string
		want          jobs.BatchFault
	}{
		{"nothing", "\n\n", jobs.BatchFault{Code: "empty_file", Param: "input_file_id"}},
		{"not JSON", good + "{\n", jobs.BatchFault{Code: jobs.CodeNotJSON, Line: 2}},
		{"twice", good + "\n" + good, jobs.BatchFault{Code: jobs.CodeDuplicateID, Param: "custom_id", Line: 3}},
		{"no custom_id", strings.Replace(good, `"custom_id":"a",`, "", 1), jobs.BatchFault{Code: jobs.CodeMissing, Param: "custom_id", Line: 1}},
		{"another URL", strings.Replace(good, "completions", "completion", 1), jobs.BatchFault{Code: jobs.CodeBadURL, Param: "url", Line: 1}},
		{"method", strings.Replace(good, "POST", "GET", 1), jobs.BatchFault{Code: jobs.CodeBadLine, Param: "method", Line: 1}},
		{"a route that is not there", strings.Replace(good, `"custom_id"`, `"route":"nowhere","custom_id"`, 1), jobs.BatchFault{Code: jobs.CodeBadLine, Param: "route", Line: 1}},
		{"NUL", strings.Replace(good, `"a"`, `"\u0000"`, 1), jobs.BatchFault{Code: jobs.CodeBadLine, Param: "custom_id", Line: 1}},
		{"gzip", "\x1f\x8b\x08", jobs.BatchFault{Code: jobs.CodeNotJSON, Line: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			batch := w.keep(w.order(c.content).ID)
			if batch.State != jobs.BatchFailed || batch.Total != 0 || batch.EndedAt.IsZero() || len(batch.Order.Faults) != 1 {
				t.Fatalf("it is %+v %+v", batch, batch.Order)
			}
			got := batch.Order.Faults[0]
			if got.Message == "" {
				t.Error("no message")
			}
			got.Message = ""
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if n := w.number("SELECT count(*) FROM tidegate.requests"); n != 0 {
		t.Errorf("%d requests of files that are wrong", n)
	}
}

// A Keeper that is killed is followed by another one, wherever it was.
func TestBatchIsGoneOnWith(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const total = 3200
	id := w.order(inputLines(total)).ID
	for round, states := 0, map[jobs.BatchState]int{}; ; round++ {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(round*round)*time.Millisecond)
		err := w.keeper().Keep(ctx, id)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Logf("round %d: %v", round, err) // whatever pgx says of the end of a context
		}
		batch := w.batch(id)
		states[batch.State]++
		if batch.State == jobs.BatchInProgress && err == nil {
			w.answer(id, total)
		}
		if batch.Ended() {
			break
		}
	}
	batch := w.batch(id)
	lines := append(w.lines(batch.Order.OutputFile), w.lines(batch.Order.ErrorFile)...)
	if len(customIDs(t, lines)) != total || batch.State != jobs.BatchCompleted || batch.Completed+batch.Failed != total {
		t.Errorf("%d lines, %+v", len(lines), batch)
	}
	if n := w.number("SELECT count(*) FROM tidegate.river_job WHERE kind = 'completion'"); n != total {
		t.Errorf("%d jobs", n)
	}
}

func TestBatchThatIsCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const total = 1500
	cancel := func(id string) {
		if err := w.store.StartCancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("before its lines were read", func(t *testing.T) {
		id := w.order(inputLines(3)).ID
		cancel(id)
		if batch := w.keep(id); batch.State != jobs.BatchCancelled || batch.Total != 0 || batch.EndedAt.IsZero() || batch.Order.OutputFile != "" || batch.Order.ErrorFile != "" {
			t.Errorf("it is %+v %+v", batch, batch.Order)
		}
	})
	t.Run("before all were enqueued", func(t *testing.T) {
		id := w.order(inputLines(total)).ID
		if err := w.store.BeginBatch(t.Context(), id, total, "m"); err != nil {
			t.Fatal(err)
		}
		before := w.number("SELECT count(*) FROM tidegate.river_job WHERE kind = 'completion'")
		cancel(id)
		batch := w.keep(id)
		if batch.State != jobs.BatchCancelled || batch.Failed != total || len(w.lines(batch.Order.ErrorFile)) != total || batch.Order.CancellingAt.IsZero() {
			t.Errorf("it is %+v %+v", batch, batch.Order)
		}
		if n := w.number("SELECT count(*) FROM tidegate.river_job WHERE kind = 'completion'"); n != before {
			t.Errorf("%d jobs more", n-before)
		}
	})
	t.Run("in the middle", func(t *testing.T) {
		id := w.order(inputLines(total)).ID
		w.keep(id)
		w.answer(id, 600)
		cancel(id)
		batch := w.keep(id)
		if batch.State != jobs.BatchCancelled || batch.Completed != 400 || batch.Failed != total-400 || len(w.lines(batch.Order.OutputFile)) != 400 {
			t.Errorf("it is %+v", batch)
		}
	})
	t.Run("at its end", func(t *testing.T) {
		id := w.order(inputLines(2)).ID
		w.keep(id)
		w.answer(id, 2)
		cancel(id)
		if batch := w.keep(id); batch.State != jobs.BatchCompleted {
			t.Errorf("it is %+v", batch)
		}
	})
}

// A route that is gone when its lines are enqueued loses none of them.
func TestRouteThatGoesMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.order(inputLines(2) + strings.ReplaceAll(inputLines(1), `"custom_id":"c0"`, `"custom_id":"x","route":"labels"`)).ID
	if err := w.store.BeginBatch(t.Context(), id, 3, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.RetireRoute(t.Context(), "labels"); err != nil {
		t.Fatal(err)
	}
	if batch := w.keep(id); batch.State != jobs.BatchInProgress || batch.Failed != 1 {
		t.Fatalf("it is %+v", batch)
	}
	w.answer(id, 2)
	batch := w.keep(id)
	if lines := w.lines(batch.Order.ErrorFile); len(lines) != 1 || !strings.Contains(lines[0], "labels") || batch.State != jobs.BatchCompleted {
		t.Errorf("%+v, %s", batch, lines)
	}
}

func TestFileInUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	batch := w.order(inputLines(2))
	if err := w.store.DeleteFile(t.Context(), "acme", batch.Order.InputFile); !errors.Is(err, jobs.ErrFileInUse) {
		t.Errorf("while it is validating: %v", err)
	}
	if err := w.store.DeleteFile(t.Context(), "umbrella", batch.Order.InputFile); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another tenant: %v", err)
	}
	w.keep(batch.ID)
	if err := w.store.DeleteFile(t.Context(), "acme", batch.Order.InputFile); err != nil {
		t.Errorf("when it was read: %v", err)
	}
}

// What is asked for again is made once.
func TestBatchIsCreatedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.order(inputLines(1))
	create := func(once store.Once) (string, error) {
		again := first
		again.ID = "batch_" + strings.ReplaceAll(uuid.Must(uuid.NewV7()).String(), "-", "")
		made, err := w.store.CreateBatch(t.Context(), again, jobs.BudgetLimits{}, once)
		return made.ID, err
	}
	once := store.Once{Key: "k", Hash: [32]byte{1}, Within: time.Hour}
	a, err := create(once)
	if err != nil {
		t.Fatal(err)
	}
	once.Repeated = true
	if b, err := create(once); err != nil || b != a {
		t.Errorf("repeated: %s for %s, %v", b, a, err)
	}
	once.Hash[0]++
	if _, err := create(once); !errors.Is(err, store.ErrKeyReused) {
		t.Errorf("something else: %v", err)
	}
	once.Hash[0], once.Within = 1, 0
	if b, err := create(once); err != nil || b == a {
		t.Errorf("long ago: %s, %v", b, err)
	}
}

// A file may have so many requests, and embed so many texts, and the line is told at
// which there are more; and so it is of what only the queue finds wrong.
func TestTooMuchOfABatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.announce(jobs.Route{Name: "summaries", Goal: "ordered", Endpoints: jobs.EndpointSetOf(jobs.EndpointChat, jobs.EndpointEmbeddings)})
	line := func(of jobs.Endpoint, n int, body, more string) string {
		return fmt.Sprintf(`{"custom_id":"n-%d","method":"POST","url":%q,"body":%s%s}`+"\n", n, of, body, more)
	}
	many := `{"input":[` + strings.TrimSuffix(strings.Repeat(`"a",`, 2048), ",") + `]}`
	lines := func(n int, one func(int) string) string {
		var all strings.Builder
		for i := range n {
			all.WriteString(one(i))
		}
		return all.String()
	}
	vectors := func(i int) string { return line(jobs.EndpointEmbeddings, i, many, "") }
	chats := func(i int) string { return line(jobs.EndpointChat, i, `{"messages":[{}]}`, "") }
	for name, c := range map[string]struct {
		of      jobs.Endpoint
		content string
		most    int
		want    jobs.BatchFault // without its message; zero: it is taken
	}{
		"as many inputs as may be": {jobs.EndpointEmbeddings, lines(24, vectors), 30, jobs.BatchFault{}},
		"more inputs":              {jobs.EndpointEmbeddings, lines(26, vectors), 30, jobs.BatchFault{Code: "too_many_tasks", Param: "body.input", Line: 25}},
		"more, as may be":          {jobs.EndpointEmbeddings, lines(26, vectors), 60_000, jobs.BatchFault{}},
		"as many requests":         {jobs.EndpointChat, lines(3, chats), 3, jobs.BatchFault{}},
		"more requests":            {jobs.EndpointChat, lines(4, chats), 3, jobs.BatchFault{Code: "too_many_tasks", Line: 4}},
		"a schema that is none":    {jobs.EndpointChat, "\n" + line(jobs.EndpointChat, 1, `{"messages":[{}]}`, `,"expect":{"json_schema":{"type":7}}`), 3, jobs.BatchFault{Code: jobs.CodeBadLine, Line: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			keeper := w.keeper()
			keeper.MaxLines = c.most
			id := w.order(c.content, func(o *jobs.BatchOrder) { o.Endpoint = c.of.String() }).ID
			if err := keeper.Keep(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			batch := w.batch(id)
			if c.want == (jobs.BatchFault{}) {
				if batch.State != jobs.BatchInProgress {
					t.Errorf("it is %s: %+v", batch.State, batch.Order.Faults)
				}
				return
			}
			if batch.State != jobs.BatchFailed || len(batch.Order.Faults) != 1 || batch.Order.Faults[0].Message == "" {
				t.Fatalf("it is %s: %+v", batch.State, batch.Order.Faults)
			}
			got := batch.Order.Faults[0]
			got.Message = ""
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
