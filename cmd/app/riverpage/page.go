package riverpage

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/rs/zerolog"
	"riverqueue.com/riverui"
)

const (
	// Prefix is below what the page is.
	Prefix = "/river"
	// idle is after what time without a request it ends: it counts jobs in the background
	// until then.
	idle = 5 * time.Minute
	// policy lets the page load what is its own; it has scripts and styles in its text.
	policy = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)

// steers are the requests that change something and may.
var steers = regexp.MustCompile(`^` + Prefix + `/api/queues/[^/]+/(pause|resume)$`)

// A Page is River's page. Make one with New; it is safe for concurrent use.
type Page struct {
	pool   *pgxpool.Pool
	log    zerolog.Logger
	ending context.Context // that of the program
	said   answers

	mu   sync.Mutex
	page http.Handler // nil: nobody looks
	stop context.CancelFunc
	idle *time.Timer
}

// New makes a page that ends with ending at the latest. It costs nothing until somebody
// looks.
func New(ending context.Context, pool *pgxpool.Pool, log zerolog.Logger) *Page {
	return &Page{pool: pool, log: log, ending: ending}
}

// ServeHTTP answers one request.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	if !reads && !steers.MatchString(r.URL.Path) {
		http.Error(w, `{"message":"Jobs are only shown here: use tidegate cancel and tidegate retry, which know the requests behind them."}`, http.StatusForbidden)
		return
	}
	page, err := p.begin()
	if err != nil {
		p.log.Error().Err(err).Msg("River's page did not begin")
		http.Error(w, "River's page did not begin; the log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Security-Policy", policy)
	switch {
	case r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, Prefix+"/api/"):
		p.said.serve(w, r, page)
	default:
		page.ServeHTTP(w, r)
		if !reads {
			p.said.forget()
		}
	}
}

// begin starts the page, or has it go on.
func (p *Page) begin() (http.Handler, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.page != nil {
		p.idle.Reset(idle)
		return p.page, nil
	}
	client, err := river.NewClient(riverpgxv5.New(p.pool), &river.Config{Schema: "tidegate"}) // which works nothing
	if err != nil {
		return nil, fmt.Errorf("preparing River's page: %w", err)
	}
	made, err := riverui.NewHandler(&riverui.HandlerOpts{
		Endpoints: riverui.NewEndpoints[pgx.Tx](client, nil), JobListHideArgsByDefault: true, Prefix: Prefix,
		Logger: slog.New(zerolog.NewSlogHandler(p.log.Level(max(zerolog.WarnLevel, p.log.GetLevel())))),
	})
	if err != nil {
		return nil, fmt.Errorf("preparing River's page: %w", err)
	}
	ctx, cancel := context.WithCancel(p.ending)
	if err := made.Start(ctx); err != nil {
		cancel()
		return nil, fmt.Errorf("starting River's page: %w", err)
	}
	p.page, p.stop, p.idle = made, cancel, time.AfterFunc(idle, p.end)
	return made, nil
}

// end ends the page until somebody looks again.
func (p *Page) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stop()
	p.page = nil
}
