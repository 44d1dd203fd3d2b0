package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"tidegate/store"
)

// plainSchema is named, since the search_path of a role "tidegate" begins with
// tidegate's own.
const plainSchema = "public"

// PlainArgs carry the whole request, as a user of River alone would have it.
type PlainArgs struct {
	Body json.RawMessage `json:"body"`
}

// Kind is River's name for the job.
func (PlainArgs) Kind() string { return "plain" }

// A PlainWorker makes the call and forgets the answer; a refusal is an error, and
// River does the rest.
type PlainWorker struct {
	river.WorkerDefaults[PlainArgs]
	client *http.Client
	url    string
}

// NewPlainWorker calls the provider at a base URL, so many times at once.
func NewPlainWorker(base string, atOnce int) *PlainWorker {
	return &PlainWorker{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: atOnce}}, url: base + "/chat/completions"}
}

// Work makes the call.
func (w *PlainWorker) Work(ctx context.Context, job *river.Job[PlainArgs]) error {
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

// NewPlainRiver is a client of River alone, beside tidegate's or without it.
func NewPlainRiver(pool *pgxpool.Pool, config *river.Config) (*river.Client[pgx.Tx], error) {
	config.Logger, config.Schema = slog.New(slog.DiscardHandler), plainSchema
	return river.NewClient(riverpgxv5.New(pool), config)
}

// MigratePlainRiver makes the tables of River alone.
func MigratePlainRiver(ctx context.Context, pool *pgxpool.Pool) error {
	plain, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: plainSchema})
	if err != nil {
		return err
	}
	_, err = plain.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return err
}

// EnqueuePlain inserts jobs for River alone.
func EnqueuePlain(ctx context.Context, pool *pgxpool.Pool, n int, body func(i int) []byte) error {
	client, err := NewPlainRiver(pool, &river.Config{})
	if err != nil {
		return err
	}
	params := make([]river.InsertManyParams, n)
	for i := range params {
		params[i] = river.InsertManyParams{Args: PlainArgs{Body: body(i)}}
	}
	_, err = client.InsertManyFast(ctx, params)
	return err
}

// RiverRole is the first argument by which a benchmark starts itself again as a
// worker of River alone.
const RiverRole = "river"

// RunRiver is River with its defaults, until ctx ends. args are the database, the
// provider's base URL, and how many calls at once.
func RunRiver(ctx context.Context, args []string) error {
	atOnce, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	pool, err := store.Connect(ctx, args[0], conns)
	if err != nil {
		return err
	}
	defer pool.Close()
	registered := river.NewWorkers()
	river.AddWorker(registered, NewPlainWorker(args[1], atOnce))
	client, err := NewPlainRiver(pool, &river.Config{Workers: registered, Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: atOnce}}})
	if err != nil {
		return err
	}
	if err := client.Start(ctx); err != nil {
		return err
	}
	<-client.Stopped()
	return nil
}

// RiverStage makes a stage of River alone, without workers; the first n requests
// wait in it. Its config needs no limit: River knows none.
func (g *Ground) RiverStage(ctx context.Context, config StageConfig, n int) (*Stage, error) {
	at, err := g.CreateDatabase(ctx, config.Name)
	if err != nil {
		return nil, err
	}
	s := &Stage{ground: g, config: config}
	if s.Pool, err = store.Connect(ctx, at, conns); err != nil {
		return nil, err
	}
	if err := MigratePlainRiver(ctx, s.Pool); err != nil {
		s.Close()
		return nil, err
	}
	if err := EnqueuePlain(ctx, s.Pool, n, Body); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// StartRiver starts n more worker processes of River alone.
func (s *Stage) StartRiver(n int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for range n {
		log := filepath.Join(s.ground.dir, fmt.Sprintf("%s-worker%d.log", s.config.Name, len(s.workers)))
		worker, err := Start(log, self, RiverRole, s.Pool.Config().ConnString(), s.config.Provider.BaseURL, strconv.Itoa(s.config.Concurrency))
		if err != nil {
			return err
		}
		s.workers = append(s.workers, worker)
	}
	return nil
}
