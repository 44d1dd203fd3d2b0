package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/deploy/embedded"
	"tidegate/jobs"
	"tidegate/jobs/queue"
	"tidegate/store"
)

// Route is the one route of a stage, and its target's name.
const Route = "bench"

// conns are those of the benchmark itself.
const conns = 6

// A StageConfig says what a Stage is made of.
type StageConfig struct {
	Name              string // of its database and its files
	Provider          *Provider
	Concurrency       int    // of each worker
	RequestsPerMinute int    // that the target is configured with; zero: none
	Admission         string // of the route; empty: direct
	MaxLines          int    // of a batch that comes as a file; zero: the usual
	MaxBytes          int64  // of its file; zero: the usual
	Timing            string // of the workers, as in sweep=1s; empty: the usual
	Door              bool   // the workers answer over NATS, too
	Retention         string // as the configuration has it: {requests: 30d}; empty: the usual
}

// A Stage is one tidegate: a database, a NATS server, and workers.
type Stage struct {
	Pool *pgxpool.Pool

	ground  *Ground
	config  StageConfig
	file    string // the configuration
	nats    *embedded.NATS
	queue   *queue.Queue
	workers []*Process
	servers []*Process
}

// Stage makes a stage without workers: a database that is up to date, with a log
// of its circuits, and a NATS server. Whoever made it must Close it.
func (g *Ground) Stage(ctx context.Context, config StageConfig) (*Stage, error) {
	s := &Stage{ground: g, config: config, file: filepath.Join(g.dir, config.Name+".yaml")}
	if err := s.prepare(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Stage) prepare(ctx context.Context) (err error) {
	at, err := s.ground.CreateDatabase(ctx, s.config.Name)
	if err != nil {
		return err
	}
	if s.nats, err = embedded.StartNATS(ctx, embedded.NATSConfig{}); err != nil {
		return err
	}
	text := configText(at, s.nats.URL(), s.config)
	if err := os.WriteFile(s.file, []byte(text), 0o600); err != nil {
		return err
	}
	if err := Output(ctx, s.ground.program, "migrate", "--config", s.file); err != nil {
		return err
	}
	if s.Pool, err = store.Connect(ctx, at, conns); err != nil {
		return err
	}
	if s.queue, err = queue.New(s.Pool); err != nil {
		return err
	}
	return logCircuits(ctx, s.Pool)
}

// StartWorkers starts n more worker processes.
func (s *Stage) StartWorkers(n int) error {
	for range n {
		log := filepath.Join(s.ground.dir, fmt.Sprintf("%s-worker%d.log", s.config.Name, len(s.workers)))
		args := []string{"work", "--config", s.file, "--log-level", "warn"}
		if s.config.Timing != "" {
			args = append(args, "--timing", s.config.Timing)
		}
		worker, err := Start(log, s.ground.program, args...)
		if err != nil {
			return err
		}
		s.workers = append(s.workers, worker)
	}
	return nil
}

// Configure changes what workers and servers are made of that start from now on. What
// the database and the provider are made of stays.
func (s *Stage) Configure(change func(*StageConfig)) error {
	change(&s.config)
	return os.WriteFile(s.file, []byte(configText(s.Pool.Config().ConnString(), s.nats.URL(), s.config)), 0o600)
}

// Program is the built one.
func (s *Stage) Program() string { return s.ground.program }

// NATSURL is where its NATS server listens.
func (s *Stage) NATSURL() string { return s.nats.URL() }

// File is the configuration of its processes.
func (s *Stage) File() string { return s.file }

// Workers are the processes of its workers.
func (s *Stage) Workers() []*Process { return s.workers }

// listens finds where a server listens in what it says when it starts.
var listens = regexp.MustCompile(`listening on (http://\S+)\n`)

// StartServer starts a process that answers over HTTP, and returns it with its base
// URL.
func (s *Stage) StartServer(ctx context.Context) (server *Process, at string, err error) {
	log := filepath.Join(s.ground.dir, fmt.Sprintf("%s-server%d.log", s.config.Name, len(s.servers)))
	server, err = Start(log, s.ground.program, "serve", "--listen", "127.0.0.1:0", "--config", s.file, "--log-level", "warn")
	if err != nil {
		return nil, "", err
	}
	s.servers = append(s.servers, server)
	err = Await(ctx, soon, "the server listens", func() (bool, error) {
		text, _ := os.ReadFile(log) // it is not there yet
		if found := listens.FindSubmatch(text); found != nil {
			at = string(found[1])
		}
		return at != "", server.Alive()
	})
	return server, at, err
}

// CPU is the processor time that its workers, servers and Postgres have had.
func (s *Stage) CPU() time.Duration {
	sum := CPUOfTree(PostmasterPID(filepath.Join(s.ground.dir, "postgres", "data")))
	for _, process := range slices.Concat(s.workers, s.servers) {
		sum += CPUOfTree(process.cmd.Process.Pid)
	}
	return sum
}

// PostgresCPU is the processor time that its Postgres has had, with all of its processes.
func (s *Stage) PostgresCPU() time.Duration {
	return CPUOfTree(PostmasterPID(filepath.Join(s.ground.dir, "postgres", "data")))
}

// StopWorkers stops all workers in order, at once.
func (s *Stage) StopWorkers() {
	var stopping sync.WaitGroup
	for _, worker := range s.workers {
		stopping.Go(worker.Stop)
	}
	stopping.Wait()
	s.workers = nil
}

// Close stops workers, servers and NATS.
func (s *Stage) Close() {
	s.StopWorkers()
	for _, server := range s.servers {
		server.Stop()
	}
	if s.Pool != nil {
		s.Pool.Close()
	}
	if s.nats != nil {
		s.nats.Stop()
	}
}

// Enqueue accepts n requests as one batch, numbered from first on.
func (s *Stage) Enqueue(ctx context.Context, first, n int) error {
	return s.EnqueueAs(ctx, jobs.DefaultTenant, first, n)
}

// EnqueueAs is Enqueue for a tenant.
func (s *Stage) EnqueueAs(ctx context.Context, tenant string, first, n int) error {
	if n <= 0 {
		return nil
	}
	err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		_, err := s.queue.StreamTx(ctx, tx, func(yield func(jobs.Request, error) bool) {
			for i := first; i < first+n; i++ {
				if !yield(jobs.Request{Route: Route, Tenant: tenant, Body: Body(i)}, nil) {
					return
				}
			}
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("enqueueing %d requests: %w", n, err)
	}
	return nil
}

// Body is a short completion of a document that no other number has.
func Body(i int) []byte {
	return fmt.Appendf(nil, `{"model":"sim","messages":[{"role":"user","content":"Summarise document %d: the tide gate closes when the water rises and opens when it falls."}],"max_tokens":50}`, i)
}

// Count is the answer to a query that counts.
func (s *Stage) Count(ctx context.Context, sql string, args ...any) (n int, err error) {
	err = s.Pool.QueryRow(ctx, sql, args...).Scan(&n)
	return n, err
}

// ErrLate is that a fact did not come true in time.
var ErrLate = errors.New("it took too long")

// Await waits for a fact while all workers and servers live. It returns ErrLate when the limit
// passes.
func (s *Stage) Await(ctx context.Context, limit time.Duration, what string, fact func() (bool, error)) error {
	return Await(ctx, limit, what, func() (bool, error) {
		for _, process := range slices.Concat(s.workers, s.servers) {
			if err := process.Alive(); err != nil {
				return false, err
			}
		}
		return fact()
	})
}

// poll is how often a fact is looked at.
const poll = 50 * time.Millisecond

// Await waits for a fact, and returns its error, or ErrLate when the limit passes.
func Await(ctx context.Context, limit time.Duration, what string, fact func() (bool, error)) error {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	late := time.After(limit)
	for {
		if holds, err := fact(); holds || err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-late:
			return fmt.Errorf("waiting until %s: %w", what, ErrLate)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Sleep waits until a time, or until ctx ends.
func Sleep(ctx context.Context, until time.Time) error {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
