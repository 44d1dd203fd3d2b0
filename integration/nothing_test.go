package integration

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"tidegate/integration/fixture"
	"tidegate/worker/publish"
)

// TestResultsThatAreNotThere: nothing yet is a note, and what can never be is an
// error.
func TestResultsThatAreNotThere(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	none := filepath.Join(t.TempDir(), "none.jsonl")
	for _, args := range [][]string{{"results"}, {"results", "--json"}, {"results", "--route", summaries}, {"results", "-o", none}} {
		if got := s.must(args...); got.out != "" || !strings.Contains(got.errors, "no such result yet") {
			t.Errorf("%v: %+v", args, got)
		}
	}
	refusalCase{[]string{"results", "--route", "nowhere"}, 1, []string{`"nowhere"`, "there are: " + summaries}}.check(t, s.tidegate)
}

// TestWatchTellsOfARouteThatIsNotThere: a typing error would wait for ever
// without a word.
func TestWatchTellsOfARouteThatIsNotThere(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.work(nil)
	s.settle(s.enqueue(1, nil)) // the stream is there
	for route, told := range map[string]bool{"nowhere": true, summaries: false} {
		ctx, stop := context.WithCancel(t.Context())
		watched := make(chan said, 1)
		go func() {
			watched <- tidegateUntil(ctx, t, "watch", "--route", route, "--nats-url", s.NATSURL, "--database-url", s.URL)
		}()
		fixture.Await(t, soon, "it follows the stream", func() bool {
			consumers := consumersOf(t, s.Conn, publish.ResultFilter("", route, ""))
			return len(consumers) == 1 && consumers[0].NumWaiting > 0
		})
		stop()
		if got := <-watched; got.code != 0 || strings.Contains(got.errors, "there are: "+summaries) != told {
			t.Errorf("%s: %+v", route, got)
		}
	}
}
