package batchapi

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"tidegate/jobs"
	"tidegate/store"
)

// Types of errors, as the OpenAI API has them.
const (
	invalidRequest = "invalid_request_error"
	rateLimited    = "rate_limit_error"
	serverError    = "server_error"
)

// An apiError is an error as it is told to who asked.
type apiError struct {
	status  int
	kind    string
	code    string // empty: null
	param   string // the field at fault; empty: null
	message string
	header  http.Header // beside
	quiet   bool        // it is the sender's business alone, and may quote what was sent: it is not logged
}

// Error is what is told.
func (e *apiError) Error() string { return e.message }

var (
	errInternal = &apiError{status: http.StatusInternalServerError, kind: serverError, message: "the server could not do this; it is in its log under the request's id"}
	errGone     = invalid("", "incomplete_body", "the connection was closed before the request was answered")
	errAway     = &apiError{
		status: http.StatusServiceUnavailable, kind: serverError, code: "unavailable", message: "the database cannot be reached now; try again in some seconds",
		header: http.Header{"Retry-After": {"2"}},
	}
	errUnknown = &apiError{
		status: http.StatusServiceUnavailable, kind: serverError, code: "outcome_unknown",
		message: "the database was lost in the moment of the commit, so nobody knows whether this was accepted: send it again with the same Idempotency-Key, or look for it first if it had none",
		header:  http.Header{"Retry-After": {"2"}},
	}
	errBusy = &apiError{
		status: http.StatusServiceUnavailable, kind: serverError, code: "server_busy", message: "too many requests are being served; try again in a second",
		header: http.Header{"Retry-After": {"1"}},
	}
)

// invalid is a 400 that names the field.
func invalid(param, code, format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, kind: invalidRequest, code: code, param: param, message: fmt.Sprintf(format, args...)}
}

// notFound is a 404 of a thing that has an id.
func notFound(what, id string) *apiError {
	return &apiError{status: http.StatusNotFound, kind: invalidRequest, param: "id", message: fmt.Sprintf("No such %s object: %s", what, shown(id))}
}

// shown is what somebody sent, as much of it as an error repeats.
func shown(text string) string {
	const most = 80
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return '?'
		}
		return r
	}, text)
	if runes := []rune(clean); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return clean
}

// asAPIError is what may be told of any error.
func asAPIError(err error) *apiError {
	var told *apiError
	var tooLarge *http.MaxBytesError
	var stranger *store.StrangerError
	var unknown *store.UnknownOutcomeError
	switch {
	case errors.As(err, &told):
		return told
	case errors.As(err, &tooLarge):
		return &apiError{status: http.StatusRequestEntityTooLarge, kind: invalidRequest, code: "request_too_large", message: fmt.Sprintf("the body is larger than %d bytes", tooLarge.Limit)}
	case errors.Is(err, errTooSlow):
		return &apiError{status: http.StatusRequestTimeout, kind: invalidRequest, code: "request_timeout", message: "the body came too slowly"}
	case errors.Is(err, errCut):
		return invalid("", "incomplete_body", "%s", errCut.Error())
	case errors.Is(err, jobs.ErrFileInUse):
		return &apiError{status: http.StatusConflict, kind: invalidRequest, code: "file_in_use", param: "id", message: "the file is being read by a batch; cancel that, or wait until it is in progress"}
	case errors.Is(err, store.ErrKeyReused):
		return &apiError{status: http.StatusConflict, kind: invalidRequest, code: "idempotency_key_reused", param: "Idempotency-Key", message: "this Idempotency-Key was used for another request; give each its own"}
	case errors.As(err, &stranger):
		return &apiError{
			status: http.StatusServiceUnavailable, kind: serverError, code: "workers_too_old", param: "endpoint", message: stranger.Error(),
			header: http.Header{"Retry-After": {"30"}},
		}
	case errors.As(err, &unknown):
		return errUnknown
	case store.Away(err):
		return errAway
	default:
		return errInternal
	}
}

type errorBody struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

// writeError answers with an error. A conflict of ours is as it is however often it is
// asked for, and official SDKs would ask twice more: the header is theirs.
func writeError(w http.ResponseWriter, e *apiError) {
	if e.status == http.StatusConflict {
		w.Header().Set("X-Should-Retry", "false")
	}
	for name, values := range e.header {
		w.Header()[name] = values
	}
	writeJSON(w, e.status, map[string]errorBody{"error": {Message: e.message, Type: e.kind, Param: orNull(e.param), Code: orNull(e.code)}})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(body) // the sender may be gone
}

// orNull makes the zero value null.
func orNull[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}

// noSuchRoute says why no handler of the mux wants a request: nobody has its path, or
// another method is meant. What the mux itself answers says which.
func (s *Server) noSuchRoute(serve http.Handler, r *http.Request) *apiError {
	probe := &probeWriter{header: http.Header{}}
	serve.ServeHTTP(probe, r)
	if probe.status == http.StatusMethodNotAllowed {
		return &apiError{
			status: http.StatusMethodNotAllowed, kind: invalidRequest, code: "method_not_allowed", header: http.Header{"Allow": probe.header["Allow"]},
			message: fmt.Sprintf("Not allowed to %s %s; it takes %s", shown(r.Method), shown(r.URL.Path), strings.Join(probe.header["Allow"], ", ")),
		}
	}
	message := fmt.Sprintf("Unknown request URL: %s %s", shown(r.Method), shown(r.URL.Path))
	if endpoint, known := jobs.ParseEndpoint(r.URL.Path); known {
		message += fmt.Sprintf("; what is answered at once is %s, and of %s batches (/v1/batches) and jobs (/v1/jobs, with its url)", jobs.EndpointChat, endpoint)
	}
	return &apiError{status: http.StatusNotFound, kind: invalidRequest, code: "unknown_url", message: message}
}

// A probeWriter takes an answer that nobody is sent.
type probeWriter struct {
	header http.Header
	status int
}

func (p *probeWriter) Header() http.Header         { return p.header }
func (p *probeWriter) Write(b []byte) (int, error) { return len(b), nil }
func (p *probeWriter) WriteHeader(status int)      { p.status = status }

func newRequestID() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	return "req_" + hex.EncodeToString(random[:])
}

func kindOf(why any) string { return reflect.TypeOf(why).String() }
