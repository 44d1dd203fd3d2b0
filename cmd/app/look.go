package app

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/cmd/app/config"
	"tidegate/store"
)

// A look is how a status is read, once or again and again.
type look struct {
	store     *store.Store
	config    func() *config.Config
	forecasts *forecasts
	zone      *time.Location // in which times of the day are told
}

func newLook(pool *pgxpool.Pool, conf func() *config.Config) *look {
	s := store.New(pool)
	return &look{store: s, config: conf, forecasts: newForecasts(s, conf), zone: time.Local}
}

// once reads how everything stands.
func (l *look) once(ctx context.Context) (store.Status, statusView, error) {
	status, err := l.store.Status(ctx)
	if err != nil {
		return status, statusView{}, err
	}
	view := viewStatus(status, l.config())
	view.foresee(ctx, l.forecasts, &status, l.zone)
	return status, view, nil
}
