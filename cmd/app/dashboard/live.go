package dashboard

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"tidegate/jobs"
	"tidegate/store"
)

// stillThere is how often somebody who looks is told that the server lives, and is looked
// whether he may still.
const stillThere = 15 * time.Second

// live sends the sections that have changed, as they change.
func (p *Page) live(w http.ResponseWriter, r *http.Request, _ jobs.Key) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	stream := teller{w, http.NewResponseController(w)}
	v, ok := p.hub.enter(windowOf(r.URL.Query().Get("window")))
	if !ok { // who is told so by a status does not hear of it: browsers keep that to themselves
		_ = stream.tell("full", nil) // it may be gone
		return
	}
	defer p.hub.leave(v)
	if stream.tell("hello", nil) != nil {
		return
	}
	beat := time.NewTicker(stillThere)
	defer beat.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-beat.C:
			// While nobody can say whether he may, nothing new can be read either.
			if _, err := p.door.admit(r); err != nil && !store.Away(err) {
				return
			}
			if stream.tell("beat", nil) != nil {
				return
			}
		case <-v.wake:
			if p.send(&stream, v) != nil {
				return
			}
		}
	}
}

// A tick says of when what is shown is.
type tick struct {
	Now  int64 `json:"now"`  // milliseconds since 1970, by the server's clock
	Read int64 `json:"read"` // when it was read
	Away bool  `json:"away"` // and could not be read since
	// Version is the program's: a page of another one is loaded anew.
	Version string `json:"version"`
}

// send sends what has changed since the last time.
func (p *Page) send(to *teller, v *viewer) error {
	made, err := p.hub.sections(v.window)
	if err != nil {
		p.config.Log.Error().Err(err).Msg("the page could not be made")
		return err
	}
	for _, s := range made {
		if v.seen[s.ID] == s.hash {
			continue
		}
		if err := to.tell("section", map[string]string{"id": s.ID, "html": string(s.HTML)}); err != nil {
			return err
		}
		v.seen[s.ID] = s.hash
	}
	p.hub.mu.Lock()
	now := tick{Now: p.clock().UnixMilli(), Read: p.hub.readAt.UnixMilli(), Away: p.hub.away, Version: p.config.Version}
	p.hub.mu.Unlock()
	return to.tell("tick", now)
}

// A teller writes server-sent events.
type teller struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (t *teller) tell(event string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("telling an event: %w", err)
	}
	if _, err := fmt.Fprintf(t.w, "event: %s\ndata: %s\n\n", event, text); err != nil {
		return fmt.Errorf("telling an event: %w", err)
	}
	return t.control.Flush()
}
