package dashboard_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/store"
)

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
