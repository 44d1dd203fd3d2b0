package worker

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/rs/zerolog"

	"tidegate/jobs"
)

const (
	// fetchCooldown is deliberate: River's default of 100 ms caps short jobs at
	// MaxWorkers × 10 a second.
	fetchCooldown = 10 * time.Millisecond
	// neverRescue keeps River's own rescuer away, which knows no heartbeat and
	// burns an attempt: ours does it.
	neverRescue = 10 * 365 * 24 * time.Hour
	// jobsLive is how long River keeps jobs that are done, of which nothing depends, and
	// discardedLive those that it gave up, which a person may want to look at: as it does
	// by itself. Its leader deletes them, a thousand at a time.
	jobsLive      = 24 * time.Hour
	discardedLive = 7 * 24 * time.Hour
	// overlap is how many jobs beyond those that are called a worker may have in
	// hand, so that loads and commits of some go on beside the calls of others.
	overlap = 200
)

// Indexes that migrations drop, so River must not look after them.
var dropped = []string{"river_job_args_index", "river_job_metadata_index"}

// crew are those who work the jobs of a client of River, by kind.
type crew struct {
	completion *completion
	canary     *canaryWorker
	batch      *batchWorker
	webhook    *webhookWorker
}

func (w *Worker) newCrew(completion *completion) *crew {
	return &crew{
		completion: completion, canary: w.newCanaryWorker(),
		batch: &batchWorker{keep: w.config.Keep, completion: completion}, webhook: newWebhookWorker(w.config.Webhooks, completion),
	}
}

func (c *crew) workers() (*river.Workers, error) {
	workers := river.NewWorkers()
	if err := river.AddWorkerSafely(workers, c.completion); err != nil {
		return nil, fmt.Errorf("registering the worker: %w", err)
	}
	if err := river.AddWorkerSafely(workers, c.canary); err != nil {
		return nil, fmt.Errorf("registering the worker of canaries: %w", err)
	}
	if err := river.AddWorkerSafely(workers, c.batch); err != nil {
		return nil, fmt.Errorf("registering the worker of batches: %w", err)
	}
	if err := river.AddWorkerSafely(workers, c.webhook); err != nil {
		return nil, fmt.Errorf("registering the worker of webhooks: %w", err)
	}
	return workers, nil
}

// queues are those that a worker takes jobs from.
func (c *crew) queues(config *Config) map[string]river.QueueConfig {
	queues := make(map[string]river.QueueConfig, len(config.Queues)+4)
	for _, name := range config.Queues {
		queues[name] = river.QueueConfig{MaxWorkers: min(config.Concurrency+min(config.Concurrency, overlap), river.QueueNumWorkersMax)}
	}
	queues[jobs.QuarantineQueue] = river.QueueConfig{MaxWorkers: 1}
	if c.batch.keep != nil {
		queues[jobs.BatchQueue] = river.QueueConfig{MaxWorkers: batchesAtOnce}
	}
	if c.webhook.webhooks.Deliver != nil {
		queues[jobs.WebhookQueue] = river.QueueConfig{MaxWorkers: webhooksAtOnce}
	}
	if len(c.canary.canaries) > 0 {
		queues[jobs.CanaryQueue] = river.QueueConfig{MaxWorkers: 1}
	}
	return queues
}

func newRiver(config *Config, crew *crew) (*river.Client[pgx.Tx], error) {
	workers, err := crew.workers()
	if err != nil {
		return nil, err
	}
	completion := crew.completion
	client, err := river.NewClient(fencedDriver{riverpgxv5.New(config.Pool), completion.claims, completion.heart, config.Fleet.Parking}, &river.Config{
		CancelledJobRetentionPeriod: jobsLive,
		CompletedJobRetentionPeriod: jobsLive,
		DiscardedJobRetentionPeriod: discardedLive,
		FetchCooldown:               fetchCooldown,
		ID:                          config.Name,
		JobTimeout:                  -1,
		Logger:                      slog.New(zerolog.NewSlogHandler(config.Log.Level(max(zerolog.WarnLevel, config.Log.GetLevel())))),
		PeriodicJobs:                crew.canary.periodic(),
		Queues:                      crew.queues(config),
		ReindexerIndexNames:         slices.DeleteFunc(river.ReindexerIndexNamesDefault(), func(name string) bool { return slices.Contains(dropped, name) }),
		RescueStuckJobsAfter:        neverRescue,
		Schema:                      "tidegate",
		SoftStopTimeout:             config.StopTimeout,
		Workers:                     workers,
	})
	if err != nil {
		return nil, fmt.Errorf("preparing River: %w", err)
	}
	return client, nil
}

// startRiver has River take jobs. Postgres may be away just then: it tries until
// it does, as a worker does in all else. There is no client if ctx ends first, nor for a
// worker that was declared dead meanwhile.
func startRiver(ctx context.Context, config *Config, crew *crew) (*river.Client[pgx.Tx], error) {
	completion := crew.completion
	for wait := retryMin; ; wait = min(2*wait, retryMax) {
		completion.claims.Recover(ctx) // of the client before this one
		client, err := newRiver(config, crew)
		if err != nil {
			return nil, err
		}
		// A start that fails halfway waits for the jobs that it has taken by then, and those
		// of the dead never end.
		started := make(chan error, 1)
		go func() { started <- client.Start(ctx) }()
		select {
		case err = <-started:
		case <-completion.heart.died:
			return nil, jobs.ErrDead
		}
		if err == nil {
			return client, nil
		}
		if wait == retryMin && ctx.Err() == nil {
			config.Log.Warn().Err(err).Msg("River did not start, so this worker takes no jobs; it is repeated until it does")
		}
		if sleepUntil(ctx, wait) != nil {
			return nil, nil
		}
	}
}

// riverQueues pauses and resumes River's queues.
type riverQueues struct{ client *river.Client[pgx.Tx] }

func newRiverQueues(pool *pgxpool.Pool) (riverQueues, error) {
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{Schema: "tidegate"}) // which works nothing
	if err != nil {
		return riverQueues{}, fmt.Errorf("preparing River's queues: %w", err)
	}
	return riverQueues{client}, nil
}

func (q riverQueues) Pause(ctx context.Context, tx pgx.Tx, route string) error {
	return q.client.QueuePauseTx(ctx, tx, route, nil)
}

func (q riverQueues) Resume(ctx context.Context, tx pgx.Tx, route string) error {
	return q.client.QueueResumeTx(ctx, tx, route, nil)
}
