package queue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"tidegate/jobs"
	"tidegate/jobs/queue"
)

func doorLine(n int, more string) string {
	return fmt.Sprintf(`{"custom_id":"n-%d","route":"summaries"%s,"body":{"messages":[{"role":"user","content":"hi"}]}}`, n, more)
}

func doorLines(n int) string {
	var all strings.Builder
	for i := range n {
		all.WriteString(doorLine(i, "") + "\n")
	}
	return all.String()
}

// One line is a request, several are a batch in their order; each as `enqueue` takes it.
func TestDoorTakes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	door := queue.NewDoor(w.Queue, []string{"ordered", "cost"})
	ctx := t.Context()
	one, err := door.Take(ctx, "acme", "", []byte(doorLine(1, `,"goal":"cost","priority":1,"metadata":{"a":"b"},"max_cost_usd":0.5`)+"\n\n"))
	if err != nil || one.ID == "" || !slices.Equal(one.IDs, []string{one.ID}) || one.BatchID != "" || one.Duplicate {
		t.Fatalf("%+v, %v", one, err)
	}
	if r := w.load(one.ID); r.Tenant != "acme" || r.CustomID != "n-1" || r.Goal != "cost" || r.Priority != 1 || r.Metadata["a"] != "b" || r.MaxCost != 500_000 || r.Deadline.IsZero() || r.BatchID != "" {
		t.Errorf("it was taken as %+v", r)
	}
	const n = 2500 // of several portions
	many, err := door.Take(ctx, "acme", "", []byte(doorLines(n)))
	if err != nil || many.ID != many.BatchID || len(many.IDs) != n || many.Duplicate {
		t.Fatalf("%s, %d ids, %v", many.ID, len(many.IDs), err)
	}
	for _, i := range []int{0, 999, 1000, n - 1} {
		if r := w.load(many.IDs[i]); r.CustomID != fmt.Sprintf("n-%d", i) || r.BatchID != many.BatchID {
			t.Errorf("id %d is of %s, of batch %q", i, r.CustomID, r.BatchID)
		}
	}
	w.stands("after both", n+1, 1)
	if total := w.number("SELECT total FROM tidegate.batches WHERE tenant = 'acme' AND state = 'in_progress'"); total != n {
		t.Errorf("the batch is of %d", total)
	}
}

// What comes again under its id gets the answer of the first time, also when all come
// at once; another tenant's id is another one.
func TestDoorTakesOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	door := queue.NewDoor(w.Queue, nil)
	for _, lines := range []string{doorLine(1, ""), doorLines(3)} {
		key := fmt.Sprint("k", len(lines))
		answers := make([]jobs.Accepted, 20)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() {
				var err error
				if answers[i], err = door.Take(t.Context(), "acme", key, []byte(lines)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		first := 0
		for _, a := range answers {
			if !a.Duplicate {
				first++
			}
			if a.ID != answers[0].ID || !slices.Equal(a.IDs, answers[0].IDs) || a.BatchID != answers[0].BatchID {
				t.Errorf("%+v and %+v", a, answers[0])
			}
		}
		if first != 1 {
			t.Errorf("%d of them were the first", first)
		}
		other, err := door.Take(t.Context(), "umbrella", key, []byte(lines))
		if err != nil || other.Duplicate || other.ID == answers[0].ID {
			t.Errorf("of another tenant: %+v, %v", other, err)
		}
		_ = expectCode(t, second(door.Take(t.Context(), "acme", key, []byte(doorLine(9, "")))), 409, "idempotency_key_reused", "Nats-Msg-Id")
	}
	w.stands("after all", 2*4, 2)
}

// What comes again is known before it is looked at: a deadline, a route or a goal that
// was right the first time may not be right any more.
func TestDoorKnowsWhatIsWrongByNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	door := queue.NewDoor(w.Queue, []string{"ordered"})
	for _, n := range []int{1, 3} {
		lines := []byte(strings.ReplaceAll(doorLines(n), "summaries", "labels"))
		key := fmt.Sprint("k", n)
		w.announce(jobs.Route{Name: "summaries", Goal: "ordered"}, jobs.Route{Name: "labels", Goal: "ordered"})
		first, err := door.Take(t.Context(), "acme", key, lines)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.store.RetireRoute(t.Context(), "labels"); err != nil {
			t.Fatal(err)
		}
		later := queue.NewDoor(newQueue(t, w), []string{"ordered"})
		again, err := later.Take(t.Context(), "acme", key, lines)
		if err != nil || again.ID != first.ID || again.BatchID != first.BatchID || !slices.Equal(again.IDs, first.IDs) || !again.Duplicate {
			t.Errorf("%+v came again as %+v, %v", first, again, err)
		}
		_ = expectCode(t, second(later.Take(t.Context(), "acme", "new "+key, lines)), 400, jobs.CodeBadLine, "route")
		_ = expectCode(t, second(later.Take(t.Context(), "acme", key, []byte("no JSON"))), 409, "idempotency_key_reused", "Nats-Msg-Id")
	}
	w.stands("after all", 4, 1)
}

// newQueue is one that remembers nothing.
func newQueue(t *testing.T, w *world) *queue.Queue {
	t.Helper()
	q, err := queue.New(w.pool)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func second[T any](_ T, err error) error { return err }

func expectCode(t *testing.T, err error, status int, code, param string) *jobs.IntakeError {
	t.Helper()
	var fault *jobs.IntakeError
	if !errors.As(err, &fault) {
		t.Fatalf("it says %v", err)
	}
	if fault.Status != status || *fault.Code != code || param != deref(fault.Param) {
		t.Errorf("it says %d, %s, %q: %s", fault.Status, *fault.Code, deref(fault.Param), fault.Message)
	}
	return fault
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// What is wrong is said with its line, its field and the remedy, and then nothing was
// accepted.
func TestDoorRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	door := queue.NewDoor(w.Queue, []string{"ordered"})
	for name, c := range map[string]struct {
		lines, code, param, says string
	}{
		"nothing":            {"\n\n", "empty_batch", "", "not one request"},
		"no JSON":            {"hello", "invalid_json_line", "", "line 1"},
		"the third line":     {doorLines(2) + doorLine(7, `,"deadline":"2001-01-01T00:00:00Z"`), jobs.CodeBadLine, "deadline", "line 3: deadline: "},
		"twice one name":     {doorLine(1, "") + "\n" + doorLine(1, ""), jobs.CodeDuplicateID, "custom_id", "line 2"},
		"an unknown field":   {doorLine(1, `,"rout":"x"`), jobs.CodeBadLine, "rout", "rout"},
		"another tenant":     {doorLine(1, `,"tenant":"umbrella"`), jobs.CodeBadLine, "tenant", "umbrella"},
		"no route":           {`{"body":{"messages":[{"role":"user","content":"hi"}]}}`, jobs.CodeBadLine, "route", "there are: labels, summaries"},
		"a route of nobody":  {`{"route":"nowhere","body":{"messages":[{"role":"user","content":"hi"}]}}`, jobs.CodeBadLine, "route", "there are: labels, summaries"},
		"a goal of nobody":   {doorLine(1, `,"goal":"luck"`), jobs.CodeBadLine, "optimization_goal", "there are: ordered"},
		"no schema":          {doorLine(1, `,"expect":{"json_schema":{"type":"no"}}`), jobs.CodeBadLine, "expect.json_schema", ""},
		"a NUL":              {doorLine(1, `,"metadata":{"a":"\u0000"}`), jobs.CodeBadLine, "metadata", "NUL"},
		"an endpoint":        {`{"url":"/v1/embeddings","route":"summaries","body":{"model":"m","input":"hi"}}`, jobs.CodeBadURL, "url", "summaries"},
		"too many":           {doorLines(queue.MaxDoorLines + 1), "too_many_jobs", "", "several messages"},
		"a stream of tokens": {`{"route":"summaries","body":{"stream":true,"messages":[{"role":"user","content":"hi"}]}}`, jobs.CodeBadLine, "body.stream", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := door.Take(t.Context(), "acme", "k "+name, []byte(c.lines))
			if fault := expectCode(t, err, 400, c.code, c.param); fault.After != 0 || fault.Err != nil || !strings.Contains(fault.Message, c.says) {
				t.Errorf("it says %+v", fault)
			}
		})
	}
	_ = expectCode(t, second(door.Take(t.Context(), "acme", strings.Repeat("k", 300), []byte(doorLine(1, "")))), 400, "invalid_value", "Nats-Msg-Id")
	w.stands("after all", 0, 0)
	if kept := w.number("SELECT count(*) FROM tidegate.once"); kept != 0 {
		t.Errorf("%d of them are remembered", kept)
	}
}

// A route that is new is known at once.
func TestDoorLearnsRoutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	door := queue.NewDoor(w.Queue, nil)
	line := []byte(strings.Replace(doorLine(1, ""), "summaries", "extracts", 1))
	_ = expectCode(t, second(door.Take(t.Context(), "acme", "", line)), 400, jobs.CodeBadLine, "route")
	w.announce(jobs.Route{Name: "summaries", Goal: "ordered"}, jobs.Route{Name: "extracts", Goal: "ordered", Models: []string{"big"}})
	if _, err := door.Take(t.Context(), "acme", "", line); err != nil {
		t.Error(err)
	}
	if _, err := door.Take(t.Context(), "acme", "", []byte(`{"model":"big","messages":[{"role":"user","content":"hi"}]}`)); err != nil {
		t.Error(err)
	}
	if n := w.number("SELECT count(*) FROM tidegate.requests WHERE route = 'extracts'"); n != 2 {
		t.Errorf("%d went there", n)
	}
}

// Without a database the answer is an error that asks to come again, and keeps its
// reason for the log.
func TestDoorWithoutDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	door := queue.NewDoor(w.Queue, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if fault := expectCode(t, second(door.Take(ctx, "acme", "k", []byte(doorLine(1, "")))), 503, "server_stopping", ""); fault.After == 0 {
		t.Errorf("it says %+v", fault)
	}
	w.pool.Close()
	if fault := expectCode(t, second(door.Take(t.Context(), "acme", "k", []byte(doorLine(1, "")))), 503, "unavailable", ""); fault.After == 0 || fault.Err == nil {
		t.Errorf("it says %+v", fault)
	}
}
