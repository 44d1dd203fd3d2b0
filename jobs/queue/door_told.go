package queue

import (
	"context"
	"errors"
	"net/http"
	"time"

	"tidegate/jobs"
	"tidegate/store"
)

// doorAgain is when to send again what could not be accepted for a reason of ours.
const doorAgain = 2 * time.Second

// refuse is an error of who sent lines. An empty param is none.
func refuse(code, param, message string) *jobs.IntakeError {
	e := &jobs.IntakeError{Status: http.StatusBadRequest, Type: "invalid_request_error", Code: &code, Message: message}
	if param != "" {
		e.Param, e.Message = &param, param+": "+message
	}
	return e
}

// unavailable is an error of ours, after which lines are to be sent again.
func unavailable(code, message string, err error) *jobs.IntakeError {
	return &jobs.IntakeError{Status: http.StatusServiceUnavailable, Type: "server_error", Code: &code, Message: message, After: doorAgain, Err: err}
}

// told is what who sent lines is told of an error. What is ours to know goes to the log
// alone.
func told(err error) *jobs.IntakeError {
	var already *jobs.IntakeError
	var line *jobs.LineError
	var unknown *UnknownError
	var lost *store.UnknownOutcomeError
	switch {
	case errors.As(err, &already):
		return already
	case errors.As(err, &line):
		e := refuse(line.Code, line.Field, line.Err.Error())
		e.Message = line.Error()
		return e
	case errors.Is(err, store.ErrKeyReused):
		e := refuse("idempotency_key_reused", "Nats-Msg-Id", "was used for something else within a day; give each message its own")
		e.Status = http.StatusConflict
		return e
	case errors.As(err, &unknown), errors.As(err, &lost):
		return unavailable("outcome_unknown", "the database was lost in the moment of the commit, so nobody knows whether this was accepted: send it again under the same Nats-Msg-Id", err)
	case errors.Is(err, context.Canceled):
		return unavailable("server_stopping", "this worker stops; nothing was accepted: send it again", err)
	default:
		return unavailable("unavailable", "the queue cannot be reached now; send it again under the same Nats-Msg-Id", err)
	}
}
