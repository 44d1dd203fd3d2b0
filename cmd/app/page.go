package app

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"tidegate/cmd/app/dashboard"
	"tidegate/cmd/app/riverpage"
	"tidegate/jobs/batchapi"
	"tidegate/jobs/queue"
	"tidegate/store"
)

// addPage answers browsers: see package dashboard.
func addPage(server *batchapi.Server, pool *pgxpool.Pool, requests *queue.Queue, look *look, log zerolog.Logger) {
	s := look.store
	page := dashboard.New(dashboard.Config{
		Store: s, Read: (&pageReader{look: look}).read, Local: server.Local, Steer: &pageSteer{store: s, queue: requests},
		Explain: func(ctx context.Context, request, batch string) (*dashboard.Story, error) {
			view, err := explain(ctx, s, request, batch)
			if err != nil {
				return nil, err
			}
			return view.page(), nil
		},
		Batch: look.pageBatch, Batches: look.pageBatches,
		River: riverpage.New(server.Ending(), pool, log), Version: programVersion(), Log: log,
	})
	for _, h := range page.Handlers() {
		server.Mount(h.Pattern, h.Stream, h)
	}
}

// A pageSteer does what somebody asks for on the page, as the commands do.
type pageSteer struct {
	store *store.Store
	queue *queue.Queue
}

// Pause pauses a route as a person.
func (p *pageSteer) Pause(ctx context.Context, route, reason string) error {
	return p.store.PauseByPerson(ctx, route, reason, func(ctx context.Context, tx pgx.Tx) error { return p.queue.PauseTx(ctx, tx, route) })
}

// Resume ends every pause of a route.
func (p *pageSteer) Resume(ctx context.Context, route string) error {
	return p.store.ResumeByPerson(ctx, route, func(ctx context.Context, tx pgx.Tx) error { return p.queue.ResumeTx(ctx, tx, route) })
}

// Retry tries again what failed of a batch.
func (p *pageSteer) Retry(ctx context.Context, batch string) (string, error) {
	made, err := p.store.CreateRetry(ctx, (&retryFlags{batch: batch}).order(nil), store.Once{})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s of %s are tried again, as %s.", counted(made.Total, "request"), batch, made.ID), nil
}
