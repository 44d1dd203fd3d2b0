package integration

import (
	"errors"
	"net/http"
	"strconv"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"tidegate/integration/fixture"
)

// TestPostgresAwayIsTold cuts a server off from Postgres, in silence and by hanging up:
// who waits for an answer hears in seconds that there is none now, and when to ask
// again, and not when his time is over.
func TestPostgresAwayIsTold(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{})
	w := newWire(t, f.Pool.Config().ConnConfig)
	file := write(t, "tidegate.yaml", f.config.String())
	f.base = run(t, "serve", "--listen", "127.0.0.1:0", "--config", file, "--database-url", w.URL(), "--nats-url", f.NATSURL).await(`listening on (http://\S+)`) + "/v1"
	client := f.patient()
	answers := func() bool {
		_, err := client.Chat.Completions.New(f.Context(), chat(1))
		return err == nil
	}
	for _, hangsUp := range []bool{false, true} {
		fixture.Await(t, soon, "it answers", answers)
		w.Cut()
		const people = 12
		told := make(chan error, people)
		for i := range people {
			go func() {
				_, err := client.Chat.Completions.New(t.Context(), chat(i), option.WithHeader("Tidegate-Timeout", "1h"))
				told <- err
			}()
		}
		if hangsUp {
			w.Break()
		}
		for range people { // the test's own time is shorter than theirs
			f.saysAway(<-told)
		}
		_, err := client.Files.List(t.Context(), openai.FileListParams{}, option.WithRequestTimeout(soon))
		if hangsUp { // its connections are gone, and new ones say nothing
			f.saysAway(err)
		}
		w.Mend()
		fixture.Await(t, soon, "it answers again", answers)
		if n := f.count("SELECT count(*) FROM tidegate.attempts WHERE class <> 'OK'"); n != 0 {
			t.Errorf("%d calls came to nothing", n)
		}
	}
}

// saysAway checks that an SDK was told to come again.
func (f *front) saysAway(err error) {
	f.Helper()
	var told *openai.Error
	if !errors.As(err, &told) || told.StatusCode != http.StatusServiceUnavailable {
		f.Errorf("it says %v", err)
		return
	}
	if wait, err := strconv.Atoi(told.Response.Header.Get("Retry-After")); err != nil || wait < 1 {
		f.Errorf("Retry-After is %q: %s", told.Response.Header.Get("Retry-After"), told.RawJSON())
	}
}
