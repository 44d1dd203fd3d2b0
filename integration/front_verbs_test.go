package integration

import (
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
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
