package jobs

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"strings"
)

// An outputLine is one line of an OpenAI batch's output or error file. Exactly
// one of Response and Error is set.
type outputLine struct {
	ID       string          `json:"id"`
	CustomID *string         `json:"custom_id"`
	Response *outputResponse `json:"response"`
	Error    *outputError    `json:"error"`
}

type outputResponse struct {
	StatusCode int             `json:"status_code"`
	RequestID  string          `json:"request_id"`
	Body       json.RawMessage `json:"body"`
}

// An outputError says why there is no response at all.
type outputError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// A refusal is the envelope of an error as the OpenAI API answers it. All four
// fields are always there.
type refusal struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

// AppendOutputLine appends r as a line of an OpenAI batch output file, with its
// newline, and returns the longer slice. An answer comes with its body as it was
// stored, but for the space between its tokens; a refused request as the response that a synchronous caller would have
// met; the others with no response and an error instead. An empty customID
// becomes null. Lines for answers belong into the output file, the others into
// the error file: r.State tells them apart.
func AppendOutputLine(dst []byte, customID string, r *Result) []byte {
	line := outputLine{ID: "batch_req_" + strings.ReplaceAll(r.RequestID, "-", "")}
	if customID != "" {
		line.CustomID = &customID
	}
	switch r.State {
	case StateAnswered:
		line.Response = answeredResponse(r)
	case StateRefused:
		line.Response = refusedResponse(r)
	default:
		line.Error = endedError(r)
	}
	return append(appendJSON(dst, line), '\n')
}

// answeredResponse holds the stored body, whatever it is: one that is not JSON
// is quoted, so that the line stays whole.
func answeredResponse(r *Result) *outputResponse {
	body := r.Body
	if !json.Valid(body) {
		body = appendJSON(nil, string(body))
	}
	return &outputResponse{StatusCode: cmp.Or(r.Status, http.StatusOK), RequestID: r.RequestID, Body: body}
}

// refusedStatus is the status of a refusal whose provider sent none, and the
// type that the OpenAI API gives to its like.
func refusedStatus(c Class) (int, string) {
	switch c {
	case Rate, DailyQuota:
		return http.StatusTooManyRequests, "rate_limit_error"
	case Quota:
		return http.StatusTooManyRequests, "insufficient_quota"
	case Auth:
		return http.StatusUnauthorized, "authentication_error"
	case Overload:
		return http.StatusServiceUnavailable, "service_unavailable_error"
	case Transient, Garbled, Invalid, Lost:
		return http.StatusBadGateway, "server_error"
	case Timeout:
		return http.StatusGatewayTimeout, "server_error"
	default:
		return http.StatusBadRequest, "invalid_request_error"
	}
}

func refusedResponse(r *Result) *outputResponse {
	status, kind := refusedStatus(r.Class)
	if r.Status >= http.StatusBadRequest {
		status = r.Status
	}
	said := refusal{Message: cmp.Or(r.Message, "the request was refused"), Type: kind}
	if r.Code != "" {
		said.Code = &r.Code
	}
	return &outputResponse{
		StatusCode: status,
		RequestID:  r.RequestID,
		Body:       appendJSON(nil, map[string]refusal{"error": said}),
	}
}

// endedError is why a request ended that nobody answered or refused. The codes
// of the first two are OpenAI's; the last is ours, for what OpenAI has not.
func endedError(r *Result) *outputError {
	switch r.State {
	case StateExpired:
		return &outputError{"batch_expired", cmp.Or(r.Message, "the request was not answered before its deadline")}
	case StateCancelled:
		return &outputError{"batch_cancelled", cmp.Or(r.Message, "the request was cancelled before it was answered")}
	default:
		return &outputError{cmp.Or(r.Code, "request_failed"), cmp.Or(r.Message, "the request was given up")}
	}
}

// appendJSON appends v as JSON on one line and leaves its text as it is. The
// values of this file always marshal.
func appendJSON(dst []byte, v any) []byte {
	out := bytes.NewBuffer(dst)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}
