package store

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"tidegate/jobs"
)

// Columns that pgx knows how to send; of a slice of pointers or of UUIDs it
// would look at each element by reflection.
type (
	texts = pgtype.FlatArray[pgtype.Text] // empty is NULL
	blobs = pgtype.FlatArray[[]byte]      // nil is NULL
)

// resultColumns are results laid out by column, as unnest takes them.
type resultColumns struct {
	requestID, id                           [][16]byte
	state                                   []string
	status, attempts                        []int16
	body                                    blobs
	target, model, providerID, finishReason texts
	input, cached, output, reasoning        []int32
	class, code, message, batchID           texts
	cost                                    []int64
	unpriced                                []bool
	badAnswers                              []int16
}

func (c *resultColumns) add(requestID uuid.UUID, e *jobs.Entry) error {
	r := e.Result
	id, err := parseID(r.ID)
	if err != nil {
		return fmt.Errorf("id of the result: %w", err)
	}
	c.requestID, c.id = append(c.requestID, requestID), append(c.id, id)
	c.state, c.status = append(c.state, string(r.State)), append(c.status, small(r.Status))
	c.attempts, c.body = append(c.attempts, small(r.Attempts)), append(c.body, r.Body)
	c.target, c.model = append(c.target, text(r.Target)), append(c.model, text(r.Model))
	c.providerID, c.finishReason = append(c.providerID, text(r.ProviderID)), append(c.finishReason, text(r.FinishReason))
	c.input, c.cached = append(c.input, count(r.Usage.Input)), append(c.cached, count(r.Usage.CachedInput))
	c.output, c.reasoning = append(c.output, count(r.Usage.Output)), append(c.reasoning, count(r.Usage.Reasoning))
	c.class, c.code = append(c.class, text(string(r.Class))), append(c.code, text(r.Code))
	c.message, c.batchID = append(c.message, text(r.Message)), append(c.batchID, text(e.Request.BatchID))
	c.cost, c.unpriced = append(c.cost, micros(r.Cost)), append(c.unpriced, r.Unpriced)
	c.badAnswers = append(c.badAnswers, small(r.BadAnswers))
	return nil
}

func (c *resultColumns) args() []any {
	return []any{
		c.requestID, c.id, c.state, c.status, c.body, c.target, c.model, c.providerID, c.finishReason,
		c.input, c.cached, c.output, c.reasoning, c.class, c.code, c.message, c.cost, c.attempts, c.batchID, c.unpriced,
	}
}

// attemptColumns are attempts laid out by column.
type attemptColumns struct {
	requestID                        [][16]byte
	at                               []time.Time
	latency                          []int64
	firstByte                        pgtype.FlatArray[pgtype.Int8]
	cost                             []int64
	input, cached, output, reasoning []int32
	propensity                       []float32
	status                           pgtype.FlatArray[pgtype.Int2]
	probe, blamed, unpriced          []bool
	route, target, class             []string
	code, message                    texts
	decision                         blobs
	asked                            askedColumns
}

func (c *attemptColumns) add(requestID uuid.UUID, e *jobs.Entry) error {
	var skips []jobs.Skip
	var waits []jobs.Wait
	for _, step := range e.Trace {
		switch {
		case step.Skip != nil:
			skips = append(skips, *step.Skip)
			continue
		case step.Wait != nil:
			waits = append(waits, *step.Wait)
			continue
		}
		decision, err := decisionOf(step.Attempt, skips, waits)
		if err != nil {
			return fmt.Errorf("decision of an attempt: %w", err)
		}
		skips, waits = nil, nil
		c.addOne(requestID, e.Request.Route, step.Attempt, decision)
		c.asked.add(e.Request, step.Attempt)
	}
	return nil
}

// decisionOf is what is stored of why a target was chosen; nil: there is nothing
// to say.
func decisionOf(a *jobs.Attempt, skips []jobs.Skip, waits []jobs.Wait) ([]byte, error) {
	var d jobs.Decision
	if a.Decision != nil {
		d = *a.Decision
	}
	d.Follow(skips, waits, a.At)
	if d.Empty() {
		return nil, nil
	}
	data, err := d.AppendJSON(make([]byte, 0, 64+bytesPerCandidate*len(d.Candidates)))
	return withoutNUL(data), err
}

// bytesPerCandidate is about what one of a decision takes.
const bytesPerCandidate = 96

func (c *attemptColumns) addOne(requestID uuid.UUID, route string, a *jobs.Attempt, decision []byte) {
	c.requestID, c.at = append(c.requestID, requestID), append(c.at, a.At)
	c.latency, c.firstByte = append(c.latency, a.Latency.Microseconds()), append(c.firstByte, pgtype.Int8{Int64: a.FirstByte.Microseconds(), Valid: a.FirstByte > 0})
	c.cost, c.propensity = append(c.cost, micros(a.Cost)), append(c.propensity, a.Propensity)
	c.input, c.cached = append(c.input, count(a.Usage.Input)), append(c.cached, count(a.Usage.CachedInput))
	c.output, c.reasoning = append(c.output, count(a.Usage.Output)), append(c.reasoning, count(a.Usage.Reasoning))
	c.status, c.probe, c.blamed = append(c.status, pgtype.Int2{Int16: small(a.Status), Valid: a.Status > 0}), append(c.probe, a.Probe), append(c.blamed, a.Blamed)
	c.route, c.target, c.class = append(c.route, route), append(c.target, a.Target), append(c.class, string(a.Class))
	c.code, c.message = append(c.code, text(a.Code)), append(c.message, text(a.Message))
	c.decision, c.unpriced = append(c.decision, decision), append(c.unpriced, a.Unpriced)
}

func (c *attemptColumns) args() []any {
	return []any{
		c.requestID, c.at, c.latency, c.firstByte, c.cost, c.input, c.cached, c.output, c.reasoning,
		c.propensity, c.status, c.probe, c.blamed, c.route, c.target, c.class, c.code, c.message, c.decision, c.unpriced,
	}
}

// text makes what a provider said fit for a text column: valid UTF-8 without
// NUL; empty becomes NULL.
func text(s string) pgtype.Text {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
	return pgtype.Text{String: s, Valid: s != ""}
}

// withoutNUL makes JSON fit for a jsonb column, which takes no NUL.
func withoutNUL(data []byte) []byte {
	if !bytes.Contains(data, nul) {
		return data
	}
	return escapes.ReplaceAllFunc(data, func(escape []byte) []byte {
		if bytes.Equal(escape, nul) {
			return nil
		}
		return escape
	})
}

var (
	nul     = []byte(`\u0000`)
	escapes = regexp.MustCompile(`\\(?:u[0-9a-f]{4}|.)`) // so that an escaped backslash before u0000 stays
)

func small(n int) int16 { return int16(max(min(n, 1<<15-1), 0)) }

func count(n int) int32 { return int32(max(min(n, 1<<31-1), 0)) }
