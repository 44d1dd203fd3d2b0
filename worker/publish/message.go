package publish

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"tidegate/jobs"
)

// Source is the ce-source of every event.
const Source = "tidegate"

// Types of events, as ce-type says them.
const (
	TypeResult  = "dev.tidegate.result.v1"
	TypeBatch   = "dev.tidegate.batch.v1"
	TypeCircuit = "dev.tidegate.circuit.v1"
	TypeRoute   = "dev.tidegate.route.v1"
	TypeBudget  = "dev.tidegate.budget.v1"
)

// A ResultBody is the data of a result's event.
type ResultBody struct {
	RequestID    string            `json:"request_id"`
	CustomID     string            `json:"custom_id,omitempty"`
	BatchID      string            `json:"batch_id,omitempty"`
	Tenant       string            `json:"tenant"`
	Route        string            `json:"route"`
	Endpoint     string            `json:"endpoint,omitempty"` // as "/v1/embeddings"; absent: chat completions
	State        jobs.State        `json:"state"`
	Metadata     map[string]string `json:"metadata,omitempty"`
	Target       string            `json:"target,omitempty"`
	Model        string            `json:"model,omitempty"`
	FinishReason string            `json:"finish_reason,omitempty"`
	Usage        jobs.Usage        `json:"usage"`
	CostMicroUSD *jobs.MicroUSD    `json:"cost_micro_usd"` // null: not known, as that of a target without a price
	Attempts     int               `json:"attempts"`
	// BadAnswers is how many answers were not as expected; Escalated tells that the
	// answer came after such ones. Unmet says which expectation it does not keep
	// itself, where it was kept for want of a better one.
	BadAnswers int    `json:"bad_answers,omitempty"`
	Escalated  bool   `json:"escalated,omitempty"`
	Unmet      string `json:"unmet,omitempty"`
	// Response is what OpenAI's API answers at the endpoint. It is absent when it is
	// larger than 64 KiB, or than the NATS server takes: then the header
	// ce-dataref says where it is. A server that takes very little is sent no
	// metadata and no message of an error either; they are in the same place.
	Response json.RawMessage `json:"response,omitempty"`
	Error    *ErrorBody      `json:"error,omitempty"` // of all states but answered
	StoredAt time.Time       `json:"stored_at"`
}

// An ErrorBody says why there is no answer.
type ErrorBody struct {
	Class   jobs.Class `json:"class,omitempty"`
	Status  int        `json:"status,omitempty"`
	Code    string     `json:"code,omitempty"`
	Message string     `json:"message,omitempty"`
}

// A BatchBody is the data of a batch's event. Of a batch that did not come as a file
// there are no files, and of one that has not ended only what came in.
type BatchBody struct {
	BatchID   string          `json:"batch_id"`
	Tenant    string          `json:"tenant"`
	State     jobs.BatchState `json:"state"`
	Total     int             `json:"total"`
	Completed int             `json:"completed"`
	Failed    int             `json:"failed"`
	CreatedAt time.Time       `json:"created_at"`
	EndedAt   time.Time       `json:"ended_at,omitzero"`
	RetryOf   string          `json:"retry_of,omitempty"` // the batch whose failed requests it tries again

	InputFileID  string `json:"input_file_id,omitempty"`
	OutputFileID string `json:"output_file_id,omitempty"`
	ErrorFileID  string `json:"error_file_id,omitempty"`
}

// A TooLargeError says that an event does not fit into a message, however much
// is left out of it.
type TooLargeError struct {
	ID, Subject  string // of the message
	Bytes, Limit int64  // headers and data together
}

// Error says both sizes.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the smallest form of the event has %d bytes, and a message at most %d", e.Bytes, e.Limit)
}

// Message builds what is sent for an event: as much of it as a message of at
// most limit bytes holds, headers and data together. If not even a reference to
// the result does, the error is a *TooLargeError.
func Message(event jobs.Event, limit int64) (msg *nats.Msg, err error) {
	switch {
	case event.Result != nil:
		msg, err = resultMessage(event.Result, limit)
	case event.Batch != nil:
		msg, err = batchMessage(event.Batch)
	case event.Circuit != nil:
		msg, err = circuitMessage(event.Circuit)
	case event.Pause != nil:
		msg, err = routeMessage(event.Pause)
	case event.Budget != nil:
		msg, err = budgetMessage(event.Budget)
	default:
		err = errors.New("an event of nothing")
	}
	if err != nil {
		return nil, err
	}
	if size := payload(msg); size > limit {
		return nil, &TooLargeError{ID: msg.Header[nats.MsgIdHdr][0], Subject: msg.Subject, Bytes: size, Limit: limit}
	}
	return msg, nil
}

// payload is a message's size as max_payload counts it.
func payload(msg *nats.Msg) int64 { return int64(msg.Size() - len(msg.Subject)) }

// Body is the data of a result's event, with its answer whatever its size.
func Body(e *jobs.ResultEvent) ResultBody {
	body := ResultBody{
		RequestID: e.RequestID, CustomID: e.CustomID, BatchID: e.BatchID, Tenant: e.Tenant, Route: e.Route, State: e.State, Metadata: e.Metadata,
		Target: e.Target, Model: e.Model, FinishReason: e.FinishReason, Usage: e.Usage, Attempts: e.Attempts,
		BadAnswers: e.BadAnswers, Escalated: e.Escalated(), Unmet: e.Unmet(), Response: e.Body, StoredAt: e.StoredAt,
	}
	if e.Endpoint != jobs.EndpointChat {
		body.Endpoint = e.Endpoint.String()
	}
	if !e.Unpriced {
		body.CostMicroUSD = &e.Cost
	}
	if e.State != jobs.StateAnswered {
		body.Error = &ErrorBody{Class: e.Class, Status: e.Status, Code: e.Code, Message: e.Message}
	}
	return body
}

// resultMessage leaves out first the answer and then all that may be long, until
// the rest fits. An answer that is not JSON is left out, too: it must not stand
// in the way of all others.
func resultMessage(e *jobs.ResultEvent, limit int64) (*nats.Msg, error) {
	body := Body(e)
	if e.BodyBytes <= jobs.MaxEventBody {
		if msg, err := wrap(e, &body); err == nil && payload(msg) <= limit {
			return msg, nil
		}
	}
	body.Response = nil
	msg, err := wrapReference(e, &body)
	if err != nil || payload(msg) <= limit {
		return msg, err
	}
	body.Metadata = nil
	if body.Error != nil {
		body.Error.Message = ""
	}
	return wrapReference(e, &body)
}

func wrap(e *jobs.ResultEvent, body *ResultBody) (*nats.Msg, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("event of request %s: %w", e.RequestID, err)
	}
	return traced(newMessage(ResultSubject(e.Tenant, e.Route, e.BatchID, e.RequestID), e.ID, TypeResult, e.RequestID, e.StoredAt, data), e.Traceparent), nil
}

// wrapReference is wrap for a body of which something was left out.
func wrapReference(e *jobs.ResultEvent, body *ResultBody) (*nats.Msg, error) {
	msg, err := wrap(e, body)
	if err == nil {
		msg.Header["ce-dataref"] = []string{"tidegate:results/" + e.RequestID}
	}
	return msg, err
}

// BodyOfBatch is the data of a batch's event.
func BodyOfBatch(b *jobs.Batch) BatchBody {
	body := BatchBody{
		BatchID: b.ID, Tenant: b.Tenant, State: b.State, Total: b.Total,
		Completed: b.Completed, Failed: b.Failed, CreatedAt: b.CreatedAt, EndedAt: b.EndedAt, RetryOf: b.RetryOf,
	}
	if b.Order != nil {
		body.InputFileID, body.OutputFileID, body.ErrorFileID = b.Order.InputFile, b.Order.OutputFile, b.Order.ErrorFile
	}
	return body
}

func batchMessage(e *jobs.BatchEvent) (*nats.Msg, error) {
	b := &e.Batch
	data, err := json.Marshal(BodyOfBatch(b))
	if err != nil {
		return nil, fmt.Errorf("event of batch %s: %w", b.ID, err)
	}
	return traced(newMessage(BatchSubject(b.Tenant, b.ID, b.State), b.ID+"-"+string(b.State), TypeBatch, b.ID, b.EndedAt, data), e.Traceparent), nil
}

// traced says to which span a message belongs; empty: to none.
func traced(msg *nats.Msg, traceparent string) *nats.Msg {
	if traceparent != "" {
		msg.Header["ce-traceparent"] = []string{traceparent}
	}
	return msg
}

func newMessage(subject, id, kind, about string, at time.Time, data []byte) *nats.Msg {
	return &nats.Msg{Subject: subject, Data: data, Header: nats.Header{
		nats.MsgIdHdr:    {id},
		"ce-specversion": {"1.0"},
		"ce-id":          {id},
		"ce-source":      {Source},
		"ce-type":        {kind},
		"ce-subject":     {about},
		"ce-time":        {at.UTC().Format(time.RFC3339Nano)},
		"content-type":   {"application/json"},
	}}
}
