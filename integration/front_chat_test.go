package integration

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing/simulator"
	"tidegate/store"
)

// chat asks for an answer at once.
func chat(n int) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{
		Model:    "any",
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(fmt.Sprintf("Summarise: The tide came in at %d o'clock. The gate closed by itself. The land stayed dry until the evening.", n))},
	}
}

// patient is an SDK that does not ask again by itself.
func (f *front) patient() openai.Client { return f.client(option.WithMaxRetries(0)) }

// story is what is kept of a request.
func (f *front) story(id string) store.Story {
	f.Helper()
	story, err := f.store.Story(f.Context(), id)
	check(f.T, err)
	return story
}

// TestAnswerAtOnce has the official SDK ask for a completion: the answer is that of a
// provider, and what it cost and who gave it is kept and told as for any other request.
func TestAnswerAtOnce(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{})
	client := f.patient()
	var answered *http.Response
	got, err := client.Chat.Completions.New(f.Context(), chat(1), option.WithResponseInto(&answered))
	check(t, err)
	if len(got.Choices) != 1 || got.Choices[0].Message.Content == "" || got.Usage.TotalTokens == 0 {
		t.Fatalf("the answer is %s", got.RawJSON())
	}
	id, target := answered.Header.Get("Tidegate-Request-Id"), answered.Header.Get("Tidegate-Target")
	story := f.story(id)
	if story.Result == nil || story.Result.State != jobs.StateAnswered || story.Result.Target != target || story.Result.Attempts != 1 || string(story.Result.Body) != got.RawJSON() {
		t.Errorf("kept is %+v; the answer was %s, of %s", story.Result, got.RawJSON(), target)
	}
	if story.Request.Goal != "speed" || story.Request.Route != summaries {
		t.Errorf("it was kept as of route %s and goal %s", story.Request.Route, story.Request.Goal)
	}
	if told := f.tidegate("why", id); !strings.Contains(told.out, target) {
		t.Errorf("why tells nothing of %s:\n%s%s", target, told.out, told.errors)
	}
	fixture.Await(t, soon, "its result is published", func() bool { results, _ := f.events(); return len(results) == 1 })
	if n := f.count("SELECT count(*) FROM tidegate.river_job WHERE kind = 'completion'"); n != 0 {
		t.Errorf("%d jobs were made of it", n)
	}
}

// TestAnswerInPieces compares an answer that comes in pieces with the same one whole,
// by each dialect.
func TestAnswerInPieces(t *testing.T) {
	t.Parallel()
	for _, dialect := range simulated(t) {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			f := newFront(t, soleTarget(dialect))
			client := f.patient()
			whole, err := client.Chat.Completions.New(f.Context(), chat(1))
			check(t, err)
			asked := chat(1)
			asked.StreamOptions.IncludeUsage = openai.Bool(true)
			all, pieces := f.pieces(client.Chat.Completions.NewStreaming(f.Context(), asked))
			if len(all.Choices) != 1 || all.Choices[0].Message.Content != whole.Choices[0].Message.Content || all.Choices[0].FinishReason != whole.Choices[0].FinishReason {
				t.Errorf("in pieces it is %+v, and whole %s", all.Choices, whole.RawJSON())
			}
			if all.Usage.TotalTokens != whole.Usage.TotalTokens || pieces < 3 {
				t.Errorf("%d pieces, usage %+v; whole it is %+v", pieces, all.Usage, whole.Usage)
			}
			if story := f.story(strings.TrimPrefix(all.ID, "chatcmpl-")); story.Result == nil || !strings.Contains(string(story.Result.Body), "chat.completion\"") {
				t.Errorf("what came in pieces is kept as %+v", story.Result)
			}
		})
	}
}

// soleTarget is a stage with one target, of a dialect.
func soleTarget(dialect string) staging {
	return staging{
		simulated: func(c *simulator.Config) { c.Providers = c.Providers[:1]; c.Providers[0].Dialect = dialect },
		config: func(c *config.Config) {
			target := &c.Targets[0]
			target.Dialect, target.Endpoints = dialect, nil
			if dialect == "gemini" {
				target.BaseURL = strings.TrimSuffix(target.BaseURL, "/v1") + "/v1beta"
			}
			c.Targets, c.Routes[0].Chain = c.Targets[:1], c.Routes[0].Chain[:1]
		},
	}
}

type sdkStream interface {
	Next() bool
	Current() openai.ChatCompletionChunk
	Err() error
}

// pieces has the SDK put an answer together, and counts its pieces of text.
func (f *front) pieces(stream sdkStream) (all openai.ChatCompletionAccumulator, n int) {
	f.Helper()
	for stream.Next() {
		piece := stream.Current()
		if !all.AddChunk(piece) {
			f.Fatalf("the SDK does not take %s", piece.RawJSON())
		}
		if len(piece.Choices) > 0 && piece.Choices[0].Delta.Content != "" {
			n++
		}
	}
	check(f.T, stream.Err())
	return all, n
}

// TestAnswerAtOnceFailsOver has the first target of the chain fail: the next one
// answers, also in pieces, and nobody who waits hears of it.
func TestAnswerAtOnceFailsOver(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{config: func(c *config.Config) { c.Routes[0].WhenOpen = "wait" }})
	down := f.config.Targets[0]
	f.down(f.sim.Names()[0], simulator.Fault{Mode: simulator.ServerError})
	client := f.patient()
	for i := range 20 {
		if i%2 == 0 {
			var answered *http.Response
			_, err := client.Chat.Completions.New(f.Context(), chat(i), option.WithResponseInto(&answered), option.WithHeader("Tidegate-Goal", "ordered"))
			check(t, err)
			if answered.Header.Get("Tidegate-Target") == down.Name {
				t.Errorf("%s answered, which is down", down.Name)
			}
			continue
		}
		f.pieces(client.Chat.Completions.NewStreaming(f.Context(), chat(i), option.WithHeader("Tidegate-Goal", "ordered")))
	}
	if n := f.calls(jobs.Transient); n < 5 {
		t.Errorf("%d calls failed: the chain was not taken in its order", n)
	}
}

// TestOutageIsTold has every provider fail: who waits is told at once, and when it is
// worth asking again, and no call is made for him. When they are back, he is answered.
func TestOutageIsTold(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{})
	f.down("*", simulator.Fault{Mode: simulator.Unavailable})
	client := f.patient()
	var told *openai.Error
	fixture.Await(t, soon, "every circuit is open", func() bool {
		_, err := client.Chat.Completions.New(f.Context(), chat(1))
		if !errors.As(err, &told) || told.StatusCode != http.StatusServiceUnavailable || told.Code != "no_target_available" {
			t.Fatalf("in an outage it says: %v", err)
		}
		for _, c := range f.circuits() {
			if c.State == jobs.CircuitClosed {
				return false
			}
		}
		return true
	})
	before := f.count("SELECT count(*) FROM tidegate.attempts WHERE NOT probe")
	for i := range 50 {
		_, err := client.Chat.Completions.New(f.Context(), chat(i))
		if !errors.As(err, &told) || told.StatusCode != http.StatusServiceUnavailable {
			t.Fatalf("while circuits are open it says: %v", err)
		}
		if wait, err := strconv.Atoi(told.Response.Header.Get("Retry-After")); err != nil || wait < 1 || wait > 120 {
			t.Errorf("Retry-After is %q", told.Response.Header.Get("Retry-After"))
		}
	}
	if now := f.count("SELECT count(*) FROM tidegate.attempts WHERE NOT probe"); now != before {
		t.Errorf("%d calls were made in an outage for people who were told of it", now-before)
	}
	f.back()
	fixture.Await(t, soon, "it answers again", func() bool {
		_, err := client.Chat.Completions.New(f.Context(), chat(1))
		return err == nil
	})
	if n := f.count("SELECT count(*) FROM tidegate.attempts a WHERE request_id <> '00000000-0000-0000-0000-000000000000' AND NOT EXISTS (SELECT FROM tidegate.requests q JOIN tidegate.results r ON r.request_id = q.id WHERE q.id = a.request_id)"); n != 0 {
		t.Errorf("of %d calls nobody knows what they were for, and how that ended", n)
	}
}

// TestPiecesBreakOff has a provider cut its answer off after a part of it went out:
// nobody else goes on with it, the SDK hears of it, and it is kept what was paid.
func TestPiecesBreakOff(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{})
	f.down("*", simulator.Fault{Mode: simulator.Cut})
	client := f.patient()
	stream := client.Chat.Completions.NewStreaming(f.Context(), chat(1))
	text := ""
	for stream.Next() {
		if piece := stream.Current(); len(piece.Choices) > 0 {
			text += piece.Choices[0].Delta.Content
		}
	}
	if stream.Err() == nil || text == "" {
		t.Fatalf("it ended with %v after %q", stream.Err(), text)
	}
	if n := f.count("SELECT count(*) FROM tidegate.attempts"); n != 1 {
		t.Errorf("%d targets were called for an answer of which a part went out", n)
	}
	if n := f.count("SELECT count(*) FROM tidegate.results WHERE state = 'refused'"); n != 1 {
		t.Errorf("%d results are kept of it", n)
	}
}

// TestPiecesOfWhatIsJudged: an answer that may turn out not to be taken is handed on
// when it is whole, so that another target can be asked.
func TestPiecesOfWhatIsJudged(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{config: func(c *config.Config) { c.Routes[0].Expect = &config.Expect{MinCharacters: 20} }})
	f.down(f.sim.Names()[0], simulator.Fault{Mode: simulator.Empty})
	client := f.patient()
	all, n := f.pieces(client.Chat.Completions.NewStreaming(f.Context(), chat(1), option.WithHeader("Tidegate-Goal", "ordered")))
	if n != 1 || len(all.Choices[0].Message.Content) < 20 {
		t.Errorf("it came in %d pieces: %+v", n, all.Choices)
	}
}

// TestAnswerWithoutMoney: a spent budget is told as an SDK knows it, which does not ask
// again for that.
func TestAnswerWithoutMoney(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{})
	f.tidegate("budgets", "set", "--tenant", "default", "--total", "0.000001")
	var told *openai.Error
	fixture.Await(t, soon, "the budget is known", func() bool {
		client := f.client()
		_, err := client.Chat.Completions.New(f.Context(), chat(1))
		return errors.As(err, &told)
	})
	if told.StatusCode != http.StatusTooManyRequests || told.Code != "insufficient_quota" || told.Response.Header.Get("X-Should-Retry") != "false" {
		t.Errorf("without money it says %d %s: %s", told.StatusCode, told.Code, told.Message)
	}
	if n := f.count("SELECT count(*) FROM tidegate.attempts"); n > 1 {
		t.Errorf("%d calls were made under a budget of nothing", n)
	}
}

// TestWhoWaitsGoesFirst has a target be called as fast as it may be, with a long backlog:
// who waits for his answer comes before it, in a process of its own or in this one.
func TestWhoWaitsGoesFirst(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{config: func(c *config.Config) {
		c.Targets, c.Routes[0].Chain = c.Targets[:1], c.Routes[0].Chain[:1]
		c.Targets[0].Limits.RequestsPerMinute = 600
	}})
	const backlog = 300
	f.enqueue(backlog, nil)
	f.awaitResults(10)
	client := f.patient()
	for i := range 5 {
		_, err := client.Chat.Completions.New(f.Context(), chat(i))
		check(t, err)
	}
	if n := f.results(); n > backlog*3/4 {
		t.Errorf("of a backlog of %d, %d were done before five people were answered", backlog, n-5)
	}
}

// TestLeftAlone has the sender leave while it is called, and another one run out of time:
// the calls go on to their end, and what they cost is kept, so that nobody is answered
// for nothing.
func TestLeftAlone(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{latency: 3 * time.Second})
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		client := f.patient()
		_, err := client.Chat.Completions.New(ctx, chat(1))
		gone <- err
	}()
	fixture.Await(t, soon, "it is called", func() bool { return f.count("SELECT count(*) FROM tidegate.calls") > 0 })
	leave()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Fatalf("it says %v", err)
	}
	client := f.patient()
	// Of a busy machine a second may be over before it is called: then there is nothing to keep.
	fixture.Await(t, soon, "another one is called", func() bool {
		_, err := client.Chat.Completions.New(t.Context(), chat(2), option.WithHeader("Tidegate-Timeout", "1s"))
		var told *openai.Error
		if !errors.As(err, &told) || told.StatusCode != http.StatusGatewayTimeout || told.Code != "timeout" {
			t.Fatalf("when its time is over it says %v", err)
		}
		return f.count("SELECT count(*) FROM (SELECT request_id FROM tidegate.calls UNION SELECT request_id FROM tidegate.attempts) c") >= 2
	})
	fixture.Await(t, soon, "both are kept, with their cost", func() bool {
		return f.count("SELECT count(*) FROM tidegate.results WHERE state = 'answered' AND cost_micro_usd > 0") >= 2
	})
}

// TestAnsweringServerEnds: a server that is told to stop lets those be answered who are
// called; of one that is killed, the call is written down as lost.
func TestAnsweringServerEnds(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{latency: 2 * time.Second})
	program := buildProgram(t)
	file := write(t, "tidegate.yaml", f.config.String())
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		server := program.start(t, nil, "serve", "--listen", "127.0.0.1:0", "--config", file, "--database-url", f.URL)
		other := &front{stage: f.stage, base: server.base()}
		fixture.Await(t, soon, "it answers", func() bool {
			client := other.patient()
			_, err := client.Chat.Completions.New(t.Context(), chat(1))
			return err == nil
		})
		failed := make(chan error, 1)
		go func() {
			client := other.patient()
			_, err := client.Chat.Completions.New(t.Context(), chat(2))
			failed <- err
		}()
		fixture.Await(t, soon, "it is called", func() bool {
			return f.count("SELECT count(*) FROM tidegate.calls c WHERE NOT EXISTS (SELECT FROM tidegate.attempts a WHERE a.request_id = c.request_id)") > 0
		})
		server.signal(signal)
		if err := <-failed; (err == nil) != (signal == syscall.SIGTERM) {
			t.Errorf("who waits for the answer of a server that gets %s: %v", signal, err)
		}
		server.end()
	}
	fixture.Await(t, soon, "the call of the one that was killed is written down as lost", func() bool { return f.calls(jobs.Lost) == 1 })
}

// TestAnswerAtOnceRefuses lists what is refused before a call, and how it is said.
func TestAnswerAtOnceRefuses(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{})
	for name, c := range map[string]struct {
		body   string
		header [2]string
		status int
		says   string
	}{
		"no JSON":       {body: `{"messages":[`, status: 400, says: "not JSON"},
		"a list":        {body: `[1]`, status: 400, says: "must be a JSON object"},
		"no messages":   {body: `{"model":"any"}`, status: 400, says: "messages"},
		"stream a word": {body: `{"messages":[{"role":"user","content":"x"}],"stream":"yes"}`, status: 400, says: "stream: must be true or false"},
		"no such route": {body: `{"messages":[{"role":"user","content":"x"}]}`, header: [2]string{"Tidegate-Route", "nowhere"}, status: 400, says: "there is no route nowhere"},
		"no such goal":  {body: `{"messages":[{"role":"user","content":"x"}]}`, header: [2]string{"Tidegate-Goal", "best"}, status: 400, says: "there is no goal best"},
		"a wait":        {body: `{"messages":[{"role":"user","content":"x"}]}`, header: [2]string{"Tidegate-Timeout", "soon"}, status: 400, says: "is not a time"},
		"a sum":         {body: `{"messages":[{"role":"user","content":"x"}]}`, header: [2]string{"Tidegate-Max-Cost-Usd", "-1"}, status: 400, says: "is not a sum"},
	} {
		t.Run(name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.base+"/chat/completions", strings.NewReader(c.body))
			check(t, err)
			request.Header.Set("Content-Type", "application/json")
			if c.header[0] != "" {
				request.Header.Set(c.header[0], c.header[1])
			}
			answer, err := http.DefaultClient.Do(request)
			check(t, err)
			defer answer.Body.Close()
			text, err := io.ReadAll(bufio.NewReader(answer.Body))
			check(t, err)
			if answer.StatusCode != c.status || !strings.Contains(string(text), c.says) {
				t.Errorf("it says %d %s", answer.StatusCode, text)
			}
		})
	}
	if n := f.count("SELECT count(*) FROM tidegate.requests"); n != 0 {
		t.Errorf("%d requests are kept that were refused", n)
	}
}
