package batchapi

import (
	"cmp"
	"net/http"

	"tidegate/jobs"
)

const (
	defaultBatches = 20
	mostBatches    = 100
)

// A batchView is a batch as the API shows it.
type batchView struct {
	ID               string            `json:"id"`
	Object           string            `json:"object"`
	Endpoint         string            `json:"endpoint"`
	Model            *string           `json:"model"`
	Errors           *faultsView       `json:"errors"`
	InputFileID      string            `json:"input_file_id"`
	CompletionWindow string            `json:"completion_window"`
	Status           jobs.BatchState   `json:"status"`
	OutputFileID     *string           `json:"output_file_id"`
	ErrorFileID      *string           `json:"error_file_id"`
	CreatedAt        int64             `json:"created_at"`
	InProgressAt     *int64            `json:"in_progress_at"`
	ExpiresAt        *int64            `json:"expires_at"`
	FinalizingAt     *int64            `json:"finalizing_at"`
	CompletedAt      *int64            `json:"completed_at"`
	FailedAt         *int64            `json:"failed_at"`
	ExpiredAt        *int64            `json:"expired_at"`
	CancellingAt     *int64            `json:"cancelling_at"`
	CancelledAt      *int64            `json:"cancelled_at"`
	RequestCounts    countsView        `json:"request_counts"`
	Usage            *usageView        `json:"usage"`
	Metadata         map[string]string `json:"metadata"`
	RetryOf          string            `json:"retry_of,omitempty"` // ours
	Retried          jobs.Failures     `json:"retried,omitempty"`  // ours: how many requests of that batch, by class
	Forecast         *forecastView     `json:"forecast,omitempty"` // ours: of one that has not ended
}

type countsView struct {
	Total     int `json:"total"`
	Completed int `json:"completed"`
	Failed    int `json:"failed"`
}

type faultsView struct {
	Object string      `json:"object"`
	Data   []faultView `json:"data"`
}

type faultView struct {
	Code    string  `json:"code"`
	Message string  `json:"message"`
	Param   *string `json:"param"`
	Line    *int    `json:"line"`
}

type usageView struct {
	InputTokens        int `json:"input_tokens"`
	InputTokensDetails struct {
		CachedTokens int `json:"cached_tokens"`
	} `json:"input_tokens_details"`
	OutputTokens        int `json:"output_tokens"`
	OutputTokensDetails struct {
		ReasoningTokens int `json:"reasoning_tokens"`
	} `json:"output_tokens_details"`
	TotalTokens int `json:"total_tokens"`
}

func viewUsage(u jobs.Usage) *usageView {
	view := &usageView{InputTokens: u.Input, OutputTokens: u.Output, TotalTokens: u.Input + u.Output}
	view.InputTokensDetails.CachedTokens = u.CachedInput
	view.OutputTokensDetails.ReasoningTokens = u.Reasoning
	return view
}

// viewBatch shows a batch. Of one without an order, what is said of files stays empty,
// and it was in progress from the start.
func viewBatch(b *jobs.Batch) batchView {
	view := batchView{
		ID: b.ID, Object: "batch", Endpoint: jobs.EndpointChat.String(), Status: b.State, CreatedAt: b.CreatedAt.Unix(),
		RequestCounts: countsView{b.Total, b.Completed, b.Failed}, RetryOf: b.RetryOf,
	}
	switch b.State {
	case jobs.BatchCompleted:
		view.CompletedAt = seconds(b.EndedAt)
	case jobs.BatchFailed:
		view.FailedAt = seconds(b.EndedAt)
	case jobs.BatchExpired:
		view.ExpiredAt = seconds(b.EndedAt)
	case jobs.BatchCancelled:
		view.CancelledAt = seconds(b.EndedAt)
	}
	if b.Order != nil {
		view.order(b.Order, b.State)
	} else {
		view.InProgressAt = seconds(b.CreatedAt)
	}
	return view
}

func (v *batchView) order(o *jobs.BatchOrder, state jobs.BatchState) {
	v.Endpoint, v.InputFileID, v.CompletionWindow, v.Metadata = cmp.Or(o.Endpoint, jobs.EndpointChat.String()), o.InputFile, o.Window, o.Metadata
	if o.Retry != nil {
		v.Retried = o.Retry.Took
	}
	v.Model, v.OutputFileID, v.ErrorFileID = orNull(o.Model), orNull(o.OutputFile), orNull(o.ErrorFile)
	v.InProgressAt, v.ExpiresAt = seconds(o.InProgressAt), seconds(o.ExpiresAt)
	v.FinalizingAt, v.CancellingAt = seconds(o.FinalizingAt), seconds(o.CancellingAt)
	if len(o.Faults) > 0 {
		v.Errors = &faultsView{Object: "list"}
		for _, fault := range o.Faults {
			v.Errors.Data = append(v.Errors.Data, faultView{fault.Code, fault.Message, orNull(fault.Param), orNull(fault.Line)})
		}
	}
	if state.Final() && state != jobs.BatchFailed {
		v.Usage = viewUsage(o.Usage)
	}
}

func (s *Server) listBatches(w http.ResponseWriter, r *http.Request) error {
	page, err := readPage(r, defaultBatches, mostBatches)
	if err != nil {
		return err
	}
	limit := page.Limit
	page.Limit++
	batches, err := s.config.Store.BatchesOf(r.Context(), caller(r).Tenant, page)
	if err != nil {
		return err
	}
	list := viewList(batches, limit, viewBatch, func(b *jobs.Batch) string { return b.ID })
	s.foresee(r.Context(), batches, list.Data)
	writeJSON(w, http.StatusOK, list)
	return nil
}

// batch reads the batch that the path of a request names, if it is the caller's.
func (s *Server) batch(r *http.Request) (jobs.Batch, error) {
	id, err := pathID(r, "Batch")
	if err != nil {
		return jobs.Batch{}, err
	}
	batch, err := s.config.Store.Batch(r.Context(), id)
	if err == nil && batch.Tenant != caller(r).Tenant {
		return jobs.Batch{}, notFound("Batch", id)
	}
	return batch, found(err, "Batch", id)
}

func (s *Server) getBatch(w http.ResponseWriter, r *http.Request) error {
	batch, err := s.batch(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, s.batchForeseen(w, r, &batch))
	return nil
}

// cancelBatch has a batch cancelled. It does not wait for the end of that. One that is
// being cancelled, or was, is answered the same way again.
func (s *Server) cancelBatch(w http.ResponseWriter, r *http.Request) error {
	batch, err := s.batch(r)
	if err != nil {
		return err
	}
	if err := s.config.Store.StartCancel(r.Context(), batch.ID); err != nil {
		return err
	}
	if batch, err = s.config.Store.Batch(r.Context(), batch.ID); err != nil {
		return err
	}
	if batch.State != jobs.BatchCancelling && batch.State != jobs.BatchCancelled && (batch.Order == nil || batch.Order.CancellingAt.IsZero()) {
		return &apiError{
			status: http.StatusConflict, kind: invalidRequest, code: "batch_not_cancellable", param: "id",
			message: "Cannot cancel a batch with status '" + string(batch.State) + "'.",
		}
	}
	writeJSON(w, http.StatusOK, s.batchForeseen(w, r, &batch))
	return nil
}
