package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/riverqueue/river"
	"github.com/rs/zerolog"

	"tidegate/cmd/app"
	"tidegate/deploy/embedded"
	"tidegate/integration/bench"
	"tidegate/jobs"
	"tidegate/routing/simulator"
	"tidegate/store"
)

const conns = 20

// runSimulator serves one provider that takes args[0] to answer, and prints its
// base URL.
func runSimulator(ctx context.Context, args []string) error {
	latency, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	server, err := simulator.New(simulator.Config{Plain: true, Providers: []simulator.Provider{
		{Name: "bench", Latency: simulator.Latency{Median: latency}},
	}})
	if err != nil {
		return err
	}
	if err := server.Listen(); err != nil {
		return err
	}
	fmt.Println(server.BaseURL("bench"))
	return server.Run(ctx)
}

// runNATS serves NATS with its streams on disk, and prints its URL.
func runNATS(ctx context.Context, _ []string) error {
	server, err := embedded.StartNATS(ctx, embedded.NATSConfig{})
	if err != nil {
		return err
	}
	fmt.Println(server.URL())
	<-ctx.Done()
	server.Stop()
	return nil
}

// routeOf is the one route of a measurement. Its targets are alike.
func routeOf(base, goal string, targets int) jobs.Route {
	route := jobs.Route{Name: "bench", Goal: goal}
	for i := range targets {
		route.Chain = append(route.Chain, &jobs.Target{
			Name: fmt.Sprintf("bench-%d", i+1), Provider: "bench", Dialect: "openai", BaseURL: base, Model: "sim", Key: "sk-bench-0123456789",
			Price: jobs.Price{Input: 100_000, CachedInput: 50_000, Output: 400_000}, Timeouts: jobs.DefaultTimeouts,
			// Far more than can be reached: so that the pace, which begins carefully with
			// a target of which nothing is known, does not keep most of the calls waiting.
			Limits: jobs.Limits{RequestsPerMinute: 6_000_000},
		})
	}
	return route
}

// runTidegate works until it is told to stop: args are the database, NATS, the
// provider, how many calls at once, the goal of the route, how many targets it has,
// and the path of profiles.
func runTidegate(ctx context.Context, args []string) error {
	workers, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	targets, err := strconv.Atoi(args[5])
	if err != nil {
		return err
	}
	pool, err := store.Connect(ctx, args[0], conns)
	if err != nil {
		return err
	}
	defer pool.Close()
	conn, err := nats.Connect(args[1])
	if err != nil {
		return err
	}
	defer conn.Close()
	stack, err := app.NewStack(ctx, app.StackConfig{
		Pool: pool, Conn: conn, Routes: []jobs.Route{routeOf(args[2], args[4], targets)}, Concurrency: workers, Log: zerolog.Nop(),
	})
	if err != nil {
		return err
	}
	stop, err := profile(args[6])
	if err != nil {
		return err
	}
	fmt.Println("working")
	return errors.Join(stack.Run(ctx), stop())
}

// runRiver is runTidegate with River alone.
func runRiver(ctx context.Context, args []string) error {
	workers, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	pool, err := store.Connect(ctx, args[0], conns)
	if err != nil {
		return err
	}
	defer pool.Close()
	registered := river.NewWorkers()
	river.AddWorker(registered, bench.NewPlainWorker(args[2], workers))
	client, err := bench.NewPlainRiver(pool, &river.Config{
		FetchCooldown: 5 * time.Millisecond, Workers: registered, Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workers}},
	})
	if err != nil {
		return err
	}
	fmt.Println("working")
	if err := client.Start(ctx); err != nil {
		return err
	}
	<-client.Stopped()
	return nil
}
