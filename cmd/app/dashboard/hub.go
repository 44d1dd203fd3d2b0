package dashboard

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"tidegate/store"
)

const (
	// readEvery is how often it is read how everything stands, while somebody looks, and
	// pastEvery how often what was.
	readEvery, pastEvery = 2 * time.Second, 5 * time.Second
	// readWithin bounds a reading, and goodFor is for how long one is good enough for who
	// comes anew.
	readWithin, goodFor = 10 * time.Second, 3 * time.Second
	// mostViewers bounds who looks at a time.
	mostViewers = 200
)

// A hub reads how everything stands, once for all who look, and only while somebody does.
// Safe for concurrent use.
type hub struct {
	read    func(context.Context) (*Overview, error)
	history *history
	render  *renderer
	failed  func(error) // told when reading fails, and with nil when it does not any more
	now     func() time.Time

	reading sync.Mutex // one reads at a time

	mu      sync.Mutex
	state   *Overview
	readAt  time.Time
	pastAt  time.Time
	away    bool      // the last reading failed
	why     error     // it did
	since   time.Time // it fails
	viewers map[*viewer]bool
	stop    context.CancelFunc // of who reads; nil: nobody
}

// A viewer is somebody who looks.
type viewer struct {
	window window
	wake   chan struct{}
	seen   map[string][sha256.Size]byte // sections, as they were sent
}

// enter begins to look. It returns false if too many do.
func (h *hub) enter(w window) (*viewer, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.viewers) >= mostViewers {
		return nil, false
	}
	v := &viewer{window: w, wake: make(chan struct{}, 1), seen: map[string][sha256.Size]byte{}}
	h.viewers[v] = true
	if h.stop == nil {
		ctx, cancel := context.WithCancel(context.Background())
		h.stop = cancel
		go h.run(ctx)
	}
	return v, true
}

func (h *hub) leave(v *viewer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.viewers, v)
	if len(h.viewers) == 0 && h.stop != nil {
		h.stop()
		h.stop = nil
	}
}

// run reads until ctx ends.
func (h *hub) run(ctx context.Context) {
	ticker := time.NewTicker(readEvery)
	defer ticker.Stop()
	for {
		h.refresh(ctx, readEvery/2)
		h.tell()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// tell wakes who looks.
func (h *hub) tell() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for v := range h.viewers {
		select {
		case v.wake <- struct{}{}:
		default:
		}
	}
}

// again has it read at once: somebody changed something.
func (h *hub) again(ctx context.Context) {
	h.refresh(ctx, 0)
	h.tell()
}

// refresh reads, unless what was read is not older than that.
func (h *hub) refresh(ctx context.Context, age time.Duration) {
	h.reading.Lock()
	defer h.reading.Unlock()
	h.mu.Lock()
	fresh := h.state != nil && !h.away && age > 0 && h.now().Sub(h.readAt) < age
	past := h.now().Sub(h.pastAt) >= pastEvery
	h.mu.Unlock()
	if fresh {
		return
	}
	within, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	state, err := h.read(within)
	if err == nil && past {
		err = h.history.refresh(within, state.At)
	}
	if err != nil && ctx.Err() != nil { // who reads has gone
		return
	}
	h.failed(err)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil && !h.away {
		h.since = h.now()
		if h.since.Sub(h.readAt) < 2*readWithin { // somebody looked then: it has answered last
			h.since = h.readAt
		}
	}
	h.render.forget()
	h.why = err
	if h.away = err != nil; h.away {
		return
	}
	h.state, h.readAt = state, h.now()
	if past {
		h.pastAt = h.readAt
	}
}

// A view is all that one looks at.
type view struct {
	*Overview
	Headline Headline
	Window   window
	Windows  []window
	Past     *past
	Away     *away // nil: it is so; else it is how it was
	timeline timeline
}

// away is that it cannot be read how everything stands.
type away struct {
	Why      string
	Since    time.Time
	Headline Headline // as it was
}

// lost is what one must know while nothing can be read.
func lost(was Headline, err error, since time.Time) (now Headline, is *away) {
	is = &away{Why: "It cannot be read how everything stands", Since: since, Headline: was}
	if store.Away(err) {
		is.Why = "Postgres does not answer"
	}
	return Headline{Mood: alarm, Text: is.Why, Since: since, Say: is.Why + ". What is shown is how it was."}, is
}

// view is how everything stands, as of the last reading; nil: nothing was read yet.
func (h *hub) view(w window) *view {
	h.mu.Lock()
	state, away, why, since := h.state, h.away, h.why, h.since
	h.mu.Unlock()
	if state == nil {
		return nil
	}
	p := h.history.look(w, state.At)
	names, routes := make([]string, len(state.Targets)), make([]string, len(state.Routes))
	for i := range state.Targets {
		names[i] = state.Targets[i].Name
	}
	for i := range state.Routes {
		routes[i] = state.Routes[i].Name
	}
	p.flow.sort(names)
	p.spend.sort(names)
	p.backlog.sort(routes)
	headline := state.headline()
	state = state.troubleFirst()
	v := &view{Overview: state, Headline: headline, Window: w, Windows: windows, Past: p, timeline: h.history.timeline(w, state.At, state)}
	if away {
		v.Headline, v.Away = lost(v.Headline, why, since)
	}
	return v
}

// sections are all parts of the page as they stand.
func (h *hub) sections(w window) ([]section, error) {
	h.mu.Lock()
	at := h.readAt
	if h.away {
		at = at.Add(1) // another page than that of the same reading
	}
	h.mu.Unlock()
	return h.render.sections(w, at, func() *view { return h.view(w) })
}
