package logfile

import (
	"io"
	"time"

	"github.com/parquet-go/parquet-go"

	"tidegate/jobs"
)

// A parquetRow is an attempt as Parquet has it, with the columns of the other formats.
// What is optional is null where it is zero.
type parquetRow struct {
	RequestID         string    `parquet:"request_id,optional"`
	At                time.Time `parquet:"at,timestamp(microsecond)"`
	Route             string    `parquet:"route,dict"`
	Target            string    `parquet:"target,optional,dict"`
	Class             string    `parquet:"class,optional,dict"`
	Status            int32     `parquet:"status,optional"`
	Code              string    `parquet:"code,optional,dict"`
	LatencyUs         int64     `parquet:"latency_us"`
	FirstByteUs       int64     `parquet:"first_byte_us,optional"`
	InputTokens       int32     `parquet:"input_tokens"`
	CachedInputTokens int32     `parquet:"cached_input_tokens"`
	OutputTokens      int32     `parquet:"output_tokens"`
	ReasoningTokens   int32     `parquet:"reasoning_tokens"`
	CostMicroUSD      int64     `parquet:"cost_micro_usd"`
	Unpriced          bool      `parquet:"unpriced"`
	Propensity        float32   `parquet:"propensity,optional"`
	Explored          bool      `parquet:"explored"`
	Probe             bool      `parquet:"probe"`
	Blamed            bool      `parquet:"blamed"`
	WaitedFor         string    `parquet:"waited_for,optional,dict"`
	ArrivedAt         time.Time `parquet:"arrived_at,optional,timestamp(microsecond)"`
	Deadline          time.Time `parquet:"deadline,optional,timestamp(microsecond)"`
	MaxCostMicroUSD   int64     `parquet:"max_cost_micro_usd,optional"`
	BodyBytes         int32     `parquet:"body_bytes,optional"`
	Priority          int32     `parquet:"priority,optional"`
	Awaited           bool      `parquet:"awaited"`
	Tenant            string    `parquet:"tenant,optional,dict"`
	Goal              string    `parquet:"goal,optional,dict"`
	Endpoint          string    `parquet:"endpoint,optional,dict"`
	Decision          string    `parquet:"decision,optional"`
}

const (
	rowsAtOnce  = 1 << 10
	rowsInGroup = 1 << 16 // of a file, which are in memory until they are written
)

// A parquetWriter writes rows, some at a time.
type parquetWriter struct {
	to   *parquet.GenericWriter[parquetRow]
	rows []parquetRow
	text []byte
}

func newParquetWriter(to io.Writer) *parquetWriter {
	return &parquetWriter{
		to:   parquet.NewGenericWriter[parquetRow](to, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(rowsInGroup), parquet.CreatedBy("tidegate", "", "")),
		rows: make([]parquetRow, 0, rowsAtOnce),
	}
}

func (w *parquetWriter) write(l *jobs.Logged) error {
	w.rows = append(w.rows, w.row(l))
	if len(w.rows) < rowsAtOnce {
		return nil
	}
	return w.flush()
}

func (w *parquetWriter) flush() error {
	_, err := w.to.Write(w.rows)
	w.rows = w.rows[:0]
	return err
}

func (w *parquetWriter) close() error {
	if err := w.flush(); err != nil {
		return err
	}
	return w.to.Close()
}

func (w *parquetWriter) row(l *jobs.Logged) parquetRow {
	text := func(put func([]byte, *jobs.Logged) []byte) string {
		w.text = put(w.text[:0], l)
		return string(w.text)
	}
	return parquetRow{
		RequestID: l.RequestID, At: l.At, Route: l.Route, Target: l.Target, Class: string(l.Class), Status: int32(l.Status), Code: text(putCode),
		LatencyUs: l.Latency.Microseconds(), FirstByteUs: l.FirstByte.Microseconds(), InputTokens: int32(l.Usage.Input), CachedInputTokens: int32(l.Usage.CachedInput),
		OutputTokens: int32(l.Usage.Output), ReasoningTokens: int32(l.Usage.Reasoning), CostMicroUSD: int64(l.Cost), Unpriced: l.Unpriced,
		Propensity: l.Propensity, Explored: l.Decision != nil && l.Decision.Explored, Probe: l.Probe, Blamed: l.Blamed, WaitedFor: string(l.WaitedFor),
		ArrivedAt: l.Arrived, Deadline: l.Deadline, MaxCostMicroUSD: int64(l.MaxCost), BodyBytes: int32(l.BodyBytes), Priority: int32(l.Priority), Awaited: l.Awaited,
		Tenant: l.Tenant, Goal: l.Goal, Endpoint: text(putEndpoint), Decision: text(putDecision),
	}
}
