package app

import (
	"context"
	"time"
)

// backlogEvery is how often a worker counts what waits on its routes: their requests
// go to a dearer target in time for those behind them, too.
const backlogEvery = 10 * time.Second

// countBacklogs tells the router what waits on routes that have a choice, until ctx
// ends. It is an estimate, and none is better than a late start.
func (s *Stack) countBacklogs(ctx context.Context) {
	ticker := time.NewTicker(backlogEvery)
	defer ticker.Stop()
	for {
		for _, route := range s.tidings.all() {
			if len(route.Chain) > 1 {
				s.countBacklog(ctx, route.Name)
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Stack) countBacklog(ctx context.Context, route string) {
	now := s.config.Now
	if now == nil {
		now = time.Now
	}
	n, left, err := s.Store.RouteBacklog(ctx, route)
	switch {
	case err != nil && ctx.Err() == nil:
		s.config.Log.Debug().Err(err).Msg("the backlog was not counted; it is repeated")
	case err != nil:
	case n == 0:
		s.Router.Backlog(route, 0, time.Time{})
	default:
		s.Router.Backlog(route, n, now().Add(left))
	}
}
