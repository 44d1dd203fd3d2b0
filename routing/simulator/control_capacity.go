package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// capacityJSON is a Capacity as people write it.
type capacityJSON struct {
	PerSecond    float64   `json:"per_second"`
	Factor       float64   `json:"factor,omitempty"`
	ColdFrom     float64   `json:"cold_from,omitempty"`
	ColdFor      string    `json:"cold_for,omitempty"`
	Melts        bool      `json:"melts,omitempty"`
	RelapseAfter string    `json:"relapse_after,omitempty"`
	RelapseFor   string    `json:"relapse_for,omitempty"`
	Announces    bool      `json:"announces,omitempty"`
	RetryAfter   RetryForm `json:"retry_after,omitempty"`
}

// toldCapacityJSON is what a state tells of a capacity.
type toldCapacityJSON struct {
	capacityJSON
	Now float64 `json:"now"` // requests a second that are carried just now
}

func (s *Server) readCapacity(name string, body *json.Decoder) error {
	var in capacityJSON
	if err := body.Decode(&in); err != nil {
		return fmt.Errorf(`body: %w; send a capacity such as {"per_second": 500, "factor": 0.6, "cold_from": 0.4, "cold_for": "5m", "melts": true, "relapse_after": "60s", "relapse_for": "2m", "announces": true, "retry_after": "seconds"}`, err)
	}
	if in.PerSecond == 0 {
		return errors.New(`per_second: is missing; send one such as {"per_second": 500}, or DELETE to end a capacity`)
	}
	capacity, err := in.read()
	if err != nil {
		return err
	}
	return s.SetCapacity(name, capacity)
}

func (in capacityJSON) read() (Capacity, error) {
	capacity := Capacity{
		PerSecond: in.PerSecond, Factor: in.Factor, ColdFrom: in.ColdFrom, Melts: in.Melts, Announces: in.Announces, RetryAfter: in.RetryAfter,
	}
	err := readDurations([]durationField{
		{"cold_for", in.ColdFor, &capacity.ColdFor}, {"relapse_after", in.RelapseAfter, &capacity.RelapseAfter}, {"relapse_for", in.RelapseFor, &capacity.RelapseFor},
	})
	return capacity, err
}

func (s *Server) endCapacity(name string) error { return s.SetCapacity(name, Capacity{}) }

func spellCapacity(c Capacity, carries float64) *toldCapacityJSON {
	return &toldCapacityJSON{capacityJSON{
		c.PerSecond, c.Factor, c.ColdFrom, spell(c.ColdFor), c.Melts, spell(c.RelapseAfter), spell(c.RelapseFor), c.Announces, c.RetryAfter,
	}, carries}
}

// secondsJSON is what became of the calls at a provider, by the second.
type secondsJSON struct {
	Name        string       `json:"name"`
	FirstCall   *time.Time   `json:"first_call"`   // not before since; null: none
	FirstAnswer *time.Time   `json:"first_answer"` // likewise, of whole answers, at their end
	Seconds     []secondJSON `json:"seconds"`
}

type secondJSON struct {
	At          time.Time `json:"at"`
	Calls       int       `json:"calls"`
	Answered    int       `json:"answered"`
	RateLimited int       `json:"rate_limited"`
	Unavailable int       `json:"unavailable"`
	Other       int       `json:"other"`
	InFlight    int       `json:"in_flight"`
}

// tellSeconds answers with the seconds of the named providers since a time, or
// all of them.
func (s *Server) tellSeconds(w http.ResponseWriter, r *http.Request, name string) {
	if !allow(w, r, http.MethodGet) {
		return
	}
	var since time.Time
	if text := r.URL.Query().Get("since"); text != "" {
		var err error
		if since, err = time.Parse(time.RFC3339Nano, text); err != nil {
			writeProblem(w, http.StatusBadRequest, fmt.Errorf("since: %q is not a time; write it as in 2006-01-02T15:04:05Z", text))
			return
		}
	}
	chosen, _ := s.choose(name)
	told := make([]secondsJSON, 0, len(chosen))
	for _, p := range chosen {
		one := secondsJSON{Name: p.Name, FirstCall: known(p.counter.firstCall(since)), FirstAnswer: known(p.counter.firstAnswer(since)), Seconds: []secondJSON{}}
		for _, second := range p.counter.since(since) {
			one.Seconds = append(one.Seconds, secondJSON(second))
		}
		told = append(told, one)
	}
	writeJSON(w, http.StatusOK, map[string]any{"providers": told})
}

// MarshalJSON writes a capacity as the control takes it.
func (c Capacity) MarshalJSON() ([]byte, error) {
	return json.Marshal(spellCapacity(c, 0).capacityJSON)
}

// UnmarshalJSON reads what MarshalJSON writes. It does not judge it: see Validate.
func (c *Capacity) UnmarshalJSON(data []byte) error {
	var in capacityJSON
	err := json.Unmarshal(data, &in)
	if err == nil {
		*c, err = in.read()
	}
	return err
}
