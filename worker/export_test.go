package worker

import (
	"context"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

// Write writes of jobs as River does for a worker that was handed those.
func Write(ctx context.Context, config Config, taken []int64, change *riverdriver.JobSetStateIfRunningManyParams) error {
	driver := fencedDriver{riverpgxv5.New(config.Pool), newClaims(&config), newHeart(&config, nil, nil)}
	for _, job := range taken {
		driver.claims.Take(job)
	}
	_, err := driver.GetExecutor().JobSetStateIfRunningMany(ctx, change)
	return err
}
