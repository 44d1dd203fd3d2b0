package bench

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestResetter: the first create reaches the server and is never answered, the second
// is, and so is all else.
func TestResetter(t *testing.T) {
	t.Parallel()
	served := make(chan string, 4)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served <- r.Method + " " + r.URL.Path
		_, _ = io.WriteString(w, "made")
	}))
	defer server.Close()
	r, err := NewResetter(server.URL, http.MethodPost, "/v1/batches")
	if err != nil {
		t.Fatal(err)
	}
	through := httptest.NewServer(r)
	defer through.Close()
	for i, c := range []struct {
		method, path string
		answered     bool
	}{{"GET", "/v1/batches", true}, {"POST", "/v1/batches", false}, {"POST", "/v1/batches", true}, {"POST", "/v1/files", true}} {
		request, err := http.NewRequestWithContext(t.Context(), c.method, through.URL+c.path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if (err == nil) != c.answered {
			t.Errorf("%d: %v", i, err)
		}
		if err == nil {
			_ = response.Body.Close()
		}
		if got := <-served; got != c.method+" "+c.path {
			t.Errorf("%d: the server got %s", i, got)
		}
	}
	if n := r.Came(); n != 2 {
		t.Errorf("it counts %d creates", n)
	}
}
