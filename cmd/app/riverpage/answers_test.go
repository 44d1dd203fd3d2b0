package riverpage

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// What took a second is good for two hundred, for all who ask, until something is changed.
func TestSlowAnswersAreShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusAccepted)
			_, _ = fmt.Fprintf(w, "%s %d", r.URL.Path, asked.Add(1))
		})
		var all answers
		ask := func(ctx context.Context, path string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			all.serve(w, httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil), page)
			return w
		}
		brief, leave := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer leave()
		var crowd sync.WaitGroup
		for range 20 { // none of whom waits for it
			crowd.Go(func() { ask(brief, "/queues") })
		}
		crowd.Wait()
		time.Sleep(198 * time.Second)
		w := ask(t.Context(), "/queues")
		if w.Body.String() != "/queues 1" || w.Code != http.StatusAccepted || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Age") != "198" {
			t.Errorf("after 198 s: %d, %s, %v", w.Code, w.Body, w.Header())
		}
		if w := ask(t.Context(), "/jobs"); w.Body.String() != "/jobs 2" || w.Header().Get("Age") != "" {
			t.Errorf("something else: %s, %v", w.Body, w.Header())
		}
		time.Sleep(2 * time.Second)
		if w := ask(t.Context(), "/queues"); w.Body.String() != "/queues 3" {
			t.Errorf("after 201 s: %s", w.Body)
		}
		all.forget()
		if w := ask(t.Context(), "/queues"); w.Body.String() != "/queues 4" {
			t.Errorf("after a change: %s", w.Body)
		}
		for i := range 2 * answersMost {
			ask(t.Context(), fmt.Sprint("/jobs/", i))
		}
		if n := len(all.of); n > answersMost {
			t.Errorf("%d answers are kept", n)
		}
	})
}
