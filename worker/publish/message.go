package publish

import (
	"encoding/json"
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
)

// A ResultBody is the data of a result's event.
type ResultBody struct {
	RequestID    string            `json:"request_id"`
	CustomID     string            `json:"custom_id,omitempty"`
	BatchID      string            `json:"batch_id,omitempty"`
	Tenant       string            `json:"tenant"`
	Route        string            `json:"route"`
	State        jobs.State        `json:"state"`
	Metadata     map[string]string `json:"metadata,omitempty"`
	Target       string            `json:"target,omitempty"`
	Model        string            `json:"model,omitempty"`
	FinishReason string            `json:"finish_reason,omitempty"`
	Usage        jobs.Usage        `json:"usage"`
	CostMicroUSD jobs.MicroUSD     `json:"cost_micro_usd"`
	Attempts     int               `json:"attempts"`
	// Response is the OpenAI chat-completion object. It is absent when it is
	// larger than 64 KiB: then the header ce-dataref says where it is.
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

// A BatchBody is the data of a batch's event.
type BatchBody struct {
	BatchID   string          `json:"batch_id"`
	Tenant    string          `json:"tenant"`
	State     jobs.BatchState `json:"state"`
	Total     int             `json:"total"`
	Completed int             `json:"completed"`
	Failed    int             `json:"failed"`
	CreatedAt time.Time       `json:"created_at"`
	EndedAt   time.Time       `json:"ended_at,omitzero"`
}

// Message builds what is sent for an event.
func Message(event jobs.Event) (*nats.Msg, error) {
	switch {
	case event.Result != nil:
		return resultMessage(event.Result)
	case event.Batch != nil:
		return batchMessage(event.Batch)
	case event.Circuit != nil:
		return circuitMessage(event.Circuit)
	case event.Pause != nil:
		return routeMessage(event.Pause)
	default:
		return nil, fmt.Errorf("an event of nothing")
	}
}

// Body is the data of a result's event, with its answer whatever its size.
func Body(e *jobs.ResultEvent) ResultBody {
	body := ResultBody{
		RequestID: e.RequestID, CustomID: e.CustomID, BatchID: e.BatchID, Tenant: e.Tenant, Route: e.Route, State: e.State, Metadata: e.Metadata,
		Target: e.Target, Model: e.Model, FinishReason: e.FinishReason, Usage: e.Usage, CostMicroUSD: e.Cost, Attempts: e.Attempts,
		Response: e.Body, StoredAt: e.StoredAt,
	}
	if e.State != jobs.StateAnswered {
		body.Error = &ErrorBody{Class: e.Class, Status: e.Status, Code: e.Code, Message: e.Message}
	}
	return body
}

func resultMessage(e *jobs.ResultEvent) (*nats.Msg, error) {
	body := Body(e)
	byReference := e.BodyBytes > jobs.MaxEventBody
	data, err := json.Marshal(body)
	if err != nil { // an answer that is not JSON must not stand in the way of all others
		byReference, body.Response = true, nil
		data, err = json.Marshal(body)
	}
	if err != nil {
		return nil, fmt.Errorf("event of request %s: %w", e.RequestID, err)
	}
	msg := newMessage(ResultSubject(e.Tenant, e.Route, e.BatchID, e.RequestID), e.ID, TypeResult, e.RequestID, e.StoredAt, data)
	if byReference {
		msg.Header["ce-dataref"] = []string{"tidegate:results/" + e.RequestID}
	}
	return msg, nil
}

func batchMessage(b *jobs.Batch) (*nats.Msg, error) {
	data, err := json.Marshal(BatchBody{
		BatchID: b.ID, Tenant: b.Tenant, State: b.State, Total: b.Total,
		Completed: b.Completed, Failed: b.Failed, CreatedAt: b.CreatedAt, EndedAt: b.EndedAt,
	})
	if err != nil {
		return nil, fmt.Errorf("event of batch %s: %w", b.ID, err)
	}
	return newMessage(BatchSubject(b.Tenant, b.ID, b.State), b.ID+"-"+string(b.State), TypeBatch, b.ID, b.EndedAt, data), nil
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
