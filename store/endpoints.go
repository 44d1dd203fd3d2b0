package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// orNullEndpoint is how an endpoint is stored: chat completions are NULL, so that
// what older versions write and read is what they mean.
func orNullEndpoint(e jobs.Endpoint) *string {
	if e == jobs.EndpointChat {
		return nil
	}
	path := e.String()
	return &path
}

// endpointOf reads what orNullEndpoint wrote, perhaps that of a later version.
func endpointOf(stored *string) jobs.Endpoint {
	if stored == nil {
		return jobs.EndpointChat
	}
	e, _ := jobs.ParseEndpoint(*stored)
	return e
}

func endpointTexts(set jobs.EndpointSet) []string {
	paths := []string{}
	for _, e := range set.List() {
		paths = append(paths, e.String())
	}
	return paths
}

func endpointsOf(paths []string) jobs.EndpointSet {
	list := make([]jobs.Endpoint, len(paths))
	for i := range paths {
		list[i], _ = jobs.ParseEndpoint(paths[i])
	}
	return jobs.EndpointSetOf(list...)
}

// A worker that has not beaten for a minute is dead, or will be told that it was
// declared dead before it begins a call.
const findStranger = `/* tidegate: find stranger */
SELECT id FROM tidegate.workers
WHERE dead_at IS NULL AND beat_at > now() - interval '1 minute' AND NOT $1 = ANY (endpoints) ORDER BY id LIMIT 1`

// A StrangerError says that a worker lives to which an endpoint is strange, since it
// is of an older version. It might take a request of it for a chat completion, so
// none is accepted until it has gone. No request is to blame.
type StrangerError struct {
	Worker   string
	Endpoint jobs.Endpoint
}

// Error names the worker, and says what to do.
func (e *StrangerError) Error() string {
	return fmt.Sprintf("endpoint: the worker %s is of an older version, which does not know %s: upgrade all workers first", e.Worker, e.Endpoint)
}

// KnownToAll looks whether all workers that live know an endpoint. If one does not, the
// error is a *StrangerError.
func KnownToAll(ctx context.Context, db Querier, e jobs.Endpoint) error {
	rows, err := db.Query(ctx, findStranger, e.String())
	if err != nil {
		return fmt.Errorf("looking whether all workers know %s: %w", e, err)
	}
	strangers, err := pgx.CollectRows(rows, pgx.RowTo[string])
	switch {
	case err != nil:
		return fmt.Errorf("looking whether all workers know %s: %w", e, err)
	case len(strangers) > 0:
		return &StrangerError{Worker: strangers[0], Endpoint: e}
	}
	return nil
}
