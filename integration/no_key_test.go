package integration

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"tidegate/cmd/app"
	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing"
	"tidegate/routing/provider"
)

// What must not be seen anywhere: a key with characters that are spelled otherwise
// in a URL, and the password of a proxy.
const (
	secretKey   = "Zx9canary/0+q=Zx9"
	proxyUser   = "me"
	proxySecret = "pr0xy-canary"
)

// spelled are the ways in which either may be written down.
var spelled = []string{
	"canary", "Zx9", "pr0xy", hex.EncodeToString([]byte("canary")),
	base64.StdEncoding.EncodeToString([]byte(secretKey)), base64.StdEncoding.EncodeToString([]byte(proxyUser + ":" + proxySecret)),
}

// checkNoKey checks a text that somebody may read.
func checkNoKey(t *testing.T, what, text string) {
	t.Helper()
	for _, secret := range spelled {
		if at := strings.Index(text, secret); at >= 0 {
			t.Errorf("%s shows %q: …%s…", what, secret, text[max(0, at-200):min(len(text), at+200)])
		}
	}
}

// tattlers answer with the secrets that they were sent, each in another place.
var tattlers = map[string]func(w http.ResponseWriter, sent string){
	"auth":     tattle(http.StatusUnauthorized, `{"error":{"message":%[1]q,"type":%[1]q,"code":%[1]q,"status":%[1]q}}`),
	"refusal":  tattle(http.StatusBadRequest, `{"type":"error","error":{"message":%[1]q,"type":"invalid_request_error","status":"INVALID_ARGUMENT"},"request_id":%[1]q}`),
	"redirect": tattle(http.StatusTemporaryRedirect, `%s`),
	"garbled":  tattle(http.StatusOK, `your key %[1]s is: {`),
	"page":     tattle(http.StatusBadGateway, `<html><title>%s</title>`),
	"rate":     tattle(http.StatusTooManyRequests, `{"error":{"message":"try again in 1s, %[1]s","code":%[1]q}}`),
	"proxied":  tattle(http.StatusProxyAuthRequired, `%s`),
	"echo":     raw("%s\r\n\r\n"),
	"cut":      raw("HTTP/1.1 200 OK\r\nX-Request-Id: %[1]s\r\nContent-Length: 1000\r\n\r\n%[1]s"),
}

// goodAnswers are what a target is well with, in the words of its dialect: then the
// key comes back beside an answer.
var goodAnswers = map[string]string{
	"openai":    `{"id":"x","model":"m","choices":[{"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}]}`,
	"anthropic": `{"type":"message","id":"x","model":"m","content":[{"type":"text","text":"x"}],"stop_reason":"end_turn"}`,
	"gemini":    `{"responseId":"x","modelVersion":"m","candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"STOP"}]}`,
}

func tattle(status int, body string) func(http.ResponseWriter, string) {
	return func(w http.ResponseWriter, sent string) {
		for _, name := range []string{"X-Request-Id", "Request-Id", "X-Words", "Retry-After-Ms"} {
			w.Header().Set(name, sent)
		}
		w.Header().Set("Location", "https://"+sent+"@host.example/"+sent+"?key="+sent)
		w.WriteHeader(status)
		fmt.Fprintf(w, body, sent)
	}
}

// raw writes to the connection itself, and closes it.
func raw(text string) func(http.ResponseWriter, string) {
	return func(w http.ResponseWriter, sent string) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = fmt.Fprintf(conn, text, sent) // whoever called may have gone
		_ = conn.Close()
	}
}

// tattleServer is a provider, and a proxy, that tells what it was sent. It notes
// which tattler had a secret to tell, and of which dialect.
func tattleServer(t *testing.T, told *sync.Map) string {
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a body that is cut tells nothing
		var sent []string
		for _, values := range r.Header {
			for _, value := range values {
				_, word, _ := strings.Cut(value, " ")
				if clear, err := base64.StdEncoding.DecodeString(word); err == nil && len(clear) > 0 {
					sent = append(sent, string(clear), value)
				}
				if strings.Contains(value, "canary") {
					sent = append(sent, value)
				}
			}
		}
		said := strings.Join(sent, " ")
		path := append(strings.Split(r.URL.Path, "/"), "", "", "") // of a CONNECT it is empty
		name, dialect := path[1], path[2]
		if strings.Contains(said, secretKey) || r.Method == http.MethodConnect && strings.Contains(said, proxySecret) {
			told.Store(name+" of "+dialect, true)
		}
		if r.Method == http.MethodConnect {
			raw("HTTP/1.1 407 %s\r\nContent-Length: 0\r\n\r\n")(w, said)
			return
		}
		if name == "answers" {
			tattle(http.StatusOK, "%.0s"+cmp.Or(goodAnswers[dialect], goodAnswers["openai"]))(w, said)
			return
		}
		tattlers[name](w, said)
	}))
}

// TestNoKeyInErrors lets the key of every dialect come back from everywhere, and
// looks for it wherever a person might: in the log at its most talkative, in every
// table, in every event, and in what the commands say.
func TestNoKeyInErrors(t *testing.T) {
	t.Parallel()
	t.Run("a provider tells it", noKeyOfATattler)
	t.Run("a panic tells it", noKeyInAPanic)
}

func noKeyOfATattler(t *testing.T) {
	t.Parallel()
	var told sync.Map
	url := tattleServer(t, &told)
	s := newStage(t, staging{config: func(c *config.Config) { tattlersOnly(t, c, url) }})
	messages := s.everyMessage()
	proxy := strings.Replace(url, "http://", "http://"+proxyUser+":"+proxySecret+"@", 1)
	environment := []string{"HTTP_PROXY=" + proxy, "HTTPS_PROXY=" + proxy, "NO_PROXY=", "PROVIDER_KEY=" + secretKey}
	// The configuration prints without its keys: they are put back as a variable.
	conf := write(t, "tidegate.yaml", strings.ReplaceAll(s.config.String(), `"[redacted]"`, "${PROVIDER_KEY}"))
	where := []string{"--config", conf, "--database-url", s.URL, "--nats-url", s.NATSURL, "--data", t.TempDir()}

	p := buildProgram(t)
	worker := p.start(t, environment, append([]string{"work", "--log-level", "trace"}, where...)...)
	s.prepare()
	routes := s.config.Routes
	batch := s.enqueue(2*len(routes), func(i int, r *jobs.Request) { r.Route = routes[i%len(routes)].Name })
	fixture.Await(t, soon, "every target was called", func() bool {
		return s.count("SELECT count(DISTINCT target) FROM tidegate.attempts") == len(routes)
	})
	for _, verb := range [][]string{{"status"}, {"circuits"}, {"results", batch.ID}, {"doctor", "--call"}} {
		for _, form := range []string{"--json=false", "--json"} {
			shown := p.start(t, environment, append(append(verb, form), where...)...)
			shown.end()
			checkNoKey(t, fmt.Sprint(verb, form), shown.out.String()+shown.errors.String())
		}
	}
	s.must("cancel", batch.ID)
	s.awaitBatch(batch)
	fixture.Await(t, soon, "all is published", func() bool { return s.count("SELECT count(*) FROM tidegate.outbox") == 0 })
	worker.signal(syscall.SIGTERM)
	worker.end()
	log := worker.out.String() + worker.errors.String()
	checkNoKey(t, "the log", log)
	for _, says := range []string{"AUTH", "circuit changed", "request ended"} {
		if !strings.Contains(log, says) {
			t.Errorf("the log does not even say %s:\n%s", says, log)
		}
	}
	s.checkTables()
	s.checkMessages(messages, 2*len(routes))
	checkTold(t, &told)
}

// checkTold finds a tattler that had nothing to tell, so that nothing was tested.
func checkTold(t *testing.T, told *sync.Map) {
	t.Helper()
	wanted := []string{" of "} // the proxy, by its own user
	for name := range tattlers {
		for _, dialect := range provider.Dialects() {
			wanted = append(wanted, name+" of "+dialect)
		}
	}
	for _, name := range wanted {
		if _, ok := told.Load(name); !ok {
			t.Errorf("no secret was sent to the tattler %q", name)
		}
	}
}

// tattlersOnly gives every tattler a target of every dialect, and each of those a
// route.
func tattlersOnly(t *testing.T, c *config.Config, url string) {
	t.Helper()
	like, route := c.Targets[0], c.Routes[0]
	c.Targets, c.Routes = nil, nil
	bases := map[string]string{"connect": "https://provider.example/v1", "tls": strings.Replace(url, "http://", "https://", 1) + "/v1"}
	for name := range tattlers {
		bases[name] = url + "/" + name + "/DIALECT/v1"
	}
	bases["answers"] = url + "/answers/DIALECT/v1"
	bases["proxied"] = "http://provider.example/proxied/DIALECT/v1"
	for _, dialect := range provider.Dialects() {
		for name, base := range bases {
			target, own := like, route
			target.Name = dialect + "-" + name
			target.Provider, target.Dialect, target.APIKey = target.Name, dialect, secretKey
			target.Endpoints = nil // what its dialect serves
			target.BaseURL = strings.ReplaceAll(base, "DIALECT", dialect)
			target.Stream = provider.Streams(dialect) && (name == "garbled" || name == "cut" || name == "page")
			if name == "refusal" || name == "rate" {
				target.Headers = map[string]jobs.Secret{"X-Also": secretKey}
			}
			own.Name, own.Chain = target.Name, []string{target.Name}
			c.Targets, c.Routes = append(c.Targets, target), append(c.Routes, own)
		}
	}
}

// everyMessage follows all that is published from now on.
func (s *stage) everyMessage() *nats.Subscription {
	s.Helper()
	conn, err := nats.Connect(s.NATSURL)
	check(s.T, err)
	s.Cleanup(conn.Close)
	all, err := conn.SubscribeSync("tidegate.>")
	check(s.T, err)
	check(s.T, conn.Flush())
	return all
}

// checkMessages looks at so many results and whatever else was published.
func (s *stage) checkMessages(all *nats.Subscription, results int) {
	s.Helper()
	for results > 0 {
		msg, err := all.NextMsg(soon)
		check(s.T, err)
		if strings.Contains(msg.Subject, ".results.") {
			results--
		}
		header, err := json.Marshal(msg.Header)
		check(s.T, err)
		checkNoKey(s.T, "an event", msg.Subject+string(header)+string(msg.Data))
	}
}

// checkTables looks at every row of every table of ours, and of River's.
func (s *stage) checkTables() {
	s.Helper()
	rows, err := s.Pool.Query(s.Context(), "SELECT relname FROM pg_class WHERE relnamespace = 'tidegate'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition")
	check(s.T, err)
	var tables []string
	for rows.Next() {
		var name string
		check(s.T, rows.Scan(&name))
		tables = append(tables, name)
	}
	check(s.T, rows.Err())
	if len(tables) < 10 {
		s.Fatalf("there are only the tables %v", tables)
	}
	for _, name := range tables {
		for _, secret := range spelled {
			if n := s.count("SELECT count(*) FROM tidegate."+name+" AS row WHERE strpos(row::text, $1) > 0", secret); n > 0 {
				s.Errorf("%d rows of %s show %q", n, name, secret)
			}
		}
	}
}

// A panicking provider shows the key in its panic, as text and as an error, and
// then lets calls through.
type panicking struct {
	routing.Provider
	calls atomic.Int32
}

func (p *panicking) Complete(ctx context.Context, target *jobs.Target, of jobs.Endpoint, body []byte) (*jobs.Answer, *jobs.Error) {
	switch p.calls.Add(1) {
	case 1:
		panic("sent " + secretKey + " with " + string(body))
	case 2:
		panic(errors.New(secretKey))
	default:
		return p.Provider.Complete(ctx, target, jobs.EndpointChat, body)
	}
}

func noKeyInAPanic(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	messages := s.everyMessage()
	var log journal
	crew := s.work(func(c *app.StackConfig) {
		c.Log = zerolog.New(&log).Level(zerolog.TraceLevel)
		c.Provider = func(inner routing.Provider) routing.Provider { return &panicking{Provider: inner} }
	})
	batch := s.settle(s.enqueue(2, nil))
	crew.stop()
	if batch.Completed != 2 {
		t.Errorf("the batch ended as %+v", batch)
	}
	if n := s.count("SELECT count(*) FROM tidegate.river_job WHERE errors::text LIKE '%ended in a panic%'"); n == 0 {
		t.Error("no panic was noted")
	}
	checkNoKey(t, "the log", log.String())
	if !strings.Contains(log.String(), "a job ended in a panic") {
		t.Errorf("the log does not even say that there was a panic:\n%s", log.String())
	}
	s.checkTables()
	s.checkMessages(messages, 2)
}
