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
	Calls   callsJSON  `json:"calls"`
	Seen    *seenJSON  `json:"seen,omitempty"`
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
	isFault := len(parts) == 3 && parts[2] == "fault"
	if parts[0] != "providers" || (len(parts) != 2 && !isFault) {
		writeProblem(w, http.StatusNotFound, fmt.Errorf("path: /%s/%s is not known; use /%[1]s, /%[1]s/providers/{name} or /%[1]s/providers/{name}/fault", controlName, path))
		return
	}
	chosen, err := s.choose(parts[1])
	if err != nil {
		writeProblem(w, http.StatusNotFound, err)
		return
	}
	if isFault {
		s.command(w, r, parts[1])
		return
	}
	if allow(w, r, http.MethodGet) {
		writeJSON(w, http.StatusOK, map[string]any{"providers": s.states(chosen)})
	}
}

// command sets or clears the fault of the named providers, and answers with
// what they do now.
func (s *Server) command(w http.ResponseWriter, r *http.Request, name string) {
	if !allow(w, r, http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodGet) {
		return
	}
	var err error
	switch r.Method {
	case http.MethodPut, http.MethodPost:
		var fault Fault
		if fault, err = readFault(w, r); err == nil {
			err = s.Set(name, fault)
		}
	case http.MethodDelete:
		err = s.Clear(name)
	}
	if err != nil {
		writeProblem(w, http.StatusBadRequest, err)
		return
	}
	chosen, _ := s.choose(name) // was looked up before
	writeJSON(w, http.StatusOK, map[string]any{"providers": s.states(chosen)})
}

func readFault(w http.ResponseWriter, r *http.Request) (Fault, error) {
	var in faultJSON
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		return Fault{}, fmt.Errorf(`body: %w; send a fault such as {"mode": "unavailable", "rate": 0.25, "retry_after": "2s", "delay": "1s", "for": "30s", "code": ""}`, err)
	}
	if in.Mode == "" {
		return Fault{}, errors.New(`mode: is missing; send one such as {"mode": "unavailable"}, or DELETE to end a fault`)
	}
	mode, err := ParseMode(in.Mode)
	if err != nil {
		return Fault{}, err
	}
	fault := Fault{Mode: mode, Rate: in.Rate, Code: in.Code}
	for _, field := range []struct {
		name string
		text string
		into *time.Duration
	}{{"retry_after", in.RetryAfter, &fault.RetryAfter}, {"delay", in.Delay, &fault.Delay}, {"for", in.For, &fault.For}} {
		if field.text == "" {
			continue
		}
		if *field.into, err = time.ParseDuration(field.text); err != nil {
			return Fault{}, fmt.Errorf("%s: %q is not a duration; write it as in 30s or 1m30s", field.name, field.text)
		}
	}
	return fault, nil
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
