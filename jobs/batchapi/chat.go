package batchapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"tidegate/jobs"
	"tidegate/store"
)

// Headers that say how a request is to be answered whose sender waits.
const (
	headerRoute   = "Tidegate-Route"
	headerGoal    = "Tidegate-Goal"
	headerMaxCost = "Tidegate-Max-Cost-Usd"
	headerTimeout = "Tidegate-Timeout"
)

const (
	// awaitedGoal is the goal of requests whose sender waits.
	awaitedGoal = "speed"
	// awaitedFor is a little less than the official SDKs wait for an answer: they are to
	// hear that its time is over, and not to ask again.
	awaitedFor   = 10*time.Minute - 20*time.Second
	leastAwaited = time.Second
	mostAwaited  = time.Hour
)

// A Desk answers requests whose senders wait. It is safe for concurrent use.
type Desk interface {
	// Answer returns the result of a request, or a *jobs.NotNowError, or ctx's own
	// cause. Where ctx asks for pieces (jobs.WithPieces), they are handed on.
	Answer(ctx context.Context, request *jobs.Request) (*jobs.Result, error)
}

// createCompletion answers at once, through the same routing as all else.
func (s *Server) createCompletion(w http.ResponseWriter, r *http.Request) error {
	if s.config.Desk == nil {
		return &apiError{
			status: http.StatusServiceUnavailable, kind: serverError, code: "no_targets",
			message: "this server has no targets configured, so it answers nothing at once; enqueue a batch, or give `serve` a configuration with targets and routes",
		}
	}
	body, leave, err := s.readLarge(r, jobs.MaxBodyBytes)
	leave = sync.OnceFunc(leave)
	defer leave()
	if err != nil {
		return err
	}
	request, stream, err := s.readAwaited(r, body)
	if err != nil {
		return err
	}
	quit, err := s.hall.enter(caller(r), len(body))
	if err != nil {
		return err
	}
	defer quit()
	leave() // it has a place of its own
	if answer, ok := w.(*answerWriter); ok {
		answer.release()
	}
	if stream.On {
		return s.streamCompletion(w, r, request, stream)
	}
	result, err := s.config.Desk.Answer(r.Context(), request)
	if err == nil {
		err = faultOf(result)
	}
	if err != nil {
		return notAnswered(w, err)
	}
	sayOf(w, result)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_, err = w.Write(result.Body)
	return err
}

// readAwaited reads a request whose sender waits.
func (s *Server) readAwaited(r *http.Request, body []byte) (*jobs.Request, jobs.Streaming, error) {
	whole, stream, err := jobs.CheckAwaitedBody(body)
	if err != nil {
		return nil, stream, invalid("", "invalid_value", "%s", shown(err.Error()))
	}
	now := s.config.Now().Truncate(time.Microsecond)
	request := &jobs.Request{ID: store.NewRequestID(), Tenant: caller(r).Tenant, Body: whole, CreatedAt: now, Goal: awaitedGoal, Traceparent: jobs.TraceparentOf(r.Context())}
	if err := s.steerAwaited(r, request); err != nil {
		return nil, stream, err
	}
	return request, stream, nil
}

// steerAwaited takes what the headers say, and chooses the route.
func (s *Server) steerAwaited(r *http.Request, request *jobs.Request) error {
	wait := awaitedFor
	if text := r.Header.Get(headerTimeout); text != "" {
		var err error
		if wait, err = jobs.ParseDuration(text); err != nil || wait < leastAwaited || wait > mostAwaited {
			return invalid(headerTimeout, "invalid_value", "%s: %s is not a time like 30s, from one second to an hour", headerTimeout, shown(text))
		}
	}
	request.Deadline = request.CreatedAt.Add(wait)
	if text := r.Header.Get(headerMaxCost); text != "" {
		usd, err := strconv.ParseFloat(text, 64)
		if err != nil || !(usd >= 1e-6 && usd <= 1e6) {
			return invalid(headerMaxCost, "invalid_value", "%s: %s is not a sum of dollars like 0.05", headerMaxCost, shown(text))
		}
		request.MaxCost = jobs.USD(usd)
	}
	ctx, cancel := context.WithTimeout(r.Context(), looksWithin)
	defer cancel()
	routes, err := s.config.Store.Routes(ctx)
	if err != nil {
		return err
	}
	return choose(request, routes, s.config.Goals, r.Header.Get(headerRoute), r.Header.Get(headerGoal))
}

// notAnswered is why somebody who waited got no answer, as an SDK understands it.
func notAnswered(w http.ResponseWriter, err error) error {
	var no *jobs.NotNowError
	if !errors.As(err, &no) {
		return err
	}
	if no.RequestID != "" {
		w.Header().Set(headerRequest, no.RequestID)
	}
	told := &apiError{status: http.StatusServiceUnavailable, kind: serverError, message: no.Reason, header: http.Header{}, quiet: true}
	switch no.Lack {
	case jobs.LackTarget:
		told.code = "no_target_available"
	case jobs.LackPace:
		told.status, told.kind, told.code = http.StatusTooManyRequests, rateLimited, "rate_limit_exceeded"
	case jobs.LackMoney:
		told.status, told.kind, told.code = http.StatusTooManyRequests, "insufficient_quota", "insufficient_quota"
		told.header.Set("X-Should-Retry", "false") // an SDK would ask twice more, in a second
	case jobs.LackTime:
		told.status, told.code = http.StatusGatewayTimeout, "timeout"
		told.header.Set("X-Should-Retry", "false")
	case jobs.LackWorker:
		told.code = "server_busy"
	}
	if no.After > 0 {
		told.header.Set("Retry-After", strconv.Itoa(int((no.After+time.Second-1)/time.Second)))
	}
	return told
}

// faultOf is how a request ended that was not answered; nil: it was.
func faultOf(result *jobs.Result) error {
	if result.State == jobs.StateAnswered {
		return nil
	}
	told := &apiError{status: result.Status, kind: invalidRequest, code: result.Code, message: result.Message, header: http.Header{headerRequest: {result.RequestID}}, quiet: true}
	switch {
	case result.State == jobs.StateExpired:
		told.kind, told.code, told.message = serverError, "timeout", "no target answered in time"
	case told.status < http.StatusBadRequest || told.status >= http.StatusInternalServerError:
		told.status, told.kind = http.StatusBadGateway, serverError
	case told.status == http.StatusUnauthorized || told.status == http.StatusForbidden: // which is between us and a provider
		told.status, told.kind = http.StatusBadGateway, serverError
	}
	if told.code == "" {
		told.code = string(result.Class)
	}
	told.header.Set("X-Should-Retry", "false") // every target was asked that may be
	return told
}

// Headers that say how a request was answered.
const (
	headerRequest = "Tidegate-Request-Id"
	headerTarget  = "Tidegate-Target"
	headerCost    = "Tidegate-Cost-Usd"
	headerCalls   = "Tidegate-Attempts"
)

// sayOf says in headers who answered, and what it cost.
func sayOf(w http.ResponseWriter, result *jobs.Result) {
	header := w.Header()
	header.Set(headerRequest, result.RequestID)
	header.Set(headerTarget, result.Target)
	header.Set(headerCalls, strconv.Itoa(result.Attempts))
	if !result.Unpriced {
		header.Set(headerCost, strconv.FormatFloat(result.Cost.Dollars(), 'f', -1, 64))
	}
}
