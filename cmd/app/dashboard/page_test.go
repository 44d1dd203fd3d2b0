package dashboard_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"tidegate/cmd/app/dashboard"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/store"
)

func TestMain(m *testing.M) { fixture.Main(m) }

const soon = 30 * time.Second

// A site is a page that somebody visits.
type site struct {
	*httptest.Server
	t      *testing.T
	store  *store.Store
	pool   *pgxpool.Pool
	client *http.Client
	reads  atomic.Int32
	state  atomic.Pointer[dashboard.Overview] // nil: it cannot be read
	door   atomic.Pointer[error]              // why nobody knows who may come in; nil: it is known
	did    atomic.Pointer[string]
}

// steer notes what is done.
type steer struct{ s *site }

func (s steer) note(what string) { s.s.did.Store(&what) }

func (s steer) Pause(_ context.Context, route, reason string) error {
	if route == "unknown" {
		return store.ErrNotFound
	}
	s.note("pause " + route + ": " + reason)
	return nil
}

func (s steer) Resume(_ context.Context, route string) error { s.note("resume " + route); return nil }

func (s steer) Retry(_ context.Context, batch string) (string, error) {
	s.note("retry " + batch)
	return "3 requests are tried again.", nil
}

func newSite(t *testing.T, open bool) *site {
	t.Helper()
	pool, err := store.Connect(t.Context(), fixture.Database(t), 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return newSiteOn(t, pool, open)
}

func newSiteOn(t *testing.T, pool *pgxpool.Pool, open bool) *site {
	t.Helper()
	s := &site{t: t, store: store.New(pool), pool: pool}
	s.state.Store(&dashboard.Overview{
		At: time.Now(), Workers: dashboard.Workers{Alive: 1},
		Targets: []dashboard.Target{{Name: "openai", Circuit: jobs.CircuitOpen, DownSince: time.Now().Add(-time.Minute), Reason: "<b>status 503</b>"}},
		Routes:  []dashboard.Route{{Name: "summaries", State: dashboard.Flows, Chain: []string{"openai"}, Waiting: 12_430}},
		Batches: []dashboard.Batch{{Batch: jobs.Batch{ID: "batch_1", Tenant: "acme", State: jobs.BatchCompleted, Total: 10, Completed: 7, Failed: 3, EndedAt: time.Now()}}},
	})
	page := dashboard.New(dashboard.Config{
		Store: s.store, Steer: steer{s}, River: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "river "+r.URL.Path) }), Version: "v1", Log: zerolog.Nop(),
		Local: func(*http.Request) (bool, error) {
			if err := s.door.Load(); err != nil {
				return false, *err
			}
			return open, nil
		},
		Read: func(context.Context) (*dashboard.Overview, error) {
			s.reads.Add(1)
			if now := s.state.Load(); now != nil {
				return now, nil
			}
			return nil, errors.New("away")
		},
		Batches: func(_ context.Context, before string) (*dashboard.BatchList, error) {
			return &dashboard.BatchList{At: time.Now(), Batches: s.state.Load().Batches, Next: "batch_1" + before}, nil
		},
		Batch: func(_ context.Context, id, state, after string) (*dashboard.BatchStory, error) {
			if id != "batch_1" {
				return nil, store.ErrNotFound
			}
			return &dashboard.BatchStory{
				Batch: s.state.Load().Batches[0], Faults: []string{"line 3: <i>no body</i>"}, Retries: []string{"batch_2"}, Next: "behind" + after,
				Requests: []dashboard.Request{{ID: "019a", CustomID: "<script>alert(1)</script>", State: "refused", Why: "BAD_REQUEST " + state}},
			}, nil
		},
		Explain: func(_ context.Context, request, _ string) (*dashboard.Story, error) {
			switch request {
			case "known":
			case "twice":
				return nil, fmt.Errorf("custom_id %w", store.ErrSeveral)
			default:
				return nil, store.ErrNotFound
			}
			return &dashboard.Story{ID: request, State: "answered", Batch: "batch_1", RetryOf: "first", InShort: []string{"It was <i>answered</i>."}, Steps: []dashboard.Step{{At: "+1 s", Kind: "answered", Text: "call 1"}}}, nil
		},
	})
	mux := http.NewServeMux()
	for _, h := range page.Handlers() {
		mux.Handle(h.Pattern, h)
	}
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	s.fresh()
	return s
}

// fresh is another browser.
func (s *site) fresh() {
	jar, _ := cookiejar.New(nil)
	s.client = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// An answer is what the site answered.
type answer struct {
	status int
	header http.Header
	body   string
}

func (s *site) ask(method, path string, form url.Values, header ...string) answer {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	got, err := s.client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = got.Body.Close() }()
	body, _ := io.ReadAll(got.Body)
	return answer{got.StatusCode, got.Header, string(body)}
}

func (s *site) key(scopes ...jobs.KeyScope) (id, whole string) {
	s.t.Helper()
	key, whole, err := s.store.CreateKey(s.t.Context(), jobs.Key{Tenant: "acme", Scopes: scopes})
	if err != nil {
		s.t.Fatal(err)
	}
	return key.ID, whole
}

func (s *site) login(key string) answer {
	s.t.Helper()
	return s.ask(http.MethodPost, "/login", url.Values{"key": {key}, "next": {"/?window=24h"}})
}

// Everything comes from the program, nothing is inline, and what others wrote is text.
func TestPageNeedsNothingElse(t *testing.T) {
	t.Parallel()
	s := newSite(t, true)
	got := s.ask(http.MethodGet, "/", nil)
	if got.status != http.StatusOK || !strings.Contains(got.header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'") || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d, %v", got.status, got.header)
	}
	for _, want := range []string{"openai is down", "12,430 jobs wait", "&lt;b&gt;status 503", "Pause", "Retry", `lang="en"`} {
		if !strings.Contains(got.body, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	for _, never := range []string{"http:", "https:", "//", " style=", " onclick", "javascript:", "<b>status", "%!", "ZgotmplZ"} {
		if strings.Contains(got.body, never) {
			t.Errorf("there is %q in it", never)
		}
	}
	for _, at := range regexp.MustCompile(`(?:src|href)="(/page/file/[^"]+)"`).FindAllStringSubmatch(got.body, -1) {
		file := s.ask(http.MethodGet, at[1], nil)
		if file.status != http.StatusOK || !strings.Contains(file.header.Get("Cache-Control"), "immutable") || len(file.body) < 100 {
			t.Errorf("%s: %d, %v", at[1], file.status, file.header)
		}
		if outside := regexp.MustCompile(`url\(|@import|https?://`).FindAllString(strings.ReplaceAll(file.body, "http://www.w3.org/2000/svg", ""), -1); outside != nil {
			t.Errorf("%s loads %v", at[1], outside)
		}
	}
	if got := s.ask(http.MethodGet, "/page/file/page.html", nil); got.status != http.StatusNotFound {
		t.Errorf("a template is given out: %d", got.status)
	}
}

// What cannot be read is said, and where to look.
func TestPageOfNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, true)
	s.state.Store(nil)
	if got := s.ask(http.MethodGet, "/", nil); got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "tidegate doctor") {
		t.Errorf("%d: %s", got.status, got.body)
	}
}

func TestActs(t *testing.T) {
	t.Parallel()
	s := newSite(t, true)
	if err := s.store.ShareCircuits(t.Context(), "w", []jobs.Circuit{{Target: "openai", State: jobs.CircuitClosed, Generation: 1, Since: time.Now()}}); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		form   url.Values
		status int
		says   string
		did    string // of steer
	}{
		"pause":              {url.Values{"do": {"pause"}, "name": {"summaries"}, "reason": {"lunch"}}, 200, "summaries is paused.", "pause summaries: lunch"},
		"resume":             {url.Values{"do": {"resume"}, "name": {"summaries"}}, 200, "summaries is worked again.", "resume summaries"},
		"retry":              {url.Values{"do": {"retry"}, "name": {"batch_1"}}, 200, "3 requests are tried again.", "retry batch_1"},
		"open":               {url.Values{"do": {"open"}, "name": {"openai"}, "reason": {"sick"}, "for": {"10m"}}, 200, "The circuit of openai is open.", ""},
		"close":              {url.Values{"do": {"close"}, "name": {"openai"}}, 200, "The circuit of openai is closed.", ""},
		"drill":              {url.Values{"do": {"drill"}, "name": {"openai"}, "mode": {"503"}, "for": {"1m"}}, 200, "openai fails now, for 1 min.", ""},
		"end-drill":          {url.Values{"do": {"end-drill"}, "name": {"openai"}}, 200, "drill of openai", ""},
		"no such route":      {url.Values{"do": {"pause"}, "name": {"unknown"}}, 400, "There is no route unknown.", ""},
		"no such target":     {url.Values{"do": {"open"}, "name": {"unknown"}, "reason": {"x"}}, 400, "There is no target unknown.", ""},
		"a drill of nobody":  {url.Values{"do": {"drill"}, "name": {"unknown"}, "mode": {"503"}, "for": {"1m"}}, 400, "There is no target unknown.", ""},
		"a drill for ever":   {url.Values{"do": {"drill"}, "name": {"openai"}, "mode": {"503"}}, 400, "not filled in", ""},
		"a drill of no kind": {url.Values{"do": {"drill"}, "name": {"openai"}, "mode": {"flood"}, "for": {"1m"}}, 400, "not filled in", ""},
		"no reason":          {url.Values{"do": {"open"}, "name": {"openai"}}, 400, "Say why", ""},
		"a reason of lines":  {url.Values{"do": {"pause"}, "name": {"summaries"}, "reason": {"a\nb"}}, 400, "one line", ""},
		"a long reason":      {url.Values{"do": {"pause"}, "name": {"summaries"}, "reason": {strings.Repeat("x", 201)}}, 400, "longer than 200", ""},
		"a span of nothing":  {url.Values{"do": {"open"}, "name": {"openai"}, "reason": {"x"}, "for": {"-1m"}}, 400, "not filled in", ""},
		"nothing to do":      {url.Values{"do": {"dance"}, "name": {"openai"}}, 400, "no such thing", ""},
		"nothing to do with": {url.Values{"do": {"pause"}}, 400, "no such thing", ""},
	} {
		s.did.Store(nil)
		got := s.ask(http.MethodPost, "/page/act", test.form, "X-Part", "1")
		if got.status != test.status || !strings.Contains(got.body, test.says) {
			t.Errorf("%s: %d, %s", name, got.status, got.body)
		}
		did := ""
		if done := s.did.Load(); done != nil {
			did = *done
		}
		if did != test.did {
			t.Errorf("%s did %q", name, did)
		}
	}
}

// What was is in the database: another server shows it, too.
func TestPastOutlivesTheServer(t *testing.T) {
	t.Parallel()
	first := newSite(t, true)
	for _, sql := range []string{
		`INSERT INTO tidegate.route_samples SELECT now() - n * interval '1 minute', 'summaries', 60, 100 * n, 0, 10, 0, 500, now() FROM generate_series(1, 30) n`,
		`INSERT INTO tidegate.target_samples SELECT now() - n * interval '1 minute', 'openai', 60, 10, 10, 0, 500, 0, 0, 0, 1000, 2000 FROM generate_series(1, 30) n`,
		`INSERT INTO tidegate.transitions (at, kind, name, state, reason) VALUES (now() - interval '10 minutes', 'circuit', 'openai', 'open', 'it was <sick>')`,
	} {
		if _, err := first.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	for name, s := range map[string]*site{"this one": first, "another one": newSiteOn(t, first.pool, true)} {
		got := s.ask(http.MethodGet, "/?window=1h", nil)
		for _, want := range []string{`class="s-1`, "summaries: now 100, at most 3.0k", "t-open", "it was &lt;sick&gt;", "openai: 1 time not well in the last hour"} {
			if !strings.Contains(got.body, want) {
				t.Errorf("%s does not show %q", name, want)
			}
		}
	}
}

func TestStory(t *testing.T) {
	t.Parallel()
	s := newSite(t, true)
	if got := s.ask(http.MethodGet, "/page/request?id=known", nil); got.status != http.StatusOK || !strings.Contains(got.body, "It was &lt;i&gt;answered") || !strings.Contains(got.body, "call 1") {
		t.Errorf("%d: %s", got.status, got.body)
	}
	if got := s.ask(http.MethodGet, "/page/request?id=%3Cscript%3E", nil); got.status != http.StatusNotFound || strings.Contains(got.body, "<script>") {
		t.Errorf("%d: %s", got.status, got.body)
	}
}

// look follows the page until it is told to stop, and hands on each line.
func (s *site) look(ctx context.Context, lines chan<- string) {
	request, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/page/live", http.NoBody)
	got, err := s.client.Do(request)
	if err != nil {
		return
	}
	defer func() { _ = got.Body.Close() }()
	read := bufio.NewScanner(got.Body)
	read.Buffer(nil, 1<<20)
	for read.Scan() {
		select {
		case lines <- read.Text():
		case <-ctx.Done():
			return
		}
	}
}

// One reads for all who look, and sends all of it to who comes anew.
func TestOneReadsForAll(t *testing.T) {
	t.Parallel()
	s := newSite(t, true)
	ctx, stop := context.WithCancel(t.Context())
	const viewers = 5
	seen := make([]chan string, viewers)
	for i := range seen {
		seen[i] = make(chan string, 100)
		go s.look(ctx, seen[i])
	}
	next := func(viewer int, what string) string {
		for {
			select {
			case line := <-seen[viewer]:
				if strings.Contains(line, what) {
					return line
				}
			case <-time.After(soon):
				t.Fatalf("viewer %d does not see %q", viewer, what)
			}
		}
	}
	for i := range seen {
		for _, id := range []string{"now", "targets", "charts", "timeline", "routes", "batches"} {
			next(i, `"id":"`+id+`"`)
		}
		next(i, `"read":`)
	}
	if n := s.reads.Load(); n > 2 {
		t.Errorf("it was read %d times for %d viewers", n, viewers)
	}
	changed := *s.state.Load()
	changed.Routes = []dashboard.Route{{Name: "summaries", State: dashboard.Holds, Waiting: 4711}}
	s.state.Store(&changed)
	if line := next(0, `"html"`); !strings.Contains(line, "4,711") {
		t.Errorf("what is sent first is %.200s", line)
	}
	s.state.Store(nil) // Postgres is away: the page says so, and stands
	if line := next(1, `"away":true`); line == "" {
		t.Error("nobody is told")
	}
	stop()
}
