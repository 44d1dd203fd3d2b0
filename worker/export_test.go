package worker

import (
	"context"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

// Recover begins anew for a worker that was handed and gave back those, and gives
// back others after that.
func Recover(ctx context.Context, config Config, ended, has []int64) {
	claims := newClaims(&config)
	for _, job := range ended {
		claims.Take(job)
		claims.Return(job)
	}
	for _, job := range has {
		claims.Take(job)
	}
	claims.Recover(ctx)
	for _, job := range has {
		claims.Return(job)
	}
	claims.Recover(ctx)
}

// Write writes of jobs as River does for a worker that was handed and gave back
// those, and was handed others again.
func Write(ctx context.Context, config Config, taken, again []int64, change *riverdriver.JobSetStateIfRunningManyParams) error {
	driver := fencedDriver{riverpgxv5.New(config.Pool), newClaims(&config), newHeart(&config, nil, nil), config.Fleet.Parking}
	for _, job := range taken {
		driver.claims.Take(job)
		driver.claims.Return(job)
	}
	for _, job := range again {
		driver.claims.Take(job)
	}
	_, err := driver.GetExecutor().JobSetStateIfRunningMany(ctx, change)
	return err
}
