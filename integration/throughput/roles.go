package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/rs/zerolog"

	"tidegate/cmd/app"
	"tidegate/deploy/embedded"
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

// routeOf is the one route of a measurement.
func routeOf(base string) jobs.Route {
	return jobs.Route{Name: "bench", Goal: "ordered", Chain: []*jobs.Target{{
		Name: "bench", Provider: "bench", Dialect: "openai", BaseURL: base, Model: "sim", Key: "sk-bench-0123456789",
		Price: jobs.Price{Input: 100_000, CachedInput: 50_000, Output: 400_000}, Timeouts: jobs.DefaultTimeouts,
	}}}
}

// runTidegate works until it is told to stop: args are the database, NATS, the
// provider, and how many calls at once.
func runTidegate(ctx context.Context, args []string) error {
	workers, err := strconv.Atoi(args[3])
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
		Pool: pool, Conn: conn, Routes: []jobs.Route{routeOf(args[2])}, Concurrency: workers, Log: zerolog.Nop(),
	})
	if err != nil {
		return err
	}
	fmt.Println("working")
	return stack.Run(ctx)
}

// plainArgs carry the whole request, as a user of River alone would have it.
type plainArgs struct {
	Body json.RawMessage `json:"body"`
}

func (plainArgs) Kind() string { return "plain" }

// A plainWorker makes the call and forgets the answer.
type plainWorker struct {
	river.WorkerDefaults[plainArgs]
	client *http.Client
	url    string
}

func (w *plainWorker) Work(ctx context.Context, job *river.Job[plainArgs]) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(job.Args.Body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer sk-bench-0123456789")
	response, err := w.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	var answer struct {
		Choices []struct {
			Message struct {
				Content string `json:"content"`
			} `json:"message"`
		} `json:"choices"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || len(answer.Choices) == 0 {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	return nil
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
	transport := &http.Transport{MaxIdleConnsPerHost: workers}
	river.AddWorker(registered, &plainWorker{client: &http.Client{Transport: transport}, url: args[2] + "/chat/completions"})
	client, err := newPlainRiver(pool, &river.Config{
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

func newPlainRiver(pool *pgxpool.Pool, config *river.Config) (*river.Client[pgx.Tx], error) {
	config.Logger, config.Schema = slog.New(slog.DiscardHandler), plainSchema
	return river.NewClient(riverpgxv5.New(pool), config)
}
