package worker

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"

	"tidegate/jobs"
)

// A fencedDriver is River's, but has a worker that was declared dead write
// nothing of its jobs any more. River knows a job's row by its id alone, and what
// it writes may be under way for long: by then the job may be another's.
type fencedDriver struct {
	riverdriver.Driver[pgx.Tx]
	claims  *claims
	heart   *heart
	parking Parking // nil: River keeps what waits for a time
}

func (d fencedDriver) fence(ctx context.Context, tx riverdriver.ExecutorTx) error {
	err := d.claims.store.Fence(ctx, d.UnwrapTx(tx), d.claims.name)
	if errors.Is(err, jobs.ErrDead) {
		d.heart.Die()
	}
	return err
}

// GetExecutor is for River.
func (d fencedDriver) GetExecutor() riverdriver.Executor {
	return fencedExecutor{d.Driver.GetExecutor(), d}
}

type fencedExecutor struct {
	riverdriver.Executor
	driver fencedDriver
}

// JobSetStateIfRunningMany is how River ends jobs, or gives them back. When it
// does not hear that this was written, it writes it again, and again: of those
// jobs that others have by then, or this worker anew, nothing is written.
func (e fencedExecutor) JobSetStateIfRunningMany(ctx context.Context, params *riverdriver.JobSetStateIfRunningManyParams) ([]*rivertype.JobRow, error) {
	tx, err := e.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // does nothing after a commit
	if err := e.driver.fence(ctx, tx); err != nil {
		return nil, err
	}
	ours, err := e.driver.ours(ctx, tx, params)
	if err != nil {
		return nil, err
	}
	rows, err := tx.JobSetStateIfRunningMany(ctx, ours)
	if err != nil {
		return nil, err
	}
	var parked []jobs.Parked
	if e.driver.parking != nil {
		parked = e.driver.claims.Parked(ours.ID)
	}
	if len(parked) > 0 {
		if err := e.driver.parking.Park(ctx, e.driver.UnwrapTx(tx), parked); err != nil {
			return nil, err
		}
	}
	if err := tx.Commit(ctx); err != nil {
		return nil, err
	}
	e.driver.claims.Drop(params.ID)
	e.driver.endParked(ctx, parked)
	return rows, nil
}

// endParked looks once more at jobs that are parked by now: a cancellation looks for
// them when it is written, and one of the two comes second. What fails here leaves a
// row that waits until its time.
func (d fencedDriver) endParked(ctx context.Context, parked []jobs.Parked) {
	if len(parked) == 0 {
		return
	}
	ids := make([]int64, len(parked))
	for i := range parked {
		ids[i] = parked[i].JobID
	}
	if err := d.parking.EndParked(ctx, ids); err != nil {
		d.claims.log.Debug().Err(err).Msg("a job that was just parked may wait though its request has ended")
	}
}

// ours are the changes of those jobs that this worker has, and was not handed
// again.
func (d fencedDriver) ours(ctx context.Context, tx riverdriver.ExecutorTx, all *riverdriver.JobSetStateIfRunningManyParams) (*riverdriver.JobSetStateIfRunningManyParams, error) {
	again := d.claims.Again(all.ID)
	held, err := d.claims.store.Held(ctx, d.UnwrapTx(tx), d.claims.name, all.ID)
	if err != nil || len(held) == len(all.ID) && len(again) == 0 {
		return all, err
	}
	var at []int
	for i, id := range all.ID {
		if slices.Contains(held, id) && !slices.Contains(again, id) {
			at = append(at, i)
		}
	}
	return &riverdriver.JobSetStateIfRunningManyParams{
		ID: pick(all.ID, at), Attempt: pick(all.Attempt, at), ErrData: pick(all.ErrData, at), FinalizedAt: pick(all.FinalizedAt, at),
		MetadataDoMerge: pick(all.MetadataDoMerge, at), MetadataUpdates: pick(all.MetadataUpdates, at), Now: all.Now,
		ScheduledAt: pick(all.ScheduledAt, at), Schema: all.Schema, State: pick(all.State, at),
	}, nil
}

// pick is what stands at some places of a list.
func pick[T any](all []T, at []int) []T {
	picked := make([]T, len(at))
	for i, place := range at {
		picked[i] = all[place]
	}
	return picked
}
