package dashboard_test

import (
	"net/http"
	"strings"
	"testing"
)

// A batch leads to its requests, and those lead back.
func TestBatchPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, true)
	for path, wants := range map[string][]string{
		"/":                      {`href="/page/batch?id=batch_1"`, `href="/page/batches"`},
		"/page/batches":          {`href="/page/batch?id=batch_1"`, `href="/page/batches?before=batch_1"`, "Retry"},
		"/page/batches?before=x": {`href="/page/batches?before=batch_1x"`},
		"/page/batch?id=batch_1": {"&lt;script&gt;alert(1)", `href="/page/request?id=019a"`, "line 3: &lt;i&gt;", `href="/page/batch?id=batch_2"`, "10 of 10 (100%)", `id=batch_1&amp;state=refused#requests`, `after=behind&amp;id=batch_1#requests`},
		"/page/batch?id=batch_1&state=refused&after=a": {"BAD_REQUEST refused", `after=behinda&amp;id=batch_1&amp;state=refused#requests`, `state=refused#requests" aria-current="true"`},
		"/page/request?id=known":                       {`href="/page/batch?id=batch_1"`, `href="/page/request?id=first"`},
	} {
		got := s.ask(http.MethodGet, path, nil)
		for _, want := range wants {
			if got.status != http.StatusOK || !strings.Contains(got.body, want) || strings.Contains(got.body, "<script>alert") {
				t.Errorf("%s: %d, there is no %q:\n%s", path, got.status, want, got.body)
			}
		}
	}
	for path, want := range map[string]int{
		"/page/batch?id=%00": 404, "/page/batch?id=batch_1&after=%ff": 404, "/page/batches?before=%00": 404, "/page/request?id=%00": 404, "/page/request?id=a&batch=%ff": 404,
		"/page/request?id=batch_1": 303, "/page/request?id=known&batch=batch_1": 200,
	} {
		if got := s.ask(http.MethodGet, path, nil); got.status != want {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	if got := s.ask(http.MethodGet, "/page/request?id=twice&batch=batch_1", nil); got.status != http.StatusBadRequest || !strings.Contains(got.body, `<a href="/page/batch?id=batch_1">Choose one`) {
		t.Errorf("of a name that two have: %d, %s", got.status, got.body)
	}
	if got := s.ask(http.MethodGet, "/page/batch?id=%3Cb%3E", nil); got.status != http.StatusNotFound || strings.Contains(got.body, "<b>") {
		t.Errorf("of none: %d, %s", got.status, got.body)
	}
}
