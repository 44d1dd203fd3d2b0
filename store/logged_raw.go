package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"tidegate/jobs"
)

// The ledger is read in Postgres' binary form, by hand: a week of ten calls a second are six
// million rows, and to scan one by reflection takes ten times as long.

// loggedFields are read by rawLogged, in this order. What providers say is not among them.
const (
	loggedFields = `a.request_id, a.at, a.latency_us, a.first_byte_us, a.cost_micro_usd, a.input_tokens, a.cached_input_tokens, a.output_tokens, a.reasoning_tokens,
	a.propensity, a.status, a.probe, a.blamed, a.unpriced, a.route, a.target, a.class, a.code,
	a.arrived_at, a.deadline, a.max_cost_micro_usd, a.body_bytes, a.priority, a.awaited, a.tenant, a.goal, a.endpoint, a.waited_for, `
	loggedCount = 29
	// Of the decision a replay needs no more than whether something was tried to learn of it.
	wholeDecision  = `a.decision`
	littleDecision = `CASE WHEN a.decision ? 'x' THEN '{"x":true}'::jsonb END`
)

// readRaw runs a query of loggedFields and a decision in a transaction, and hands its rows
// over one by one, in the same place. It ends when take says so.
func readRaw(ctx context.Context, tx pgx.Tx, query string, args []any, take func(*jobs.Logged) bool) error {
	texts := make([][]byte, len(args))
	for i, arg := range args {
		texts[i] = asText(arg)
	}
	rows := tx.Conn().PgConn().ExecParams(ctx, query, texts, nil, nil, []int16{pgtype.BinaryFormatCode})
	var decoded jobs.Logged
	raw := rawLogged{names: map[string]string{}}
	for rows.NextRow() {
		if err := raw.decode(rows.Values(), &decoded); err != nil {
			_, closed := rows.Close()
			return errors.Join(err, closed)
		}
		if !take(&decoded) {
			break
		}
	}
	_, err := rows.Close()
	return err
}

// asText writes an argument as Postgres reads it.
func asText(arg any) []byte {
	switch is := arg.(type) {
	case time.Time:
		return is.UTC().AppendFormat(nil, "2006-01-02 15:04:05.999999Z07:00")
	case *string:
		if is == nil {
			return nil
		}
		return []byte(*is)
	default:
		return fmt.Append(nil, arg)
	}
}

// rawLogged decodes rows. Names that many rows have in common are kept once.
type rawLogged struct {
	names  map[string]string
	values [][]byte
	err    error
}

func (r *rawLogged) decode(values [][]byte, l *jobs.Logged) error {
	if len(values) != loggedCount {
		return fmt.Errorf("a row has %d values, not %d", len(values), loggedCount)
	}
	r.values = values
	*l = jobs.Logged{RequestID: r.uuid(), Attempt: jobs.Attempt{
		At: r.time(), Latency: r.micros(), FirstByte: r.micros(), Cost: jobs.MicroUSD(r.whole()),
		Usage:      jobs.Usage{Input: int(r.whole()), CachedInput: int(r.whole()), Output: int(r.whole()), Reasoning: int(r.whole())},
		Propensity: r.float(), Status: int(r.whole()), Probe: r.yes(), Blamed: r.yes(), Unpriced: r.yes(),
	}}
	l.Route, l.Target, l.Class, l.Code = r.name(), r.name(), jobs.Class(r.name()), r.name()
	l.Asked = jobs.Asked{
		Arrived: r.time(), Deadline: r.time(), MaxCost: jobs.MicroUSD(r.whole()), BodyBytes: int(r.whole()), Priority: int(r.whole()), Awaited: r.yes(),
		Tenant: r.name(), Goal: r.name(),
	}
	if endpoint := r.name(); endpoint != "" {
		l.Endpoint = endpointOf(&endpoint)
	}
	l.WaitedFor = jobs.WaitedFor(r.name())
	l.Decision = r.decision()
	if l.Tenant == "" && !l.Arrived.IsZero() {
		l.Tenant = jobs.DefaultTenant
	}
	return r.err
}

func (r *rawLogged) next() []byte {
	value := r.values[0]
	r.values = r.values[1:]
	return value
}

func (r *rawLogged) fail(what string, value []byte) {
	if r.err == nil {
		r.err = fmt.Errorf("%d bytes are no %s", len(value), what)
	}
}

func (r *rawLogged) uuid() string {
	id, err := uuid.FromBytes(r.next())
	if err != nil {
		r.err = err
	}
	return id.String()
}

// whole is a number of whatever width; NULL is zero.
func (r *rawLogged) whole() int64 {
	switch value := r.next(); len(value) {
	case 0:
		return 0
	case 2:
		return int64(int16(binary.BigEndian.Uint16(value)))
	case 4:
		return int64(int32(binary.BigEndian.Uint32(value)))
	case 8:
		return int64(binary.BigEndian.Uint64(value))
	default:
		r.fail("number", value)
		return 0
	}
}

func (r *rawLogged) micros() time.Duration { return time.Duration(r.whole()) * time.Microsecond }

// postgresEpoch is what Postgres counts time from, in microseconds of Unix.
const postgresEpoch = 946_684_800_000_000

func (r *rawLogged) time() time.Time {
	switch n := r.whole(); n {
	case 0: // NULL, or the first moment of the year 2000
		return time.Time{}
	case math.MaxInt64, math.MinInt64: // infinity
		return time.Time{}
	default:
		return time.UnixMicro(postgresEpoch + n).UTC()
	}
}

func (r *rawLogged) float() float32 {
	value := r.next()
	if len(value) != 4 {
		r.fail("number", value)
		return 0
	}
	return math.Float32frombits(binary.BigEndian.Uint32(value))
}

func (r *rawLogged) yes() bool {
	value := r.next()
	return len(value) == 1 && value[0] != 0
}

// mostNames bounds the names that are kept.
const mostNames = 10_000

func (r *rawLogged) name() string {
	value := r.next()
	if len(value) == 0 {
		return ""
	}
	if name, known := r.names[string(value)]; known {
		return name
	}
	name := string(value)
	if len(r.names) < mostNames {
		r.names[name] = name
	}
	return name
}

// explored is the decision that most replays read.
const explored = `{"x": true}`

func (r *rawLogged) decision() *jobs.Decision {
	value := r.next()
	if len(value) == 0 {
		return nil
	}
	if value = value[1:]; string(value) == explored { // behind the version of jsonb
		return &jobs.Decision{Explored: true}
	}
	d := &jobs.Decision{}
	if err := json.Unmarshal(value, d); err != nil {
		r.err = fmt.Errorf("a decision: %w", err)
	}
	return d
}
