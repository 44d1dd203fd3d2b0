package queue_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"tidegate/jobs"
	"tidegate/store"
)

// A request that says how often to ask again after a bad answer, where nobody says which
// answers are bad, is refused with what to write; where its route expects something, or
// nobody knows whether it does, it is taken.
func TestTriesWhereNothingIsExpected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.announce(jobs.Route{Name: "extracts", Goal: "ordered", Expect: &jobs.Expect{Regex: "."}}, jobs.Route{Name: "older", Goal: "ordered"})
	if _, err := w.pool.Exec(t.Context(), "UPDATE tidegate.routes SET expects = NULL WHERE name = 'older'"); err != nil {
		t.Fatal(err)
	}
	for says, expect := range map[string]*jobs.Expect{
		"expect.tries":     {Tries: 5},
		"expect.otherwise": {Otherwise: jobs.OtherwiseKeep},
		"":                 {Tries: 5, Regex: "."},
	} {
		for _, route := range []string{"summaries", "extracts", "older"} {
			want := ""
			if says != "" && route == "summaries" {
				want = says + `: is about answers that are not as expected, and neither the request nor its route "summaries" expects anything: write what the answer must be like`
			}
			request := jobs.Request{Route: route, Body: hello, Expect: expect}
			for how, enqueue := range map[string]func(context.Context) error{
				"one":  func(ctx context.Context) error { _, err := w.Enqueue(ctx, request); return err },
				"many": func(ctx context.Context) error { _, err := w.EnqueueMany(ctx, []jobs.Request{request}); return err },
				"once": func(ctx context.Context) error {
					_, err := w.EnqueueOnce(ctx, request, store.Once{Key: says + route, Within: time.Minute})
					return err
				},
			} {
				err := enqueue(t.Context())
				if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
					t.Errorf("%s of %q on %s: %v", how, says, route, err)
				}
			}
		}
	}
}

// So is a line of a file; but what was checked is taken as it is, should the route lose
// what it expects meanwhile.
func TestLineWithTriesWhereNothingIsExpected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	line := func(n int) string {
		return fmt.Sprintf(`{"custom_id":"%d","method":"POST","url":"/v1/chat/completions","body":%s,"expect":{"tries":5}}`+"\n", n, hello)
	}
	failed := w.keep(w.order(line(1) + line(2)).ID)
	if failed.State != jobs.BatchFailed || len(failed.Order.Faults) != 2 || failed.Order.Faults[1].Line != 2 || !strings.Contains(failed.Order.Faults[0].Message, "expect.tries: is about answers") {
		t.Errorf("%s: %+v", failed.State, failed.Order.Faults)
	}
	checked := w.order(line(1) + line(2)).ID
	if err := w.store.BeginBatch(t.Context(), checked, 2, ""); err != nil {
		t.Fatal(err)
	}
	if batch := w.keep(checked); batch.State != jobs.BatchInProgress || batch.Failed != 0 {
		t.Errorf("%+v", batch)
	}
}
