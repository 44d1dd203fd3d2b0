package worker

import (
	"context"
	"errors"

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
	claims *claims
	heart  *heart
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

// JobSetStateIfRunningMany is how River ends jobs, or gives them back.
func (e fencedExecutor) JobSetStateIfRunningMany(ctx context.Context, params *riverdriver.JobSetStateIfRunningManyParams) ([]*rivertype.JobRow, error) {
	tx, err := e.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // does nothing after a commit
	if err := e.driver.fence(ctx, tx); err != nil {
		return nil, err
	}
	rows, err := tx.JobSetStateIfRunningMany(ctx, params)
	if err != nil {
		return nil, err
	}
	if err := tx.Commit(ctx); err != nil {
		return nil, err
	}
	e.driver.claims.Drop(params.ID)
	return rows, nil
}
