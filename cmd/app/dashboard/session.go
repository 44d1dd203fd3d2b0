package dashboard

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"tidegate/jobs"
	"tidegate/store"
)

const (
	cookieName = "tidegate_session"
	// sessionLasts is how long somebody is logged in at most.
	sessionLasts = 12 * time.Hour
	// sessionGood is how long a session that was good is taken for good, as a key is.
	sessionGood = 3 * time.Second
	// admitWithin is how long Postgres may take to say who somebody is.
	admitWithin = 5 * time.Second
	// triesAtOnce may fail from one address, and then one every triesEach.
	triesAtOnce, triesEach = 10, 6 * time.Second
	// mostKnown bounds what is remembered of sessions and addresses.
	mostKnown = 10_000
)

// A door knows who is let in. Safe for concurrent use.
type door struct {
	store *store.Store
	local func(*http.Request) (bool, error)
	now   func() time.Time

	mu    sync.Mutex
	good  map[string]goodSession // by what its cookie says
	tries map[string]try         // that failed, by address
}

type goodSession struct {
	key   jobs.Key
	until time.Time
}

type try struct {
	failed int
	since  time.Time
}

func newDoor(config *Config) *door {
	return &door{store: config.Store, local: config.Local, now: config.Now, good: map[string]goodSession{}, tries: map[string]try{}}
}

var errNoSession = errors.New("nobody is logged in")

// An unknownError is that nobody can say who may come in: what Postgres says of it is not
// for who is not in.
type unknownError struct{ error }

func (e unknownError) Unwrap() error { return e.error }

// admit finds out who asks. Without keys it is whoever comes from this machine. A key that
// has lost the scope admin is none: keys do not change, but programs do.
func (d *door) admit(r *http.Request) (jobs.Key, error) {
	open, err := d.local(r)
	switch {
	case open:
		return jobs.Key{Tenant: jobs.DefaultTenant, Scopes: jobs.KeyScopes()}, err
	case err != nil:
		return jobs.Key{}, unknownError{err}
	}
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return jobs.Key{}, errNoSession
	}
	now := d.now()
	d.mu.Lock()
	known, ok := d.good[cookie.Value]
	d.mu.Unlock()
	if ok && now.Before(known.until) {
		return known.key, nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), admitWithin)
	defer cancel()
	key, err := d.store.Session(ctx, cookie.Value)
	if errors.Is(err, store.ErrNotFound) || err == nil && !slices.Contains(key.Scopes, jobs.ScopeAdmin) {
		err = errNoSession
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		delete(d.good, cookie.Value)
		if !errors.Is(err, errNoSession) {
			err = unknownError{err}
		}
		return jobs.Key{}, err
	}
	if len(d.good) >= mostKnown {
		clear(d.good)
	}
	d.good[cookie.Value] = goodSession{key, now.Add(sessionGood)}
	return key, nil
}

// mayTry tells whether an address may try another key, and counts the try as one that
// failed: of many that come at once only so many are looked at.
func (d *door) mayTry(from string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.tries) >= mostKnown {
		clear(d.tries)
	}
	t, now := d.tries[from], d.now()
	gone := int(now.Sub(t.since) / triesEach)
	if t.failed -= gone; t.failed <= 0 {
		t = try{since: now}
	} else {
		t.since = t.since.Add(time.Duration(gone) * triesEach)
	}
	if t.failed >= triesAtOnce {
		return false
	}
	t.failed++
	d.tries[from] = t
	return true
}

// spare takes a try back that did not fail, or of which nobody knows.
func (d *door) spare(from string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t, known := d.tries[from]; known {
		t.failed = max(0, t.failed-1)
		d.tries[from] = t
	}
}

func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// guard lets in who may see everything.
func (p *Page) guard(next func(http.ResponseWriter, *http.Request, jobs.Key)) http.Handler {
	return p.headed(p.cross.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, err := p.door.admit(r)
		if err != nil {
			p.refuse(w, r, err)
			return
		}
		next(w, r, key)
	})))
}

// guardRiver does it for River's own page, which loads what it needs in its own way.
func (p *Page) guardRiver(next http.Handler) http.Handler {
	return p.cross.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, err := p.door.admit(r)
		if err != nil {
			p.headed(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.refuse(w, r, err) })).ServeHTTP(w, r)
			return
		}
		w.Header().Set("X-Frame-Options", "DENY")
		w.Header().Set("Referrer-Policy", "same-origin")
		if !strings.Contains(r.URL.Path, "/assets/") { // those are in the program, and the same for all
			w.Header().Set("Cache-Control", "no-store")
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			p.config.Log.Info().Str("method", r.Method).Str("path", r.URL.Path).Str("key", orKey(key)).Msg("somebody steers from River's page")
		}
		next.ServeHTTP(w, r)
	}))
}

// refuse sends who is not logged in to the login, and says to others why not.
func (p *Page) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var unknown unknownError
	switch {
	case errors.Is(err, errNoSession) && r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Site") == "cross-site":
		// Who follows a link of another site comes without his cookie, and a redirect
		// would not bring it. A page of ours that leads on does.
		p.show(w, http.StatusOK, "hop.html", p.layout("Tidegate", jobs.Key{}, loginThen(r)))
	case errors.Is(err, errNoSession) && r.Method == http.MethodGet && !strings.HasPrefix(r.URL.Path, "/page/"):
		http.Redirect(w, r, loginThen(r), http.StatusSeeOther)
	case errors.Is(err, errNoSession):
		p.say(w, r, http.StatusUnauthorized, jobs.Key{}, plain{"You are not logged in", "The session is over, or its key is. Log in again at /login.", false})
	case store.Away(err):
		p.say(w, r, http.StatusServiceUnavailable, jobs.Key{}, plain{"Postgres does not answer", "So nobody knows who may come in. It is looked again by itself.", true})
	case errors.As(err, &unknown):
		p.config.Log.Error().Err(err).Msg("nobody is let in to the page: it cannot be read who may come in")
		p.say(w, r, http.StatusServiceUnavailable, jobs.Key{}, plain{"It cannot be read who may come in", "The server's log says why; `tidegate doctor` finds what is wrong, as a database without `tidegate migrate`. It is looked again by itself.", true})
	default:
		p.say(w, r, http.StatusForbidden, jobs.Key{}, plain{"You are not let in", err.Error(), false})
	}
}

// loginThen is the login that leads to what was asked for.
func loginThen(r *http.Request) string {
	if r.URL.RequestURI() == "/" {
		return "/login"
	}
	return "/login?next=" + url.QueryEscape(r.URL.RequestURI())
}

// A loginForm is what the login shows.
type loginForm struct{ Next, Error string }

func (p *Page) askLogin(w http.ResponseWriter, r *http.Request) {
	if _, err := p.door.admit(r); err == nil {
		http.Redirect(w, r, next(r.URL.Query().Get("next")), http.StatusSeeOther)
		return
	}
	p.show(w, http.StatusOK, "login.html", p.layout("Log in", jobs.Key{}, loginForm{Next: next(r.URL.Query().Get("next"))}))
}

// next is where to go after the login: to a page of ours, and nowhere else.
func next(to string) string {
	at, err := url.Parse(to)
	if err != nil || at.IsAbs() || at.Host != "" || !strings.HasPrefix(at.Path, "/") || strings.HasPrefix(to, "//") || strings.Contains(to, `\`) {
		return "/"
	}
	return at.RequestURI()
}

// login opens a session for who has a key with the scope admin.
func (p *Page) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 8<<10)
	from, form := address(r), loginForm{Next: next(r.PostFormValue("next"))}
	again := func(status int, why string) {
		form.Error = why
		p.show(w, status, "login.html", p.layout("Log in", jobs.Key{}, form))
	}
	if !p.door.mayTry(from) {
		again(http.StatusTooManyRequests, "Too many keys from your address were wrong. Wait a minute, and try again.")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), admitWithin)
	defer cancel()
	key, err := p.config.Store.Unlock(ctx, strings.TrimSpace(r.PostFormValue("key")))
	switch {
	case errors.Is(err, store.ErrNotFound):
		again(http.StatusUnauthorized, "This key is not known, or no longer good. `tidegate keys` lists those that are.")
		return
	case err == nil && !slices.Contains(key.Scopes, jobs.ScopeAdmin):
		again(http.StatusForbidden, "This key lacks the scope admin. The page shows all tenants, so it is for keys with that scope alone: tidegate keys create --scope admin.")
		return
	}
	p.door.spare(from)
	token := ""
	if err == nil {
		token, err = p.config.Store.OpenSession(ctx, key, sessionLasts)
	}
	if err != nil {
		p.config.Log.Error().Err(err).Msg("a login failed")
		again(http.StatusServiceUnavailable, "The database cannot be reached now. Try again in some seconds.")
		return
	}
	http.SetCookie(w, sessionCookie(r, token, int(sessionLasts.Seconds())))
	p.config.Log.Info().Str("key", key.ID).Msg("somebody has logged in to the page")
	http.Redirect(w, r, form.Next, http.StatusSeeOther)
}

func sessionCookie(r *http.Request, value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	}
}

// logout ends a session.
func (p *Page) logout(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie(cookieName); err == nil {
		p.door.mu.Lock()
		delete(p.door.good, cookie.Value)
		p.door.mu.Unlock()
		ctx, cancel := context.WithTimeout(r.Context(), readWithin)
		defer cancel()
		if err := p.config.Store.CloseSession(ctx, cookie.Value); err != nil {
			p.config.Log.Warn().Err(err).Msg("a session was not closed; it ends by itself")
		}
	}
	http.SetCookie(w, sessionCookie(r, "", -1))
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}
