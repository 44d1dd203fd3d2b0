package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidegate/cmd/app/dashboard"
	"tidegate/jobs"
	"tidegate/store"
)

const (
	// batchesListed and requestsListed are how many stand on a page that lists them.
	batchesListed, requestsListed = 50, 100
)

// pageBatch tells of a batch, and shows its requests in a state behind one of them.
func (l *look) pageBatch(ctx context.Context, id, state, after string) (*dashboard.BatchStory, error) {
	batch, err := l.store.Batch(ctx, id)
	if err != nil {
		return nil, err
	}
	made := &dashboard.BatchStory{Batch: dashboard.Batch{Batch: batch}, At: time.Now(), Facts: batchFacts(&batch), Faults: batchFaults(&batch)}
	said, deadline, err := l.forecasts.Batch(ctx, &batch)
	if err != nil {
		return nil, err
	}
	made.Deadline = deadline
	if !batch.Ended() {
		made.Done = pageDone(said, deadline)
	}
	if made.Cost, err = l.batchCost(ctx, id, made.Ends()); err != nil {
		return nil, err
	}
	if made.Retries, err = l.store.RetriesOf(ctx, id); err != nil {
		return nil, err
	}
	filter := store.StandingFilter{Tenant: batch.Tenant, Batch: id, Page: store.Page{After: after, Limit: requestsListed, Ascending: true}}
	switch {
	case state == dashboard.RequestWaiting:
		filter.Waiting = true
	case state == dashboard.RequestRunning:
		filter.Running = true
	case slices.Contains(jobs.States(), jobs.State(state)):
		filter.State = jobs.State(state)
	}
	page, err := l.store.Standings(ctx, filter)
	if err != nil {
		return nil, err
	}
	for i := range page.All {
		made.Requests = append(made.Requests, pageRequest(&page.All[i]))
	}
	if page.More {
		made.Next = page.Last
	}
	return made, nil
}

func batchFacts(b *jobs.Batch) (facts []string) {
	add := func(known bool, format string, args ...any) {
		if known {
			facts = append(facts, visible(oneLine(fmt.Sprintf(format, args...))))
		}
	}
	if o := b.Order; o != nil {
		add(o.Endpoint != "", "endpoint %s", o.Endpoint)
		add(o.Route != "", "route %s", o.Route)
		add(o.Goal != "", "goal %s", o.Goal)
		add(o.InputFile != "", "file %s", o.InputFile)
		add(o.OutputFile != "", "answers in %s", o.OutputFile)
		add(o.ErrorFile != "", "errors in %s", o.ErrorFile)
	}
	return facts
}

func batchFaults(b *jobs.Batch) (faults []string) {
	if b.Order == nil {
		return nil
	}
	for _, f := range b.Order.Faults {
		text := f.Message
		if f.Line > 0 && !strings.Contains(text, fmt.Sprintf("line %d", f.Line)) {
			text = fmt.Sprintf("line %d: %s", f.Line, text)
		}
		faults = append(faults, visible(oneLine(text)))
	}
	return faults
}

func pageRequest(s *store.Standing) dashboard.Request {
	made := dashboard.Request{ID: s.Request.ID, CustomID: visible(oneLine(s.Request.CustomID)), Route: s.Request.Route, State: dashboard.RequestWaiting}
	if s.Running {
		made.State = dashboard.RequestRunning
	}
	if r := s.Result; r != nil {
		made.State, made.Target, made.Calls, made.EndedAt = string(r.State), r.Target, r.Attempts, r.StoredAt
		made.Cost = jobs.CostText(r.Cost, r.Unpriced)
		if r.State != jobs.StateAnswered {
			made.Why = strings.TrimSpace(string(r.Class) + " " + oneLine(r.Code))
		}
	}
	return made
}

// pageBatches lists batches, the newest first, behind one of them.
func (l *look) pageBatches(ctx context.Context, before string) (*dashboard.BatchList, error) {
	var all []jobs.Batch
	var err error
	if before == "" {
		all, err = l.store.Batches(ctx, batchesListed+1)
	} else if _, err = l.store.Batch(ctx, before); err == nil {
		all, err = l.store.BatchesBehind(ctx, before, batchesListed+1)
	}
	if err != nil {
		return nil, err
	}
	made := &dashboard.BatchList{At: time.Now()}
	if len(all) > batchesListed {
		all, made.Next = all[:batchesListed], all[batchesListed-1].ID
	}
	foreseen, err := l.forecasts.Batches(ctx, all)
	if err != nil {
		return nil, err
	}
	for i := range all {
		one := dashboard.Batch{Batch: all[i]}
		if !one.Ended() {
			one.Done = pageDone(foreseen[i].Said, foreseen[i].Deadline)
		}
		if one.Cost, err = l.batchCost(ctx, one.ID, one.Ends()); err != nil {
			return nil, err
		}
		made.Batches = append(made.Batches, one)
	}
	return made, nil
}
