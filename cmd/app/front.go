package app

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"tidegate/cmd/app/config"
	"tidegate/cmd/app/metrics"
	"tidegate/jobs"
	"tidegate/jobs/batchapi"
	"tidegate/jobs/queue"
	"tidegate/routing"
	"tidegate/store"
)

// newFront is all that tidegate answers over HTTP. desk is who answers those who wait;
// nil: nobody. running is the configuration in effect, of which a part is for the start alone.
func newFront(pool *pgxpool.Pool, follow *events, desk batchapi.Desk, counted *metrics.Metrics, running func() *config.Config, log zerolog.Logger) (*batchapi.Server, error) {
	requests, err := queue.New(pool)
	if err != nil {
		return nil, err
	}
	conf, look := running(), newLook(pool, running)
	look.zone = time.UTC // who asks may be anywhere
	server := batchapi.New(batchapi.Config{
		Store: store.New(pool), Queue: requests, Events: follow, Forecasts: look.forecasts, Goals: routing.Goals(), MaxFileBytes: conf.Batches.MaxBytes, FilesLive: conf.Batches.Keep,
		Requests: conf.HTTP.Requests, Uploads: conf.HTTP.Uploads, Waiting: conf.HTTP.Waiting, Desk: desk, PrivateWebhooks: conf.Webhooks.AllowPrivate, Log: log,
	})
	addHealth(server, pool, look)
	addPage(server, pool, requests, look, log)
	server.Handle("GET /metrics", jobs.ScopeAdmin, counted)
	return server, nil
}

// exposed tells whether an address lets other machines in.
func exposed(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && host != "localhost" && (ip == nil || !ip.IsLoopback())
}

// checkExposed refuses to listen where others come in as long as there is no key:
// anybody could spend money then.
func checkExposed(ctx context.Context, pool *pgxpool.Pool, address string) error {
	if !exposed(address) {
		return nil
	}
	has, err := store.New(pool).HasKeys(ctx)
	if err != nil || has {
		return err
	}
	return fmt.Errorf("%s lets other machines in, and there is no API key: make one with `tidegate keys create --tenant NAME`, or listen on 127.0.0.1", address)
}
