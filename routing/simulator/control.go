package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// controlName is below which path the commands are. No provider can have the
// name, because names begin with a letter or a digit.
const controlName = "_simulator"

// faultJSON is a Fault as people write it: durations are texts such as "30s".
type faultJSON struct {
	Mode       string  `json:"mode"`
	Rate       float64 `json:"rate,omitempty"`
	RetryAfter string  `json:"retry_after,omitempty"`
	Delay      string  `json:"delay,omitempty"`
	For        string  `json:"for,omitempty"`
	Code       string  `json:"code,omitempty"`
}

// stateJSON is what a provider is doing.
type stateJSON struct {
	Name    string     `json:"name"`
	Dialect string     `json:"dialect"`
	BaseURL string     `json:"base_url"`
	Models  []string   `json:"models"`
	Fault   *faultJSON `json:"fault"`           // null: it is well
	Since   *time.Time `json:"since,omitempty"` // when the fault began
	Until   *time.Time `json:"until,omitempty"` // when it ends by itself
	// Capacity is null where everything is carried.
	Capacity *toldCapacityJSON `json:"capacity"`
	Calls    callsJSON         `json:"calls"`
	Seen     *seenJSON         `json:"seen,omitempty"`
}

type callsJSON struct {
	Total    int          `json:"total"`
	InFlight int          `json:"in_flight"`
	Outcomes map[Mode]int `json:"outcomes"`
	First    *time.Time   `json:"first,omitempty"`
	Last     *time.Time   `json:"last,omitempty"`
}

type seenJSON struct {
	Distinct      int `json:"distinct"`
	Repeated      int `json:"repeated"`
	Answered      int `json:"answered"`
	AnsweredTwice int `json:"answered_twice"`
}

// control answers below /_simulator.
func (s *Server) control(w http.ResponseWriter, r *http.Request, path string) {
	if strings.Trim(path, "/") == "" {
		if allow(w, r, http.MethodGet) {
			writeJSON(w, http.StatusOK, map[string]any{"providers": s.states(s.providers)})
		}
		return
	}
	parts := strings.Split(path, "/")
	what := ""
	if len(parts) == 3 {
		what = parts[2]
	}
	answer, known := controls[what]
	if parts[0] != "providers" || len(parts) < 2 || len(parts) > 3 || !known || len(parts) == 3 && what == "" {
		writeProblem(w, http.StatusNotFound, fmt.Errorf("path: /%s/%s is not known; use /%[1]s, /%[1]s/providers/{name}, or the same with /fault, /capacity or /seconds", controlName, path))
		return
	}
	if _, err := s.choose(parts[1]); err != nil {
		writeProblem(w, http.StatusNotFound, err)
		return
	}
	answer(s, w, r, parts[1])
}

// controls are what there is of a provider, by the end of its path. The name
// was looked up before.
var controls = map[string]func(s *Server, w http.ResponseWriter, r *http.Request, name string){
	"": (*Server).tellState,
	"fault": func(s *Server, w http.ResponseWriter, r *http.Request, name string) {
		s.command(w, r, name, order{s.readFault, s.Clear})
	},
	"capacity": func(s *Server, w http.ResponseWriter, r *http.Request, name string) {
		s.command(w, r, name, order{s.readCapacity, s.endCapacity})
	},
	"seconds": (*Server).tellSeconds,
}

// tellState answers with what the named providers do now.
func (s *Server) tellState(w http.ResponseWriter, r *http.Request, name string) {
	if !allow(w, r, http.MethodGet) {
		return
	}
	chosen, _ := s.choose(name)
	writeJSON(w, http.StatusOK, map[string]any{"providers": s.states(chosen)})
}

// An order is how something of a provider is set from a body, and ended.
type order struct {
	set func(name string, body *json.Decoder) error
	end func(name string) error
}

// command does what the method says, and answers with what the named providers
// do now.
func (s *Server) command(w http.ResponseWriter, r *http.Request, name string, do order) {
	if !allow(w, r, http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodGet) {
		return
	}
	var err error
	switch r.Method {
	case http.MethodPut, http.MethodPost:
		body := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
		body.DisallowUnknownFields()
		err = do.set(name, body)
	case http.MethodDelete:
		err = do.end(name)
	}
	if err != nil {
		writeProblem(w, http.StatusBadRequest, err)
		return
	}
	chosen, _ := s.choose(name)
	writeJSON(w, http.StatusOK, map[string]any{"providers": s.states(chosen)})
}

func (s *Server) readFault(name string, body *json.Decoder) error {
	var in faultJSON
	if err := body.Decode(&in); err != nil {
		return fmt.Errorf(`body: %w; send a fault such as {"mode": "unavailable", "rate": 0.25, "retry_after": "2s", "delay": "1s", "for": "30s", "code": ""}`, err)
	}
	if in.Mode == "" {
		return errors.New(`mode: is missing; send one such as {"mode": "unavailable"}, or DELETE to end a fault`)
	}
	mode, err := ParseMode(in.Mode)
	if err != nil {
		return err
	}
	fault := Fault{Mode: mode, Rate: in.Rate, Code: in.Code}
	if err := readDurations([]durationField{
		{"retry_after", in.RetryAfter, &fault.RetryAfter}, {"delay", in.Delay, &fault.Delay}, {"for", in.For, &fault.For},
	}); err != nil {
		return err
	}
	return s.Set(name, fault)
}

// A durationField is a duration as people write it, and where it goes.
type durationField struct {
	name string
	text string // empty: it was left out
	into *time.Duration
}

func readDurations(fields []durationField) error {
	for _, field := range fields {
		if field.text == "" {
			continue
		}
		read, err := time.ParseDuration(field.text)
		if err != nil {
			return fmt.Errorf("%s: %q is not a duration; write it as in 30s or 1m30s", field.name, field.text)
		}
		*field.into = read
	}
	return nil
}

func (s *Server) states(chosen []*simulated) []stateJSON {
	now := s.config.Now()
	states := make([]stateJSON, 0, len(chosen))
	for _, p := range chosen {
		states = append(states, s.state(p, now))
	}
	return states
}

func (s *Server) state(p *simulated, now time.Time) stateJSON {
	calls := p.counter.snapshot()
	state := stateJSON{
		Name: p.Name, Dialect: p.Dialect, BaseURL: s.BaseURL(p.Name), Models: append([]string{}, p.Models...),
		Calls: callsJSON{calls.Total, calls.InFlight, calls.Outcomes, known(calls.First), known(calls.Last)},
	}
	fault, since := p.schedule.at(now)
	if !since.IsZero() {
		state.Since = known(since)
		state.Fault = &faultJSON{string(fault.Mode), fault.Rate, spell(fault.RetryAfter), spell(fault.Delay), spell(fault.For), fault.Code}
		if fault.For > 0 {
			state.Until = known(since.Add(fault.For))
		}
	}
	if set, carries := p.capacity(now); set.PerSecond != 0 {
		state.Capacity = spellCapacity(set, carries)
	}
	if s.config.Remember {
		seen := seenJSON(s.Seen(p.Name))
		state.Seen = &seen
	}
	return state
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func spell(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func allow(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	for _, method := range methods {
		if r.Method == method {
			return true
		}
	}
	list := strings.Join(methods, ", ")
	w.Header().Set("Allow", list)
	writeProblem(w, http.StatusMethodNotAllowed, fmt.Errorf("method: %s does nothing here; use %s", r.Method, list))
	return false
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(value) // a client that left is nobody to tell
}

// writeProblem has the shape of the openai dialect, so that a client of a
// vendor that came to a wrong path shows the text too.
func writeProblem(w http.ResponseWriter, status int, err error) {
	problem := map[string]any{"message": err.Error(), "type": "simulator", "param": nil, "code": nil}
	writeJSON(w, status, map[string]any{"error": problem})
}
