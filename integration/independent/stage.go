package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/deploy/embedded"
	"tidegate/integration/bench"
	"tidegate/jobs"
	"tidegate/jobs/queue"
	"tidegate/store"
)

const (
	conns       = 6  // of the check itself
	processes   = 2  // workers
	concurrency = 40 // jobs at once in each of them
)

// A stage is all that runs: the mocks, Postgres, NATS and the workers.
type stage struct {
	program  string
	dir      string
	mocks    map[string]*mock // by dialect
	postgres *embedded.Postgres
	nats     *embedded.NATS
	pool     *pgxpool.Pool
	queue    *queue.Queue
	events   *events
	workers  []*bench.Process
}

// open starts everything but the workers. Whoever opened a stage must close it.
func open(ctx context.Context, program string, questions []question) (*stage, error) {
	s := &stage{mocks: map[string]*mock{}}
	if err := s.prepare(ctx, program, questions); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stage) prepare(ctx context.Context, program string, questions []question) (err error) {
	if s.program, err = filepath.Abs(program); err != nil {
		return err
	}
	if _, err := os.Stat(s.program); err != nil {
		return fmt.Errorf("the built program: %w; run `make build` first", err)
	}
	if s.dir, err = os.MkdirTemp("", "tidegate-independent-*"); err != nil {
		return err
	}
	installed, err := install(ctx, s.dir)
	if err != nil {
		return err
	}
	for _, dialect := range dialects {
		if s.mocks[dialect], err = startMock(ctx, installed, s.dir, dialect, newKey(dialect), fixturesOf(dialect, questions)); err != nil {
			delete(s.mocks, dialect)
			return err
		}
	}
	if s.postgres, err = embedded.StartPostgres(ctx, embedded.PostgresConfig{Ephemeral: true, Announce: func(line string) { bench.Say("%s", line) }}); err != nil {
		return err
	}
	if s.nats, err = embedded.StartNATS(ctx, embedded.NATSConfig{}); err != nil {
		return err
	}
	if err := os.WriteFile(s.file(), []byte(s.config()), 0o600); err != nil {
		return err
	}
	if text, err := s.command("migrate").CombinedOutput(); err != nil {
		return fmt.Errorf("tidegate migrate: %w; it says:\n%s", err, text)
	}
	if s.pool, err = store.Connect(ctx, s.postgres.URL(), conns); err != nil {
		return err
	}
	if s.queue, err = queue.New(s.pool); err != nil {
		return err
	}
	s.events, err = subscribe(ctx, s.nats.URL())
	return err
}

// fixturesOf are all that the mock of a dialect knows. Last is the call with which
// a worker probes a target when it has no request in hand.
func fixturesOf(dialect string, questions []question) []fixture {
	all := wordFixtures(dialect)
	for _, q := range questions {
		all = append(all, q.fixtures(dialect)...)
	}
	return append(all, fixture{match{UserMessage: "ping "}, object{"content": "pong"}})
}

// newKey is a key that is found wherever it leaks to.
func newKey(dialect string) string { return "sk-canary-" + dialect + "-" + rand.Text() }

func (s *stage) file() string { return filepath.Join(s.dir, "tidegate.yaml") }

func keyVariable(dialect string) string { return "CHECK_KEY_" + strings.ToUpper(dialect) }

// command is a verb of the built program. It has the keys from its environment.
func (s *stage) command(verb string, args ...string) *exec.Cmd {
	cmd := exec.Command(s.program, append([]string{verb, "--config", s.file()}, args...)...)
	cmd.Env = os.Environ()
	for dialect, m := range s.mocks {
		cmd.Env = append(cmd.Env, keyVariable(dialect)+"="+m.key)
	}
	return cmd
}

// window is how many tokens a target takes: each more than the one before it in the
// chain, so that what is too long for one goes on to the next.
var window = map[string]int{"openai": 128_000, "anthropic": 200_000, "gemini": 1_000_000}

// config is the configuration of the workers.
func (s *stage) config() string {
	var text strings.Builder
	fmt.Fprintf(&text, "postgres: %q\nnats: %q\ntargets:\n", s.postgres.URL(), s.nats.URL())
	for _, dialect := range dialects {
		fmt.Fprintf(&text, `  - name: %[1]s
    provider: %[1]s
    dialect: %[1]s
    base_url: %[2]s
    api_key: ${%[3]s}
    model: %[4]s
    context_tokens: %[5]d
    price: {input: 1, output: 4}
    limits: {requests_per_minute: 12000}
    timeouts: {connect: 5s, first_byte: %[6]s, idle: 5s, total: 20s}
`, dialect, s.mocks[dialect].baseURL(), keyVariable(dialect), model(dialect), window[dialect], patience)
	}
	text.WriteString("routes:\n")
	for _, dialect := range dialects {
		fmt.Fprintf(&text, "  - {name: %[1]s, chain: [%[1]s]}\n", dialect)
	}
	fmt.Fprintf(&text, "  - {name: %s, chain: [%s], when_filtered: reroute}\n", chainRoute, strings.Join(dialects, ", "))
	fmt.Fprintf(&text, "worker: {concurrency: %d, shutdown_timeout: 10s}\n", concurrency)
	return text.String()
}

// startWorkers starts the worker processes. They log all that they can.
func (s *stage) startWorkers() error {
	for i := range processes {
		worker, err := bench.StartCommand(filepath.Join(s.dir, fmt.Sprintf("worker%d.log", i)), s.command("work", "--log-level", "trace"))
		if err != nil {
			return err
		}
		s.workers = append(s.workers, worker)
	}
	return nil
}

// alive is an error if anything ended by itself.
func (s *stage) alive() error {
	var ended []error
	for _, worker := range s.workers {
		ended = append(ended, worker.Alive())
	}
	for _, m := range s.mocks {
		ended = append(ended, m.process.Alive())
	}
	return errors.Join(ended...)
}

// enqueue accepts questions as one batch.
func (s *stage) enqueue(ctx context.Context, questions []question) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		_, err := s.queue.StreamTx(ctx, tx, func(yield func(jobs.Request, error) bool) {
			for _, q := range questions {
				if request, err := q.request(); !yield(request, err) {
					return
				}
			}
		})
		return err
	})
}

// count is the answer to a query that counts.
func (s *stage) count(ctx context.Context, sql string, args ...any) (n int, err error) {
	err = s.pool.QueryRow(ctx, sql, args...).Scan(&n)
	return n, err
}

// stopWorkers stops them in order, at once.
func (s *stage) stopWorkers() {
	var stopping sync.WaitGroup
	for _, worker := range s.workers {
		stopping.Go(worker.Stop)
	}
	stopping.Wait()
	s.workers = nil
}

// close stops everything and removes the folder.
func (s *stage) close() {
	s.stopWorkers()
	for _, m := range s.mocks {
		m.process.Stop()
	}
	if s.events != nil {
		s.events.stop()
	}
	if s.pool != nil {
		s.pool.Close()
	}
	if s.nats != nil {
		s.nats.Stop()
	}
	if s.postgres != nil {
		if err := s.postgres.Stop(); err != nil {
			bench.Say("%v", err)
		}
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}
