package batchapi_test

import (
	"net/http"
	"strings"
	"testing"
)

// What is not there says so as an error, and where else it is if it is somewhere.
func TestUnknownURL(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for path, says := range map[string]string{
		"/v1/embeddings": "Unknown request URL: POST /v1/embeddings; what is answered at once is /v1/chat/completions, and of /v1/embeddings batches (/v1/batches) and jobs (/v1/jobs, with its url)",
		"/v1/responses":  "of /v1/responses batches",
		"/v1/moderation": "Unknown request URL: POST /v1/moderation",
	} {
		got := w.post(path, "{}")
		if message, kind, _, code := got.fault(t); got.Status != http.StatusNotFound || kind != "invalid_request_error" || code != "unknown_url" || !strings.Contains(message, says) {
			t.Errorf("%s: %d %s", path, got.Status, got.Body)
		}
	}
}
