package jobs

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// A Decision is what was known when the target of an attempt was chosen, and why
// it was that one. It is stored with the attempt, in few bytes.
type Decision struct {
	Goal      string // the strategy; empty: the chain was taken as it is written
	Estimator string // that guessed what is said of the candidates
	Explored  bool   // it was tried to learn of it, whatever the score
	// Candidates are the targets of the chain, as they were ranked.
	Candidates []Considered
	// ExtraCost is what the target costs more than the one that was preferred, and
	// Worth what it was worth not to wait for that one.
	ExtraCost MicroUSD
	Worth     MicroUSD
	// Waited is for how long the request waited, on its own account, for a target
	// that it preferred.
	Waited time.Duration
	Reason string // why it waited, or did not any more, as a person reads it
	// Waits are those waits.
	Waits []Wait
	// Skipped are the targets that were passed over before the attempt.
	Skipped []Skip
}

// A Considered target is one that a request might have been sent to.
type Considered struct {
	Target   string
	Success  float64       // the chance of an answer, 0 to 1
	Latency  time.Duration // that this request was expected to take there, failures and all
	Wait     time.Duration // until it could be called; zero: at once
	Cost     MicroUSD      // that was expected
	Unpriced bool          // nobody knows what it costs
	Unknown  bool          // nothing was known of how it does
	Shut     bool          // it could not be called, by nobody
	Score    Score
}

// A Score is what a strategy makes of a target: the higher the better, 1 at most.
// The parts add up to the Total, as far as they are all that it is made of.
type Score struct {
	Total                  float64
	Success, Latency, Cost float64
}

// Empty tells whether there is nothing to write down.
func (d *Decision) Empty() bool {
	return d == nil || len(d.Candidates) == 0 && len(d.Skipped) == 0 && d.Goal == "" && d.Waited == 0 && d.Reason == "" && d.ExtraCost == 0 && d.Worth == 0
}

// Follow adds what came before the attempt that the decision is of, and began at a
// time: skips, and waits.
func (d *Decision) Follow(skips []Skip, waits []Wait, at time.Time) {
	d.Skipped = append(d.Skipped[:len(d.Skipped):len(d.Skipped)], skips...)
	for i := range skips {
		if skip := &skips[i]; skip.Worth > 0 || skip.ExtraCost > 0 {
			d.ExtraCost, d.Worth, d.Reason = skip.ExtraCost, skip.Worth, skip.Reason
		}
	}
	if len(waits) == 0 {
		return
	}
	d.Waits = append(d.Waits[:len(d.Waits):len(d.Waits)], waits...)
	d.Waited = max(0, at.Sub(waits[0].Since))
	if last := waits[len(waits)-1]; d.ExtraCost == 0 && d.Worth == 0 {
		d.ExtraCost, d.Worth, d.Reason = last.ExtraCost, last.Worth, last.Reason
	}
}

// AppendJSON appends the decision in its stored form, which leaves out what is
// zero. It costs some hundred nanoseconds, where encoding/json takes microseconds.
func (d *Decision) AppendJSON(to []byte) ([]byte, error) {
	w := decisionWriter{to: append(to, '{')}
	w.text("g", d.Goal)
	w.text("e", d.Estimator)
	w.yes("x", d.Explored)
	if len(d.Candidates) > 0 {
		w.key("c")
		w.to = append(w.to, '[')
		for i := range d.Candidates {
			if i > 0 {
				w.to = append(w.to, ',')
			}
			w.considered(&d.Candidates[i])
		}
		w.to = append(w.to, ']')
	}
	w.whole("extra", int64(d.ExtraCost))
	w.whole("worth", int64(d.Worth))
	w.whole("waited", d.Waited.Milliseconds())
	w.text("why", d.Reason)
	if len(d.Waits) > 0 {
		w.value("waits", d.Waits)
	}
	if len(d.Skipped) > 0 {
		w.value("skipped", d.Skipped)
	}
	return append(w.to, '}'), w.err
}

// MarshalJSON is AppendJSON.
func (d *Decision) MarshalJSON() ([]byte, error) { return d.AppendJSON(nil) }

// decisionWriter writes one object after the other; members that are zero are
// left out.
type decisionWriter struct {
	to  []byte
	err error
}

func (w *decisionWriter) considered(c *Considered) {
	w.to = append(w.to, '{')
	w.text("t", c.Target)
	w.part("s", c.Success)
	w.whole("l", c.Latency.Milliseconds())
	w.whole("w", c.Wait.Milliseconds())
	w.whole("c", int64(c.Cost))
	w.yes("u", c.Unpriced)
	w.yes("n", c.Unknown)
	w.yes("h", c.Shut)
	w.part("score", c.Score.Total)
	w.part("ss", c.Score.Success)
	w.part("sl", c.Score.Latency)
	w.part("sc", c.Score.Cost)
	w.to = append(w.to, '}')
}

func (w *decisionWriter) key(name string) {
	if last := w.to[len(w.to)-1]; last != '{' {
		w.to = append(w.to, ',')
	}
	w.to = append(w.to, '"')
	w.to = append(w.to, name...)
	w.to = append(w.to, '"', ':')
}

func (w *decisionWriter) whole(name string, n int64) {
	if n != 0 {
		w.key(name)
		w.to = strconv.AppendInt(w.to, n, 10)
	}
}

// part writes a number near 1 to a ten-thousandth. JSON knows no infinity.
func (w *decisionWriter) part(name string, x float64) {
	if rounded := math.Round(x*1e4) / 1e4; rounded != 0 && !math.IsNaN(rounded) && !math.IsInf(rounded, 0) {
		w.key(name)
		w.to = strconv.AppendFloat(w.to, rounded, 'f', -1, 64)
	}
}

func (w *decisionWriter) yes(name string, is bool) {
	if is {
		w.key(name)
		w.to = append(w.to, "true"...)
	}
}

func (w *decisionWriter) text(name, text string) {
	switch {
	case text == "":
	case nameLike(text):
		w.key(name)
		w.to = append(w.to, '"')
		w.to = append(w.to, text...)
		w.to = append(w.to, '"')
	default:
		w.value(name, text)
	}
}

// nameLike tells whether a text needs no escapes, as names do not.
func nameLike(text string) bool {
	for i := range len(text) {
		if c := text[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func (w *decisionWriter) value(name string, value any) {
	data, err := json.Marshal(value)
	if err != nil {
		w.err = err
		return
	}
	w.key(name)
	w.to = append(w.to, data...)
}

// UnmarshalJSON reads what AppendJSON wrote, and what was stored before there were
// scores: the skips alone.
func (d *Decision) UnmarshalJSON(data []byte) error {
	var is struct {
		Goal       string       `json:"g"`
		Estimator  string       `json:"e"`
		Explored   bool         `json:"x"`
		Candidates []Considered `json:"c"`
		ExtraCost  MicroUSD     `json:"extra"`
		Worth      MicroUSD     `json:"worth"`
		Waited     int64        `json:"waited"`
		Reason     string       `json:"why"`
		Waits      []Wait       `json:"waits"`
		Skipped    []Skip       `json:"skipped"`
	}
	if err := json.Unmarshal(data, &is); err != nil {
		return err
	}
	*d = Decision{
		Goal: is.Goal, Estimator: is.Estimator, Explored: is.Explored, Candidates: is.Candidates, ExtraCost: is.ExtraCost, Worth: is.Worth,
		Waited: time.Duration(is.Waited) * time.Millisecond, Reason: is.Reason, Waits: is.Waits, Skipped: is.Skipped,
	}
	return nil
}

// UnmarshalJSON reads a candidate as AppendJSON of its decision wrote it.
func (c *Considered) UnmarshalJSON(data []byte) error {
	var is struct {
		Target   string   `json:"t"`
		Success  float64  `json:"s"`
		Latency  int64    `json:"l"`
		Wait     int64    `json:"w"`
		Cost     MicroUSD `json:"c"`
		Unpriced bool     `json:"u"`
		Unknown  bool     `json:"n"`
		Shut     bool     `json:"h"`
		Total    float64  `json:"score"`
		PartS    float64  `json:"ss"`
		PartL    float64  `json:"sl"`
		PartC    float64  `json:"sc"`
	}
	if err := json.Unmarshal(data, &is); err != nil {
		return err
	}
	*c = Considered{
		Target: is.Target, Success: is.Success, Latency: time.Duration(is.Latency) * time.Millisecond, Wait: time.Duration(is.Wait) * time.Millisecond,
		Cost: is.Cost, Unpriced: is.Unpriced, Unknown: is.Unknown, Shut: is.Shut,
		Score: Score{Total: is.Total, Success: is.PartS, Latency: is.PartL, Cost: is.PartC},
	}
	return nil
}
