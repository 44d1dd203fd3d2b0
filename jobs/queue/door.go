package queue

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
	"tidegate/store"
)

const (
	// MaxDoorLines is how many requests may come through a Door together.
	MaxDoorLines = 10_000
	// doorWithin is how long ago what is sent again may have been sent first.
	doorWithin = 24 * time.Hour
	// doorKey bounds the key under which it is sent, in bytes.
	doorKey = 256
	// doorKnows is how long a Door remembers what routes there are, unless a line names
	// one that it does not know.
	doorKnows = 5 * time.Second
)

// A Door takes lines of JSONL from one who sends them by a message, and may send them
// again. Make one with NewDoor; it is safe for concurrent use.
type Door struct {
	queue *Queue
	goals []string // that are always there

	mu     sync.Mutex
	routes []jobs.Route
	until  time.Time // when routes are old
}

// NewDoor returns a Door into a Queue. goals are the optimization goals that are always
// there.
func NewDoor(q *Queue, goals []string) *Door { return &Door{queue: q, goals: goals} }

// Take accepts one line as a request, or several as a batch, all or none. What comes
// again under the same key (empty: it does not) within a day gets the same answer as
// the first time. All errors are *jobs.IntakeError.
func (d *Door) Take(ctx context.Context, tenant, key string, lines []byte) (jobs.Accepted, error) {
	accepted, err := d.take(ctx, tenant, key, lines)
	if err != nil {
		return jobs.Accepted{}, told(err)
	}
	return accepted, nil
}

func (d *Door) take(ctx context.Context, tenant, key string, lines []byte) (jobs.Accepted, error) {
	if len(key) > doorKey || !utf8.ValidString(key) || strings.ContainsRune(key, 0) {
		return jobs.Accepted{}, refuse("invalid_value", "Nats-Msg-Id", "must be text of at most 256 bytes")
	}
	once := store.Once{Hash: sha256.Sum256(lines), Within: doorWithin, Repeated: true}
	if key != "" {
		once.Key = "nats " + key
	}
	if made, err := store.New(d.queue.pool).Seen(ctx, &once, tenant); err != nil || made != "" { // it need not be right any more
		return d.again(ctx, made, err)
	}
	requests, err := d.read(ctx, tenant, lines, false)
	var fault *jobs.LineError
	if errors.As(err, &fault) && (choosing(fault.Field) || fault.Field == "url") { // it may be new
		requests, err = d.read(ctx, tenant, lines, true)
	}
	if errors.As(err, &fault) && choosing(fault.Field) {
		err = d.offer(fault)
	}
	if err != nil {
		return jobs.Accepted{}, err
	}
	if len(requests) == 1 {
		return d.one(ctx, requests[0], once)
	}
	return d.many(ctx, tenant, requests, once)
}

// again is what the same message was answered the first time.
func (d *Door) again(ctx context.Context, made string, err error) (jobs.Accepted, error) {
	accepted := jobs.Accepted{ID: made, IDs: []string{made}, Duplicate: true}
	if err == nil && store.IsBatchID(made) {
		accepted.BatchID = made
		accepted.IDs, err = store.New(d.queue.pool).RequestsOf(ctx, made)
	}
	return accepted, err
}

// read reads all lines. fresh: what is remembered of the routes may not be used.
func (d *Door) read(ctx context.Context, tenant string, lines []byte, fresh bool) ([]jobs.Request, error) {
	opts, err := d.options(ctx, tenant, fresh)
	if err != nil {
		return nil, err
	}
	line := 0
	opts.Reached = func(at int) { line = at }
	var requests []jobs.Request
	for request, err := range jobs.ReadLines(bytes.NewReader(lines), opts) {
		switch {
		case err != nil:
			return nil, err
		case len(requests) == MaxDoorLines:
			return nil, refuse("too_many_jobs", "", "more than 10000 requests: send them in several messages")
		}
		switch err := d.queue.accept(ctx, d.queue.pool, &request); {
		case err == nil:
		case isFault(err):
			return nil, &jobs.LineError{Line: line, Code: jobs.CodeBadLine, Err: err}
		default:
			return nil, err
		}
		requests = append(requests, request)
	}
	if len(requests) == 0 {
		return nil, refuse("empty_batch", "", "there is not one request: send a line of JSON, as `tidegate enqueue` takes it")
	}
	return requests, nil
}

func (d *Door) options(ctx context.Context, tenant string, fresh bool) (jobs.LineOptions, error) {
	routes, err := d.known(ctx, fresh)
	if err != nil {
		return jobs.LineOptions{}, err
	}
	goals, models, served := slices.Clone(d.goals), map[string]string{}, map[string]jobs.EndpointSet{}
	for i := range routes {
		served[routes[i].Name] = routes[i].Serves()
		goals = append(goals, routes[i].Goals...)
		for _, model := range routes[i].Models {
			models[model] = routes[i].Name
		}
	}
	opts := jobs.LineOptions{
		Tenant:     tenant,
		Routes:     func(model string) (string, bool) { route, ok := models[model]; return route, ok },
		KnownRoute: func(route string) bool { _, ok := served[route]; return ok },
		Served:     func(route string) jobs.EndpointSet { return served[route] },
		KnownGoal:  func(goal string) bool { return slices.Contains(goals, goal) },
		CheckExpect: func(r *jobs.Request) error {
			_, err := d.queue.rules.Compile(r.Expect, r.Body)
			return err
		},
		Now: d.queue.now,
	}
	if len(routes) == 1 {
		opts.DefaultRoute = routes[0].Name
	}
	return opts, nil
}

// choosing tells whether a field names something that a configuration has.
func choosing(field string) bool {
	return field == "route" || field == "optimization_goal"
}

// offer adds to a fault what there is to choose from.
func (d *Door) offer(fault *jobs.LineError) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	there := slices.Clone(d.goals)
	if fault.Field == "route" {
		there = nil
	}
	for i := range d.routes {
		if fault.Field == "route" {
			there = append(there, d.routes[i].Name)
		} else {
			there = append(there, d.routes[i].Goals...)
		}
	}
	slices.Sort(there)
	if there = slices.Compact(there); len(there) > 0 {
		fault.Err = fmt.Errorf("%w; there are: %s", fault.Err, strings.Join(there, ", "))
	}
	return fault
}

func (d *Door) known(ctx context.Context, fresh bool) ([]jobs.Route, error) {
	now := d.queue.now()
	d.mu.Lock()
	routes, old := d.routes, !now.Before(d.until)
	d.mu.Unlock()
	if !old && !fresh {
		return routes, nil
	}
	routes, err := store.Routes(ctx, d.queue.pool)
	if err != nil {
		return nil, &lookError{err}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.routes, d.until = routes, now.Add(doorKnows)
	return routes, nil
}

// one accepts a request that is of no batch.
func (d *Door) one(ctx context.Context, request jobs.Request, once store.Once) (jobs.Accepted, error) {
	id, err := d.once(ctx, request.Tenant, once, func(tx pgx.Tx) (string, error) {
		return request.ID, d.queue.insert(ctx, tx, []jobs.Request{request})
	})
	return jobs.Accepted{ID: id, IDs: []string{id}, Duplicate: id != request.ID}, err
}

// many accepts requests as one batch.
func (d *Door) many(ctx context.Context, tenant string, requests []jobs.Request, once store.Once) (jobs.Accepted, error) {
	batch := jobs.Batch{ID: store.NewBatchID(), Tenant: tenant, State: jobs.BatchInProgress, Total: len(requests), CreatedAt: d.queue.now()}
	ids := make([]string, len(requests))
	for i := range requests {
		requests[i].BatchID = batch.ID
		ids[i] = requests[i].ID
	}
	id, err := d.once(ctx, tenant, once, func(tx pgx.Tx) (string, error) {
		for part := range slices.Chunk(requests, chunk) {
			if err := d.queue.insert(ctx, tx, part); err != nil {
				return "", err
			}
		}
		return batch.ID, store.InsertBatch(ctx, tx, batch)
	})
	if err == nil && id != batch.ID {
		return d.again(ctx, id, nil)
	}
	return jobs.Accepted{ID: id, IDs: ids, BatchID: id}, err
}

// once makes what is not there yet, in a transaction of its own.
func (d *Door) once(ctx context.Context, tenant string, once store.Once, makeIt func(pgx.Tx) (string, error)) (id string, err error) {
	err = d.queue.transact(ctx, func(tx pgx.Tx) (string, error) {
		id, err = once.Do(ctx, tx, tenant, func() (string, error) { return makeIt(tx) })
		return id, err
	})
	return id, err
}
