package dashboard_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"tidegate/integration/fixture"
)

// follow begins to look, and returns what comes.
func (s *site) follow(ctx context.Context) io.ReadCloser {
	s.t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/page/live", http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	got, err := s.client.Do(request)
	if err != nil || got.StatusCode != http.StatusOK {
		s.t.Fatalf("%v, %v", got, err)
	}
	return got.Body
}

// Who is one too many is told so, in words that his browser hands on; and has a place when
// another one has left.
func TestTooManyLook(t *testing.T) {
	t.Parallel()
	s := newSite(t, true)
	ctx, leave := context.WithCancel(t.Context())
	for range 200 {
		body := s.follow(ctx)
		defer func() { _ = body.Close() }()
		if line, err := bufio.NewReader(body).ReadString('\n'); err != nil || line != "event: hello\n" {
			t.Fatalf("%q, %v", line, err)
		}
	}
	more := s.follow(t.Context())
	said, err := io.ReadAll(more)
	_ = more.Close()
	if err != nil || !strings.HasPrefix(string(said), "event: full\n") {
		t.Errorf("one more hears %q, %v", said, err)
	}
	leave()
	fixture.Await(t, soon, "there is a place again", func() bool {
		again := s.follow(t.Context())
		defer func() { _ = again.Close() }()
		line, _ := bufio.NewReader(again).ReadString('\n')
		return line == "event: hello\n"
	})
}
