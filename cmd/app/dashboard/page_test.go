package dashboard_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
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
			if request != "known" {
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

// What Postgres says is not for who is not in.
func TestNobodyKnowsWhoMayComeIn(t *testing.T) {
	t.Parallel()
	s := newSite(t, true)
	for why, want := range map[error]string{
		errors.New(`relation "tidegate.keys" does not exist`): "tidegate migrate",
		context.DeadlineExceeded:                              "Postgres does not answer",
	} {
		s.door.Store(&why)
		got := s.ask(http.MethodGet, "/", nil)
		if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, want) || strings.Contains(got.body, "relation") || !strings.Contains(got.body, "data-again") {
			t.Errorf("%d: %s", got.status, got.body)
		}
		if part := s.ask(http.MethodPost, "/page/act", url.Values{"do": {"resume"}, "name": {"summaries"}}, "X-Part", "1"); part.status != http.StatusServiceUnavailable || s.did.Load() != nil || !strings.Contains(part.body, "data-close") || strings.Contains(part.body, "<html") {
			t.Errorf("%d: %s", part.status, part.body)
		}
	}
}

// Nobody comes in without a session, and no session comes without a key that has the scope.
func TestLogin(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	for path, want := range map[string]int{"/": http.StatusSeeOther, "/page/live": http.StatusUnauthorized, "/page/alive": http.StatusUnauthorized, "/page/request?id=known": http.StatusUnauthorized, "/page/act?do=pause&name=summaries": http.StatusUnauthorized, "/login": http.StatusOK} {
		got := s.ask(http.MethodGet, path, nil)
		if got.status != want || strings.Contains(got.body, "summaries") {
			t.Errorf("%s without a session: %d, %s", path, got.status, got.body)
		}
	}
	if got := s.ask(http.MethodPost, "/page/act", url.Values{"do": {"pause"}, "name": {"summaries"}}); got.status != http.StatusUnauthorized || s.did.Load() != nil {
		t.Errorf("an act without a session: %d", got.status)
	}
	_, reads := s.key(jobs.ScopeRead, jobs.ScopeSubmit)
	id, whole := s.key(jobs.ScopeAdmin)
	if got := s.login("tg_0123456789abcdef_wrong"); got.status != http.StatusUnauthorized || strings.Contains(got.body, "wrong") && strings.Contains(got.body, "0123456789abcdef") {
		t.Errorf("a wrong key: %d, %s", got.status, got.body)
	}
	if got := s.login(reads); got.status != http.StatusForbidden || !strings.Contains(got.body, "lacks the scope admin") || got.header.Get("Set-Cookie") != "" {
		t.Errorf("a key without the scope: %d, %s", got.status, got.body)
	}
	in := s.login(" " + whole + " ")
	cookie := in.header.Get("Set-Cookie")
	if in.status != http.StatusSeeOther || in.header.Get("Location") != "/?window=24h" || strings.Contains(cookie, whole) {
		t.Errorf("%d, to %s with %s", in.status, in.header.Get("Location"), cookie)
	}
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("the cookie is not %s: %s", want, cookie)
		}
	}
	if got := s.ask(http.MethodGet, "/", nil); got.status != http.StatusOK || !strings.Contains(got.body, "Log out") {
		t.Errorf("logged in: %d", got.status)
	}
	if err := s.store.RevokeKey(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	fixture.Await(t, soon, "the session ends with its key", func() bool { return s.ask(http.MethodGet, "/", nil).status == http.StatusSeeOther })
}

func TestLogout(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	_, whole := s.key(jobs.ScopeAdmin)
	token := strings.TrimPrefix(strings.Split(s.login(whole).header.Get("Set-Cookie"), ";")[0], "tidegate_session=")
	if _, err := s.store.Session(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if got := s.ask(http.MethodPost, "/logout", nil); got.status != http.StatusSeeOther || got.header.Get("Location") != "/login" {
		t.Errorf("%d to %s", got.status, got.header.Get("Location"))
	}
	if _, err := s.store.Session(t.Context(), token); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the session goes on: %v", err)
	}
	if got := s.ask(http.MethodGet, "/", nil, "Cookie", "tidegate_session="+token); got.status != http.StatusSeeOther {
		t.Errorf("with the old cookie: %d", got.status)
	}
}

// Who tries keys is told to wait, with a good one, too.
func TestTriesAreFew(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	_, whole := s.key(jobs.ScopeAdmin)
	for range 10 {
		if got := s.login("tg_0123456789abcdef_wrong"); got.status != http.StatusUnauthorized {
			t.Fatalf("%d: %s", got.status, got.body)
		}
	}
	if got := s.login(whole); got.status != http.StatusTooManyRequests || got.header.Get("Set-Cookie") != "" {
		t.Errorf("after ten: %d", got.status)
	}
}

// Of many that come at once no more are looked at; and who has the right key may come as
// often as he likes.
func TestTriesAtOnceAreFew(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	_, whole := s.key(jobs.ScopeAdmin)
	for range 15 {
		if got := s.login(whole); got.status != http.StatusSeeOther {
			t.Fatalf("with a good key: %d", got.status)
		}
	}
	s.fresh()
	var looked atomic.Int32
	var all sync.WaitGroup
	for range 60 {
		all.Go(func() {
			got, err := s.client.PostForm(s.URL+"/login", url.Values{"key": {"tg_0123456789abcdef_wrong"}})
			if err != nil {
				t.Error(err)
				return
			}
			_ = got.Body.Close()
			if got.StatusCode == http.StatusUnauthorized {
				looked.Add(1)
			}
		})
	}
	all.Wait()
	if n := looked.Load(); n < 1 || n > 11 {
		t.Errorf("of 60 wrong keys at once, %d were looked at", n)
	}
}

// Where one goes after the login is a page of this site.
func TestLoginLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	_, whole := s.key(jobs.ScopeAdmin)
	for to, want := range map[string]string{
		"/page/request?id=1": "/page/request?id=1", "": "/", "https://evil.example/": "/", "//evil.example": "/", `/\evil.example`: "/", "javascript:alert(1)": "/", "page": "/",
	} {
		got := s.ask(http.MethodPost, "/login", url.Values{"key": {whole}, "next": {to}})
		if got.header.Get("Location") != want {
			t.Errorf("%q leads to %q", to, got.header.Get("Location"))
		}
	}
}

// Another site's page makes nobody do anything here.
func TestOtherSitesDoNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, true)
	form := url.Values{"do": {"pause"}, "name": {"summaries"}}
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}} {
		for _, path := range []string{"/page/act", "/login", "/logout"} {
			if got := s.ask(http.MethodPost, path, form, header...); got.status != http.StatusForbidden || s.did.Load() != nil {
				t.Errorf("%s with %v: %d", path, header, got.status)
			}
		}
	}
	if got := s.ask(http.MethodGet, "/page/act?do=pause&name=summaries&reason=x", nil); got.status != http.StatusOK || s.did.Load() != nil {
		t.Errorf("a look at the form does it: %d", got.status)
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
	if got := s.ask(http.MethodGet, "/page/batch?id=%3Cb%3E", nil); got.status != http.StatusNotFound || strings.Contains(got.body, "<b>") {
		t.Errorf("of none: %d, %s", got.status, got.body)
	}
}

// Who follows a link of another site comes without his cookie, and is led on by a page of
// this one; nobody else is.
func TestLinksOfOtherSitesLeadIn(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	cross := []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}
	got := s.ask(http.MethodGet, "/page/request?id=%22%3E1", nil, cross...)
	if got.status != http.StatusOK || !strings.Contains(got.body, `content="0; url=/login?next=%2Fpage%2Frequest%3Fid%3D%2522%253E1"`) || strings.Contains(got.body, "summaries") {
		t.Errorf("%d: %s", got.status, got.body)
	}
	for _, header := range [][]string{nil, {"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate"}, {"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors"}} {
		if got := s.ask(http.MethodGet, "/?window=15m", nil, header...); got.status != http.StatusSeeOther || got.header.Get("Location") != "/login?next=%2F%3Fwindow%3D15m" {
			t.Errorf("with %v: %d to %s", header, got.status, got.header.Get("Location"))
		}
	}
	_, whole := s.key(jobs.ScopeAdmin)
	s.login(whole)
	if got := s.ask(http.MethodGet, "/login?next=%2F%3Fwindow%3D15m", nil); got.status != http.StatusSeeOther || got.header.Get("Location") != "/?window=15m" {
		t.Errorf("who is logged in: %d to %s", got.status, got.header.Get("Location"))
	}
}

// River's own page is behind the same login, and what it shows stays in no cache.
func TestRiverIsBehindTheLogin(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	for method, want := range map[string]int{http.MethodGet: http.StatusSeeOther, http.MethodPost: http.StatusUnauthorized, http.MethodPut: http.StatusUnauthorized} {
		if got := s.ask(method, "/river/api/queues", nil); got.status != want || strings.Contains(got.body, "river /") {
			t.Errorf("%s without a session: %d", method, got.status)
		}
	}
	_, whole := s.key(jobs.ScopeAdmin)
	s.login(whole)
	for path, cached := range map[string]string{"/river/": "no-store", "/river/api/jobs": "no-store", "/river/assets/a.js": ""} {
		got := s.ask(http.MethodGet, path, nil)
		if got.body != "river "+path || got.header.Get("Cache-Control") != cached || got.header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: %d, %v", path, got.status, got.header)
		}
	}
	if got := s.ask(http.MethodPost, "/river/api/queues/a/pause", nil, "Sec-Fetch-Site", "cross-site"); got.status != http.StatusForbidden {
		t.Errorf("of another site: %d", got.status)
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
