package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"tidegate/jobs"
	"tidegate/store"
)

// ErrEmpty says that there was not one request to enqueue.
var ErrEmpty = errors.New("no request to enqueue")

// An UnknownRouteError says that no worker ever served the route of a request.
type UnknownRouteError struct {
	Route string
	Known []string // the routes that there are
}

// Error names the routes that there are, and what to do.
func (e *UnknownRouteError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("route: %q is not known, and no other is: start a worker, or run `tidegate migrate --config FILE`, so that producers learn the routes", e.Route)
	}
	return fmt.Sprintf("route: %q is not known; there are: %s", e.Route, strings.Join(e.Known, ", "))
}

// A lookError says that what there is to know of routes and workers could not be read,
// or that a worker is in the way, which is no fault of a request.
type lookError struct{ err error }

func (e *lookError) Error() string { return e.err.Error() }
func (e *lookError) Unwrap() error { return e.err }

// knownFor is how long the routes are remembered: a route whose deadline was
// changed is seen within that time.
const knownFor = 30 * time.Second

// known remembers the routes that workers have announced. It asks the database
// again when it meets one that it does not know, and when what it knows is old.
// Safe for concurrent use; its zero value is ready.
type known struct {
	mu     sync.Mutex
	routes map[string]jobs.Route
	until  time.Time                       // when routes are old
	told   time.Time                       // when the supervisor was last to be told that something waits
	fleet  [jobs.EndpointUnknown]time.Time // until when all workers are taken to know an endpoint
}

func (k *known) route(ctx context.Context, db store.Querier, name string, now time.Time) (jobs.Route, error) {
	k.mu.Lock()
	route, ok := k.routes[name]
	fresh := now.Before(k.until)
	k.mu.Unlock()
	if ok && fresh {
		return route, nil
	}
	routes, err := store.Routes(ctx, db)
	if err != nil {
		return jobs.Route{}, &lookError{err}
	}
	byName := make(map[string]jobs.Route, len(routes))
	names := make([]string, len(routes))
	for i, r := range routes {
		byName[r.Name], names[i] = r, r.Name
	}
	k.mu.Lock()
	k.routes, k.until = byName, now.Add(knownFor)
	k.mu.Unlock()
	if route, ok = byName[name]; !ok {
		return jobs.Route{}, &UnknownRouteError{Route: name, Known: names}
	}
	return route, nil
}

// split tells requests that are available at once from those that wait for their
// turn. What is remembered of their routes may be half a minute old: the supervisor
// admits what waits on a route that has no fair admission any more.
func (k *known) split(requests []jobs.Request) (direct, fair []jobs.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	one := requests[0].Route
	for i := range requests {
		if requests[i].Route != one { // a batch may go several ways
			return k.sort(requests)
		}
	}
	if k.fair(one) {
		return nil, requests
	}
	return requests, nil
}

// sort requires mu.
func (k *known) sort(requests []jobs.Request) (direct, fair []jobs.Request) {
	for _, r := range requests {
		if k.fair(r.Route) {
			fair = append(fair, r)
		} else {
			direct = append(direct, r)
		}
	}
	return direct, fair
}

// fair requires mu.
func (k *known) fair(route string) bool { return k.routes[route].Admission == jobs.AdmissionFair }

// tellApart is how far apart two words to the supervisor are. It looks again by
// itself soon after it was told, and each second.
const tellApart = 50 * time.Millisecond

// tell tells whether it is time for another one: Postgres sends such words of all
// transactions one after the other, until each has committed.
func (k *known) tell(now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if passed := now.Sub(k.told); passed >= 0 && passed < tellApart {
		return false
	}
	k.told = now
	return true
}

// toAll looks whether all workers know an endpoint. Chat completions they do.
func (k *known) toAll(ctx context.Context, db store.Querier, e jobs.Endpoint, now time.Time) error {
	if e == jobs.EndpointChat {
		return nil
	}
	k.mu.Lock()
	fresh := now.Before(k.fleet[e])
	k.mu.Unlock()
	if fresh {
		return nil
	}
	if err := store.KnownToAll(ctx, db, e); err != nil {
		return &lookError{err}
	}
	k.mu.Lock()
	k.fleet[e] = now.Add(knownFor)
	k.mu.Unlock()
	return nil
}
