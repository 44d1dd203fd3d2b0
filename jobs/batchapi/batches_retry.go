package batchapi

import (
	"bytes"
	"cmp"
	"errors"
	"net/http"
	"slices"
	"time"

	"tidegate/jobs"
	"tidegate/store"
)

// A retryOrder is the body of a request for a batch that tries another one again. All
// of it may be left out, and the body, too.
type retryOrder struct {
	Classes          []string          `json:"classes"`
	Route            string            `json:"route"`
	Goal             string            `json:"goal"`
	CompletionWindow string            `json:"completion_window"`
	Metadata         map[string]string `json:"metadata"`
}

// retryBatch makes a batch of the failed requests of one that has ended.
func (s *Server) retryBatch(w http.ResponseWriter, r *http.Request) error {
	of, err := s.batch(r) // before its body is looked at: nobody learns of another's batches
	if err != nil {
		return err
	}
	body, leave, err := s.readLarge(r, maxJSONBytes)
	defer leave()
	if err != nil {
		return err
	}
	var order retryOrder
	if len(bytes.TrimSpace(body)) > 0 {
		if err := decode(body, &order); err != nil {
			return err
		}
	}
	once, err := onceOf(r, "retry", slices.Concat([]byte(of.ID+"\n"), body))
	if err != nil {
		return err
	}
	if known, err := s.answerAgain(w, r, &once); known || err != nil {
		return err
	}
	retry, err := s.draftRetry(r, &of, &order)
	if err != nil {
		return err
	}
	made, err := s.config.Store.CreateRetry(r.Context(), retry, once)
	if err != nil {
		return refusedRetry(err, of.ID, &order)
	}
	writeJSON(w, http.StatusOK, s.batchForeseen(w, r, &made))
	return nil
}

// draftRetry makes a retry of what was ordered.
func (s *Server) draftRetry(r *http.Request, of *jobs.Batch, order *retryOrder) (jobs.Retry, error) {
	retry := jobs.Retry{
		ID: store.NewBatchID(), Of: of.ID, Tenant: of.Tenant, CreatedAt: s.config.Now().Truncate(time.Microsecond),
		Route: cmp.Or(order.Route, order.Metadata[metaRoute]), Goal: cmp.Or(order.Goal, order.Metadata[metaGoal]), Window: order.CompletionWindow, Metadata: order.Metadata,
	}
	for _, name := range order.Classes {
		class, err := jobs.ParseFailureClass(name)
		if err != nil {
			return retry, invalid("classes", "invalid_value", "classes: %v", err)
		}
		retry.Classes = append(retry.Classes, class)
	}
	if order.CompletionWindow != "" {
		var err error
		if retry.Within, err = parseWindow(order.CompletionWindow); err != nil {
			return retry, err
		}
	}
	if err := jobs.CheckMetadata(order.Metadata); err != nil {
		return retry, invalid("metadata", "invalid_value", "%s", shown(err.Error()))
	}
	limits, err := s.steer(r, order.Metadata)
	if err != nil {
		return retry, err
	}
	if !limits.None() {
		retry.Limits = &limits
	}
	if order.Route == "" && order.Goal == "" {
		return retry, nil
	}
	return retry, s.checkChoice(r, choice{order.Route, order.Goal}, choice{"route", "goal"})
}

// refusedRetry tells why there is no such retry.
func refusedRetry(err error, id string, order *retryOrder) error {
	var open *store.NotEndedError
	var nothing *store.NothingToRetryError
	var unserved *store.NotServedError
	switch {
	case errors.As(err, &open):
		return &apiError{
			status: http.StatusConflict, kind: invalidRequest, code: "batch_not_ended", param: "id",
			message: "Cannot retry a batch with status '" + string(open.State) + "'; wait until it has ended, or cancel it.",
		}
	case errors.As(err, &nothing) && len(nothing.By) > 0:
		return &apiError{status: http.StatusConflict, kind: invalidRequest, code: "already_retried", param: "id", message: nothing.Error()}
	case errors.As(err, &nothing):
		return invalid("classes", "nothing_to_retry", "%s", nothing.Error())
	case errors.As(err, &unserved):
		named := "route"
		if order.Route == "" {
			named = metaRoute
		}
		return invalid(paramOf(named), jobs.CodeNotServed, "%s: %s", named, shownLong(unserved.Error()))
	default:
		return found(err, "Batch", id)
	}
}
