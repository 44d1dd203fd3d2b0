package batchapi_test

import (
	"net/http"
	"strings"
	"testing"

	"tidegate/jobs"
)

// Models are the names that routes claim.
func TestModels(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if got := w.do(http.MethodGet, "/v1/models", "", nil); got.Status != http.StatusOK || !strings.Contains(got.Body, `"data":[]`) {
		t.Errorf("none: %+v", got)
	}
	if err := w.store.SaveRoutes(t.Context(), []jobs.Route{{Name: "labels", Goal: "ordered", Models: []string{"vendor/small", "a-model"}}}); err != nil {
		t.Fatal(err)
	}
	if got := w.do(http.MethodGet, "/v1/models", "", nil); !strings.Contains(got.Body, `"data":[{"id":"a-model","object":"model","created":0,"owned_by":"labels"},{"id":"vendor/small"`) {
		t.Errorf("two: %+v", got)
	}
	if got := w.do(http.MethodGet, "/v1/models/vendor/small", "", nil); got.Status != http.StatusOK || !strings.Contains(got.Body, `"id":"vendor/small"`) {
		t.Errorf("one: %+v", got)
	}
	got := w.do(http.MethodGet, "/v1/models/other", "", nil)
	if _, _, param, code := got.fault(t); got.Status != http.StatusNotFound || code != "model_not_found" || param != "model" {
		t.Errorf("another: %+v", got)
	}
}
