package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"tidegate/integration/bench"
	"tidegate/store"
)

// The doors, and what each is compared with.
const (
	chat, direct       = "chat", "provider"
	job, inNATS, row   = "jobs", "nats", "insert"
	manyJobs, manyRows = "jobs_batch", "insert_batch"
)

// A round is what came of each door, and how many requests were acknowledged that are
// not in the queue, or are and were not acknowledged.
type round struct {
	speeds map[string]speed
	amiss  int
}

// late is how long a step may take that is only waiting for a busy machine.
const late = time.Minute

// A site is a stage whose doors are open.
type site struct {
	plan
	*bench.Stage
	server   string // its base URL
	provider string // of the provider's API
	nats     *nats.Conn
	plain    *plain
}

func (p plan) take(ctx context.Context, ground *bench.Ground, n int) (r round, err error) {
	bench.Say("round %d of %d", n+1, p.rounds)
	provider := ground.Provider(name)
	stage, err := ground.Stage(ctx, bench.StageConfig{Name: fmt.Sprintf("%s_%d", name, n), Provider: provider, Concurrency: mostSenders, Door: true})
	if err != nil {
		return r, err
	}
	defer stage.Close()
	s := &site{plan: p, Stage: stage, provider: provider.BaseURL}
	if err := s.open(ctx); err != nil {
		return r, err
	}
	defer s.nats.Close()
	r.speeds = map[string]speed{}
	if err := s.measure(ctx, r.speeds, []door{{chat, s.asks(s.server + "/v1")}, {direct, s.asks(s.provider)}}); err != nil {
		return r, err
	}
	if err := s.pause(ctx); err != nil {
		return r, err
	}
	defer s.plain.pool.Close()
	r.amiss, err = s.accept(ctx, r.speeds)
	return r, err
}

// open starts the server and a worker.
func (s *site) open(ctx context.Context) (err error) {
	if _, s.server, err = s.StartServer(ctx); err != nil {
		return err
	}
	if err := s.StartWorkers(1); err != nil {
		return err
	}
	if s.nats, err = nats.Connect(s.NATSURL()); err != nil {
		return fmt.Errorf("connecting to NATS: %w", err)
	}
	known := store.New(s.Pool)
	err = s.Await(ctx, late, "the worker announces its route", func() (bool, error) {
		routes, err := known.Routes(ctx)
		return len(routes) > 0, err
	})
	if err != nil {
		s.nats.Close()
	}
	return err
}

// pause keeps the worker from what is accepted, and accepts a first request by each
// door: others are made as it is, and all doors are there.
func (s *site) pause(ctx context.Context) error {
	if err := bench.Output(ctx, s.Program(), "pause", bench.Route, "--config", s.File()); err != nil {
		return err
	}
	if err := s.jobs(ctx, 0); err != nil {
		return err
	}
	err := s.Await(ctx, late, "somebody answers over NATS", func() (bool, error) { return s.overNATS(ctx, 0) == nil, nil })
	if err == nil {
		s.plain, err = newPlain(ctx, s.Pool.Config().ConnString(), s.senders)
	}
	return err
}

// accept measures the doors behind which requests wait, and looks for what they took.
func (s *site) accept(ctx context.Context, into map[string]speed) (amiss int, err error) {
	before, err := s.stored(ctx)
	if err != nil {
		return 0, err
	}
	err = s.measure(ctx, into, []door{
		{row, s.plain.many(s.plan, 1)}, {job, s.jobs}, {inNATS, s.overNATS}, {manyRows, s.plain.many(s.plan, s.many)}, {manyJobs, s.together},
	})
	if err != nil {
		return 0, err
	}
	after, err := s.stored(ctx)
	amiss = after - before - int(into[job].calls+into[inNATS].calls) - int(into[manyJobs].calls)*s.many
	return max(amiss, -amiss), err
}

// stored is how many requests are in the queue.
func (s *site) stored(ctx context.Context) (n int, err error) {
	err = s.Pool.QueryRow(ctx, "SELECT count(*) FROM tidegate.requests r JOIN tidegate.river_job j ON j.args->>'r' = r.id::text").Scan(&n)
	return n, err
}

// A door is a way to send, and its name.
type door struct {
	name string
	call call
}

// measure sends by doors, one after the other.
func (s *site) measure(ctx context.Context, into map[string]speed, doors []door) error {
	for _, one := range doors {
		measured, err := s.send(ctx, one.call)
		if err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
		bench.Say("  %-13s %8.0f calls/s, p50 %v, p99 %v", one.name, measured.rate(1), measured.p50.Round(10*time.Microsecond), measured.p99.Round(10*time.Microsecond))
		into[one.name] = measured
	}
	return nil
}

// asks is a chat of which the answer is waited for.
func (s *site) asks(base string) call {
	return func(ctx context.Context, n int64) error {
		return post(ctx, base+"/chat/completions", s.body(n), http.StatusOK)
	}
}

func (s *site) jobs(ctx context.Context, n int64) error {
	return post(ctx, s.server+"/v1/jobs", `{"body":`+s.body(n)+`}`, http.StatusAccepted)
}

func (s *site) together(ctx context.Context, n int64) error {
	var all strings.Builder
	all.WriteString(`{"jobs":[`)
	for i := range s.many {
		if i > 0 {
			all.WriteByte(',')
		}
		all.WriteString(`{"body":` + s.body(n*int64(s.many)+int64(i)) + `}`)
	}
	all.WriteString("]}")
	return post(ctx, s.server+"/v1/jobs:batch", all.String(), http.StatusAccepted)
}

func (s *site) overNATS(ctx context.Context, n int64) error {
	ctx, stop := context.WithTimeout(ctx, late)
	defer stop()
	reply, err := s.nats.RequestWithContext(ctx, "tidegate.v1.default.enqueue", []byte(`{"body":`+s.body(n)+`}`))
	if err != nil {
		return err
	}
	var said struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(reply.Data, &said); err != nil || said.ID == "" {
		return fmt.Errorf("the door answers %.300s", reply.Data)
	}
	return nil
}
