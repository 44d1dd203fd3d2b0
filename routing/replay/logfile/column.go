package logfile

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"tidegate/jobs"
)

// A Column is one of a file of the ledger.
type Column struct {
	Name string
	Says string // what it is, with its unit
	kind kind
	// put appends the value as text; nothing: there is none.
	put func([]byte, *jobs.Logged) []byte
	// set reads what put wrote. It is not asked to read nothing.
	set func(*jobs.Logged, string) error
}

// A kind is how JSON has a value.
type kind uint8

const (
	quoted kind = iota // a string
	bare               // a number, or true
	object
)

// Columns lists the columns of a file of the ledger, in their order.
func Columns() []Column { return columns }

var columns = []Column{
	texts("request_id", "id of the request; the nil UUID: a probe or a canary, made for none", func(l *jobs.Logged) *string { return &l.RequestID }),
	times("at", "when the call began; without a target, when the request ended", func(l *jobs.Logged) *time.Time { return &l.At }),
	texts("route", "", func(l *jobs.Logged) *string { return &l.Route }),
	texts("target", "that was called; empty: no call was made for the request", func(l *jobs.Logged) *string { return &l.Target }),
	{"class", "OK is an answer; else what kind of refusal or failure it met", quoted, putClass, setClass},
	counts("status", "of HTTP; empty: no answer came", func(l *jobs.Logged) *int { return &l.Status }),
	{"code", "of the refusal, if it looks like a name", quoted, putCode, func(l *jobs.Logged, text string) error { l.Code = text; return nil }},
	spans("latency_us", "of the whole call, in microseconds", true, func(l *jobs.Logged) *time.Duration { return &l.Latency }),
	spans("first_byte_us", "until the first byte of the answer, in microseconds; empty: none came", false, func(l *jobs.Logged) *time.Duration { return &l.FirstByte }),
	tallies("input_tokens", "cached ones among them", func(l *jobs.Logged) *int { return &l.Usage.Input }),
	tallies("cached_input_tokens", "", func(l *jobs.Logged) *int { return &l.Usage.CachedInput }),
	tallies("output_tokens", "reasoning among them", func(l *jobs.Logged) *int { return &l.Usage.Output }),
	tallies("reasoning_tokens", "", func(l *jobs.Logged) *int { return &l.Usage.Reasoning }),
	money("cost_micro_usd", "millionths of a US dollar, as far as it is known", true, func(l *jobs.Logged) *jobs.MicroUSD { return &l.Cost }),
	marks("unpriced", "nobody knows what it cost", func(l *jobs.Logged) *bool { return &l.Unpriced }),
	{"propensity", "the chance with which the target was chosen, above 0 and at most 1", bare, putPropensity, setPropensity},
	{"explored", "it was chosen to learn of it, whatever its score", bare, putExplored, setExplored},
	marks("probe", "the trial call of a half-open circuit", func(l *jobs.Logged) *bool { return &l.Probe }),
	marks("blamed", "the target answered others meanwhile: the request's own fault", func(l *jobs.Logged) *bool { return &l.Blamed }),
	{"waited_for", "why the call was held back: pace, target, price, budget or gate", quoted, putWaitedFor, func(l *jobs.Logged, text string) error { l.WaitedFor = jobs.WaitedFor(text); return nil }},
	times("arrived_at", "when the request was accepted", func(l *jobs.Logged) *time.Time { return &l.Arrived }),
	times("deadline", "of the request", func(l *jobs.Logged) *time.Time { return &l.Deadline }),
	money("max_cost_micro_usd", "of the request, in millionths of a US dollar; empty: no limit", false, func(l *jobs.Logged) *jobs.MicroUSD { return &l.MaxCost }),
	counts("body_bytes", "of the request, as it came in", func(l *jobs.Logged) *int { return &l.BodyBytes }),
	counts("priority", "of the request, 1 goes first; empty: the default", func(l *jobs.Logged) *int { return &l.Priority }),
	marks("awaited", "its sender waited for the answer", func(l *jobs.Logged) *bool { return &l.Awaited }),
	texts("tenant", "whose request it is", func(l *jobs.Logged) *string { return &l.Tenant }),
	texts("goal", "that the request named; empty: its route's", func(l *jobs.Logged) *string { return &l.Goal }),
	{"endpoint", "as in /v1/embeddings; empty: chat completions", quoted, putEndpoint, setEndpoint},
	{"decision", "JSON: what was known of the targets when this one was chosen", object, putDecision, setDecision},
}

// byName are the columns by their names.
var byName = func() map[string]*Column {
	named := make(map[string]*Column, len(columns))
	for i := range columns {
		named[columns[i].Name] = &columns[i]
	}
	return named
}()

func texts(name, says string, of func(*jobs.Logged) *string) Column {
	return Column{
		name, says, quoted,
		func(to []byte, l *jobs.Logged) []byte { return append(to, *of(l)...) },
		func(l *jobs.Logged, text string) error { *of(l) = text; return nil },
	}
}

// timeForm is RFC 3339 with the microseconds that Postgres keeps.
const timeForm = "2006-01-02T15:04:05.000000Z07:00"

func times(name, says string, of func(*jobs.Logged) *time.Time) Column {
	return Column{
		name, strings.TrimPrefix(says+"; RFC 3339, UTC", "; "), quoted,
		func(to []byte, l *jobs.Logged) []byte {
			if of(l).IsZero() {
				return to
			}
			return of(l).UTC().AppendFormat(to, timeForm)
		},
		func(l *jobs.Logged, text string) (err error) {
			*of(l), err = parseTime(text)
			return err
		},
	}
}

// timeForms are how others write times: Postgres, Python and Azure.
var timeForms = []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999Z07", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999"}

func parseTime(text string) (time.Time, error) {
	for _, form := range timeForms {
		if at, err := time.Parse(form, text); err == nil && at.Year() > 0 && at.Year() < 10000 {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%.40q is not a time; write it as 2026-11-29T12:00:00.5Z", text)
}

// counts are numbers that nothing is said of where they are zero; tallies are zeros then,
// where there was a call.
func counts(name, says string, of func(*jobs.Logged) *int) Column {
	return Column{
		name, says, bare,
		func(to []byte, l *jobs.Logged) []byte { return putWhole(to, int64(*of(l)), false) },
		func(l *jobs.Logged, text string) error {
			n, err := parseWhole(text, math.MaxInt32)
			*of(l) = int(n)
			return err
		},
	}
}

func tallies(name, says string, of func(*jobs.Logged) *int) Column {
	c := counts(name, says, of)
	c.put = func(to []byte, l *jobs.Logged) []byte { return putWhole(to, int64(*of(l)), l.Called()) }
	return c
}

func money(name, says string, always bool, of func(*jobs.Logged) *jobs.MicroUSD) Column {
	return Column{
		name, says, bare,
		func(to []byte, l *jobs.Logged) []byte { return putWhole(to, int64(*of(l)), always && l.Called()) },
		func(l *jobs.Logged, text string) error {
			n, err := parseWhole(text, math.MaxInt64)
			*of(l) = jobs.MicroUSD(n)
			return err
		},
	}
}

func spans(name, says string, always bool, of func(*jobs.Logged) *time.Duration) Column {
	return Column{
		name, says, bare,
		func(to []byte, l *jobs.Logged) []byte {
			return putWhole(to, of(l).Microseconds(), always && l.Called())
		},
		func(l *jobs.Logged, text string) error {
			n, err := parseWhole(text, math.MaxInt64/int64(time.Microsecond))
			*of(l) = time.Duration(n) * time.Microsecond
			return err
		},
	}
}

func putWhole(to []byte, n int64, zero bool) []byte {
	if n == 0 && !zero {
		return to
	}
	return strconv.AppendInt(to, n, 10)
}

func parseWhole(text string, most int64) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if x, no := strconv.ParseFloat(text, 64); err != nil && no == nil && x == math.Trunc(x) && math.Abs(x) < 1<<53 {
		n, err = int64(x), nil // as some write whole numbers
	}
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%.40q is not a whole number from 0 to %d", text, most)
	}
	return n, nil
}

func marks(name, says string, of func(*jobs.Logged) *bool) Column {
	return Column{
		name, "true, if " + says, bare,
		func(to []byte, l *jobs.Logged) []byte { return putMark(to, *of(l)) },
		func(l *jobs.Logged, text string) (err error) {
			*of(l), err = parseMark(text)
			return err
		},
	}
}

func putMark(to []byte, is bool) []byte {
	if !is {
		return to
	}
	return append(to, "true"...)
}

func parseMark(text string) (bool, error) {
	switch text {
	case "true", "t", "1":
		return true, nil
	case "false", "f", "0":
		return false, nil
	default:
		return false, fmt.Errorf("%.40q is neither true nor false", text)
	}
}

func putClass(to []byte, l *jobs.Logged) []byte { return append(to, l.Class...) }

func setClass(l *jobs.Logged, text string) error {
	if l.Class = jobs.Class(text); !l.Class.Valid() {
		return fmt.Errorf("%.40q is no class; there are %v", text, jobs.Classes())
	}
	return nil
}

func putWaitedFor(to []byte, l *jobs.Logged) []byte { return append(to, l.WaitedFor...) }

// mostCode is the longest code that may be one and no sentence.
const mostCode = 64

// putCode leaves out what may quote somebody: codes are the provider's own words.
func putCode(to []byte, l *jobs.Logged) []byte {
	if len(l.Code) > mostCode {
		return to
	}
	for i := range len(l.Code) {
		switch c := l.Code[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-', c == '.', c == '/', c == ':':
		default:
			return to
		}
	}
	return append(to, l.Code...)
}

func putPropensity(to []byte, l *jobs.Logged) []byte {
	if l.Propensity == 0 {
		return to
	}
	return strconv.AppendFloat(to, float64(l.Propensity), 'g', -1, 32)
}

func setPropensity(l *jobs.Logged, text string) error {
	x, err := strconv.ParseFloat(text, 32)
	if err != nil || !(x >= 0 && x <= 1) {
		return fmt.Errorf("%.40q is no chance: it is above 0, and 1 at most", text)
	}
	l.Propensity = float32(x)
	return nil
}

func putExplored(to []byte, l *jobs.Logged) []byte {
	return putMark(to, l.Decision != nil && l.Decision.Explored)
}

func setExplored(l *jobs.Logged, text string) error {
	explored, err := parseMark(text)
	if explored && l.Decision == nil {
		l.Decision = &jobs.Decision{}
	}
	if explored {
		l.Decision.Explored = true
	}
	return err
}

func putEndpoint(to []byte, l *jobs.Logged) []byte {
	if l.Endpoint == jobs.EndpointChat {
		return to
	}
	return append(to, l.Endpoint.String()...)
}

func setEndpoint(l *jobs.Logged, text string) error {
	l.Endpoint, _ = jobs.ParseEndpoint(text) // one of a later version is one that nobody serves
	return nil
}

// putDecision leaves out the words of a decision, which may be others', and what says
// nothing.
func putDecision(to []byte, l *jobs.Logged) []byte {
	if l.Decision == nil {
		return to
	}
	d := *l.Decision
	d.Reason = ""
	d.Waits, d.Skipped = wordless(d.Waits, func(w *jobs.Wait) { w.Reason = "" }), wordless(d.Skipped, func(s *jobs.Skip) { s.Reason = "" })
	if d.Empty() {
		return to
	}
	made, err := d.AppendJSON(to)
	if err != nil { // a time that JSON cannot say
		return to
	}
	return made
}

func wordless[T any](of []T, mute func(*T)) []T {
	if of == nil {
		return nil
	}
	made := append([]T(nil), of...)
	for i := range made {
		mute(&made[i])
	}
	return made
}

func setDecision(l *jobs.Logged, text string) error {
	var d jobs.Decision
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return fmt.Errorf("it is not the JSON of a decision: %w; leave it empty", err)
	}
	d.Explored = d.Explored || l.Decision != nil && l.Decision.Explored
	l.Decision = &d
	return nil
}
