package dashboard

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"tidegate/jobs"
	"tidegate/store"
)

// Config is what a Page is made of.
type Config struct {
	Store *store.Store
	// Read reads how everything stands.
	Read func(ctx context.Context) (*Overview, error)
	// Local tells whether there is no key, so that whoever comes from this machine is let
	// in; and why somebody who asks is not.
	Local func(r *http.Request) (open bool, err error)
	Steer Steer
	// Explain tells the story of a request. It returns store.ErrNotFound if there is none.
	Explain func(ctx context.Context, request, batch string) (*Story, error)
	// Batch shows a batch, and its requests in a state (empty: all) behind one of them
	// (empty: from the first). It returns store.ErrNotFound if there is none.
	Batch func(ctx context.Context, id, state, after string) (*BatchStory, error)
	// Batches lists batches, the newest first, behind one of them (empty: from the newest).
	Batches func(ctx context.Context, before string) (*BatchList, error)
	// River is River's own page, under /river/; nil: it is not there.
	River   http.Handler
	Version string // of the program
	Log     zerolog.Logger
	Now     func() time.Time // nil: time.Now
}

// Steer is what somebody may do from here, beside what the Store does.
type Steer interface {
	Pause(ctx context.Context, route, reason string) error
	Resume(ctx context.Context, route string) error
	// Retry has the failed requests of a batch tried again, and says what it made.
	Retry(ctx context.Context, batch string) (string, error)
}

// A Page answers browsers. Make one with New; it is safe for concurrent use.
type Page struct {
	config Config
	hub    *hub
	render *renderer
	door   *door
	files  map[string]file
	cross  *http.CrossOriginProtection
}

// A file is one of the page's own.
type file struct {
	kind, tag string
	data      []byte
}

// A Handler answers one pattern, as of http.ServeMux.
type Handler struct {
	Pattern string
	Stream  bool // it goes on for as long as somebody looks
	http.Handler
}

// New makes a page.
func New(config Config) *Page {
	if config.Now == nil {
		config.Now = time.Now
	}
	render := newRenderer(config.Version)
	p := &Page{config: config, render: render, door: newDoor(&config), files: readFiles(), cross: http.NewCrossOriginProtection()}
	var once sync.Mutex
	failing := false
	p.hub = &hub{
		read: config.Read, history: &history{records: config.Store}, render: render, viewers: map[*viewer]bool{}, now: config.Now,
		failed: func(err error) {
			once.Lock()
			defer once.Unlock()
			if err != nil && !failing {
				config.Log.Warn().Err(err).Msg("the page shows how everything stood: it could not be read how it stands; it is repeated")
			}
			failing = err != nil
		},
	}
	return p
}

// Handlers are all that the page answers.
func (p *Page) Handlers() []Handler {
	all := []Handler{
		{Pattern: "GET /{$}", Handler: p.guard(p.overview)},
		{Pattern: "GET /page/live", Stream: true, Handler: p.guard(p.live)},
		{Pattern: "GET /page/alive", Handler: p.guard(func(w http.ResponseWriter, _ *http.Request, _ jobs.Key) { w.WriteHeader(http.StatusNoContent) })},
		{Pattern: "GET /page/act", Handler: p.guard(p.askAct)},
		{Pattern: "POST /page/act", Handler: p.guard(p.act)},
		{Pattern: "GET /page/request", Handler: p.guard(p.request)},
		{Pattern: "GET /page/batch", Handler: p.guard(p.batch)},
		{Pattern: "GET /page/batches", Handler: p.guard(p.batches)},
		{Pattern: "GET /page/file/{name}", Handler: http.HandlerFunc(p.file)},
		{Pattern: "GET /login", Handler: p.headed(http.HandlerFunc(p.askLogin))},
		{Pattern: "POST /login", Handler: p.headed(p.cross.Handler(http.HandlerFunc(p.login)))},
		{Pattern: "POST /logout", Handler: p.headed(p.cross.Handler(http.HandlerFunc(p.logout)))},
		{Pattern: "GET /favicon.ico", Handler: http.RedirectHandler("/page/file/icon.svg", http.StatusMovedPermanently)},
	}
	if p.config.River != nil {
		river := p.guardRiver(p.config.River)
		all = append(all, Handler{Pattern: "/river/", Handler: river})
	}
	return all
}

// policy lets a page load what is the program's own, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// headed has an answer say what a browser may do with it.
func (p *Page) headed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// A layout is what every page has around what it says.
type layout struct {
	Title  string
	Keyed  bool // somebody is logged in, and may log out
	River  bool
	Files  map[string]string // addresses of files
	Body   any
	Window window
}

func (p *Page) layout(title string, key jobs.Key, body any) layout {
	l := layout{Title: title, Keyed: key.ID != "", River: p.config.River != nil, Body: body, Files: map[string]string{}}
	for name, f := range p.files {
		l.Files[strings.ReplaceAll(name, ".", "_")] = "/page/file/" + name + "?" + f.tag
	}
	return l
}

// show answers with a page.
func (p *Page) show(w http.ResponseWriter, status int, name string, l layout) {
	var text bytes.Buffer
	if err := p.render.pages.ExecuteTemplate(&text, name, l); err != nil {
		p.config.Log.Error().Err(err).Str("page", name).Msg("a page could not be made")
		http.Error(w, "The page could not be made; the log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes()) // the browser may be gone
}

// overview is the page itself.
func (p *Page) overview(w http.ResponseWriter, r *http.Request, key jobs.Key) {
	chosen := windowOf(r.URL.Query().Get("window"))
	p.hub.refresh(r.Context(), goodFor)
	made, err := p.hub.sections(chosen)
	if err == nil && made == nil {
		p.say(w, r, http.StatusServiceUnavailable, key, p.hub.unread())
		return
	}
	if err != nil {
		p.config.Log.Error().Err(err).Msg("the page could not be made")
		p.say(w, r, http.StatusInternalServerError, key, plain{"The page could not be made", "The server's log says why.", false})
		return
	}
	l := p.layout("Tidegate", key, made)
	l.Window = chosen
	p.show(w, http.StatusOK, "page.html", l)
}

// A plain page says one thing.
type plain struct {
	Title, Text string
	Again       bool // it is loaded anew by itself
}

// say answers with one thing that is said: a page of its own, or what a page shows above
// itself.
func (p *Page) say(w http.ResponseWriter, r *http.Request, status int, key jobs.Key, what plain) {
	name := "plain.html"
	if r.Header.Get("X-Part") != "" {
		name = "plain-part"
	}
	p.show(w, status, name, p.layout(what.Title, key, what))
}

// unread says why nothing was read yet.
func (h *hub) unread() plain {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.why != nil && !store.Away(h.why) {
		return plain{"It cannot be read how everything stands", "The server's log says why; `tidegate doctor` finds what is wrong, as a database that is not up to date. It is looked again by itself.", true}
	}
	return plain{"Postgres does not answer", "So nobody knows how everything stands. It is looked again by itself.", true}
}

// readFiles reads what browsers load beside a page.
func readFiles() map[string]file {
	files := map[string]file{}
	for _, name := range []string{"page.css", "page.js", "theme.js", "icon.svg"} {
		data, err := fs.ReadFile(assets, "assets/"+name)
		if err != nil {
			panic(err) // it is not in the program
		}
		sum := sha256.Sum256(data)
		kind := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}[path.Ext(name)]
		files[name] = file{kind, hex.EncodeToString(sum[:6]), data}
	}
	return files
}

// file answers with a file. Its address changes with what is in it.
func (p *Page) file(w http.ResponseWriter, r *http.Request) {
	f, known := p.files[r.PathValue("name")]
	if !known {
		http.NotFound(w, r)
		return
	}
	age := "no-cache"
	if r.URL.RawQuery == f.tag {
		age = "public, max-age=31536000, immutable"
	}
	w.Header().Set("Cache-Control", age)
	w.Header().Set("ETag", `"`+f.tag+`"`)
	w.Header().Set("Content-Type", f.kind)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.data))
}

// clock is what time it is.
func (p *Page) clock() time.Time { return p.config.Now() }

// orKey is what a key is called in the log.
func orKey(key jobs.Key) string { return cmp.Or(key.ID, "none: it came from this machine") }
