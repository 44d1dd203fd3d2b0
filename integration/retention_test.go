package integration

import (
	"net/http"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"

	"tidegate/cmd/app"
	"tidegate/integration/fixture"
	"tidegate/jobs"
)

// TestWhatEndedLongAgoIsRemoved: batches and single requests go when they were kept long
// enough, for the commands and over HTTP; their files, what is young and what waits stay.
func TestWhatEndedLongAgoIsRemoved(t *testing.T) {
	t.Parallel()
	st := newStage(t, staging{})
	st.work(func(c *app.StackConfig) {
		c.Retention = jobs.Retention{Requests: 30 * 24 * time.Hour, Attempts: 30 * 24 * time.Hour}
		c.Timing.Sweep = 200 * time.Millisecond
	})
	f := &front{stage: st, base: st.serveHTTP()}
	client := f.client()
	byFile := f.poll(client, f.order(client, f.upload(client, batchLines(20)).ID).ID, openai.BatchStatusCompleted)
	fromGo, young := f.settle(f.enqueue(30, nil)), f.settle(f.enqueue(5, nil))
	one, err := f.queue.Enqueue(t.Context(), jobs.Request{Route: summaries, Body: body(1)})
	check(t, err)
	f.must("pause", summaries)
	waits, err := f.queue.Enqueue(t.Context(), jobs.Request{Route: summaries, Body: body(2)})
	if waits.ID == "" {
		t.Fatal(err)
	}
	fixture.Await(t, soon, "the single one has ended, and nothing is owed", func() bool {
		return f.count("SELECT count(*) FROM tidegate.results WHERE request_id = $1", one.ID) == 1 && f.count("SELECT count(*) FROM tidegate.outbox") == 0
	})
	old := f.count("SELECT count(*) FROM tidegate.attempts")
	for _, sql := range []string{
		"SELECT tidegate.add_attempt_days(current_date - 41, current_date - 39)",
		"UPDATE tidegate.attempts SET at = at - interval '40 days'",
		"UPDATE tidegate.requests SET created_at = created_at - interval '40 days'",
		"UPDATE tidegate.results r SET stored_at = stored_at - interval '40 days' FROM tidegate.requests q WHERE q.id = r.request_id AND q.batch_id IS DISTINCT FROM '" + young.ID + "'",
		"UPDATE tidegate.batches SET ended_at = ended_at - interval '40 days' WHERE id <> '" + young.ID + "'",
	} {
		_, err := f.Pool.Exec(t.Context(), sql)
		check(t, err)
	}
	fixture.Await(t, soon, "what is old is gone", func() bool {
		return f.count("SELECT (SELECT count(*) FROM tidegate.batches) + count(*) FROM tidegate.requests") == 1+5+1 // the young batch, its requests, and the one that waits
	})
	fixture.Await(t, soon, "its attempts are gone", func() bool { return f.count("SELECT count(*) FROM tidegate.attempts") == 0 })
	if old == 0 {
		t.Error("there were no attempts")
	}

	for _, id := range []string{byFile.ID, fromGo.ID, one.ID} {
		for _, verb := range []string{"results", "cancel", "retry"} {
			refusalCase{[]string{verb, id}, 1, []string{id, "not found", "`retention`"}}.check(t, f.tidegate)
		}
	}
	refusalCase{[]string{"why", one.ID}, 1, []string{one.ID, "not found", "`retention`"}}.check(t, f.tidegate)
	for _, path := range []string{"/batches/" + byFile.ID, "/batches/" + fromGo.ID, "/jobs/" + one.ID} {
		if got, body := f.do(t.Context(), http.MethodGet, path, "", ""); got.status != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, got.status, body)
		}
	}
	if lines := f.content(client, byFile.OutputFileID); len(lines) != 20 {
		t.Errorf("its file has %d lines", len(lines))
	}
	if n := len(decodeLines[outputLine](t, f.must("results", young.ID).out)); n != 5 {
		t.Errorf("the young one has %d results", n)
	}
	f.must("resume", summaries)
	fixture.Await(t, soon, "what waited is answered", func() bool {
		return f.count("SELECT count(*) FROM tidegate.results WHERE request_id = $1 AND state = 'answered'", waits.ID) == 1
	})
	f.saysHowLongThingsAreKept()
}

func (f *front) saysHowLongThingsAreKept() {
	f.Helper()
	type kept struct {
		What    string
		KeepS   int64     `json:"keep_s"`
		Until   time.Time `json:"removed_until"`
		BehindS int64     `json:"behind_s"`
		Removed int
	}
	var all []kept
	fixture.Await(f.T, soon, "a sweep has ended", func() bool {
		all = lastLine[struct{ Kept []kept }](f.T, f.must("status", "--json").out).Kept
		return len(all) == 2 && !all[0].Until.IsZero() && all[0].Removed == 51 && all[1].Removed > 0
	})
	if all[0].What != "requests" || all[0].KeepS != 30*24*3600 || all[1].What != "attempts" || all[0].BehindS > 3600 || all[1].BehindS > 3600 {
		f.Errorf("it says %+v", all)
	}
	f.says(f.must("status").out, "Kept: requests for 30d (51 requests removed so far", "; attempts for 30d")
	f.says(f.tidegate("doctor").out, "retention", "requests for 30d")
}
