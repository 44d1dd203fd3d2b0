package worker

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"

	"tidegate/jobs"
)

// resultOf turns an outcome into what is stored for ever. A Blocked outcome
// here means that the deadline passed.
func resultOf(r *run, outcome jobs.Outcome) jobs.Result {
	result := jobs.Result{
		ID: newResultID(), RequestID: r.request.ID,
		Cost:       r.history.Cost() + outcome.Trace.Cost(),
		Unpriced:   r.history.Unpriced() || outcome.Trace.Unpriced(),
		Attempts:   len(r.history) + len(outcome.Trace.Attempts()),
		BadAnswers: r.history.BadAnswers() + outcome.Trace.BadAnswers(),
	}
	switch outcome.Verdict {
	case jobs.Answered:
		a := outcome.Answer
		result.State, result.Status, result.Body = jobs.StateAnswered, http.StatusOK, a.Body
		result.Target, result.Model, result.ProviderID = a.Target, a.Model, a.ProviderID
		result.FinishReason, result.Usage = a.FinishReason, a.Usage
		if a.Unmet != "" {
			result.Class = jobs.Invalid
			result.Code, result.Message, _ = strings.Cut(a.Unmet, ": ")
		}
	case jobs.Refused:
		e := outcome.Err
		result.State, result.Status = jobs.StateRefused, cmp.Or(e.Status, http.StatusBadGateway)
		if e.Status == statusGone {
			result.State = jobs.StateCancelled
		}
		result.Class, result.Code, result.Message = e.Class, e.Code, e.Message
		result.Target = lastTarget(outcome.Trace)
	case jobs.Blocked:
		result.State, result.Status = jobs.StateExpired, http.StatusGatewayTimeout
		result.Code, result.Message = "batch_expired", jobs.ExpiredWaiting(r.short)
	}
	return result
}

func lastTarget(trace jobs.Trace) string {
	attempts := trace.Attempts()
	if len(attempts) == 0 {
		return ""
	}
	return attempts[len(attempts)-1].Target
}

// unstorable is the result of a request whose answer the database will not
// take.
func unstorable(r *run, outcome jobs.Outcome, err *jobs.EntryError) jobs.Result {
	outcome.Verdict = jobs.Refused
	outcome.Err = &jobs.Error{
		Class: jobs.Garbled, Status: http.StatusBadGateway, Code: "answer_not_storable",
		Message: fmt.Sprintf("the answer could not be stored: %v", err.Err),
	}
	return resultOf(r, outcome)
}

// poisoned is the result of a request that no worker survives.
func poisoned(r *run) jobs.Result {
	return jobs.Result{
		ID: newResultID(), RequestID: r.request.ID, State: jobs.StatePoison, Status: http.StatusInternalServerError,
		Code: "poison", Message: "every attempt to work it ended in a panic",
		Cost: r.history.Cost(), Unpriced: r.history.Unpriced(), Attempts: len(r.history),
	}
}
