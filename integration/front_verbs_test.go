package integration

import (
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"

	"tidegate/cmd/app/config"
	"tidegate/jobs"
)

// The commands know batches that came over HTTP, and say why one has no results.
func TestVerbsKnowBatchesOfFiles(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{})
	client := f.client()
	failed := f.poll(client, f.order(client, f.upload(client, "{\n"+batchLines(1)).ID).ID, openai.BatchStatusFailed)
	for _, verb := range [][]string{{"results", "--batch", failed.ID}, {"watch", "--batch", failed.ID}} {
		if got := f.tidegate(verb...); got.code == 0 || !strings.Contains(got.errors, "has failed, and none of its lines was enqueued: line 1: ") {
			t.Errorf("%v: %+v", verb, got)
		}
	}
	f.says(f.must("cancel", failed.ID).out, "it has failed")
	f.says(f.must("status").out, failed.ID, "failed")
	done := f.poll(client, f.order(client, f.upload(client, batchLines(3)).ID).ID, openai.BatchStatusCompleted)
	if lines := decodeLines[outputLine](t, f.must("results", "--batch", done.ID).out); len(lines) != 3 {
		t.Errorf("%d results", len(lines))
	}
	f.says(f.must("cancel", done.ID).out, "every request has its result")
}

// doctor says who may come in, and who should but may not.
func TestDoctorLooksAtKeys(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{config: func(c *config.Config) { c.Listen = "0.0.0.0:8080" }})
	open := write(t, "open.yaml", s.config.String())
	got := s.tidegate("doctor", "--config", open)
	if s.says(got.out, "WRONG    keys", "0.0.0.0:8080 lets other machines in", "tidegate keys create --tenant NAME"); got.code != 1 {
		t.Errorf("the exit code is %d", got.code)
	}
	s.config.Listen = "127.0.0.1:8080"
	s.says(s.tidegate("doctor", "--config", write(t, "local.yaml", s.config.String())).out, "ok       keys           there is none")
	key, whole, err := s.store.CreateKey(t.Context(), jobs.Key{Tenant: "acme", Scopes: jobs.KeyScopes()})
	check(t, err)
	s.says(s.tidegate("doctor", "--config", open).out, "ok       keys           1 key is good")
	check(t, s.store.RevokeKey(t.Context(), key.ID))
	if text := s.tidegate("doctor", "--config", open).out; !strings.Contains(text, "warning  keys") || strings.Contains(text, whole) {
		t.Errorf("it says\n%s", text)
	}
}
