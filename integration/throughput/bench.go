package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/deploy/embedded"
	"tidegate/integration/bench"
	"tidegate/jobs"
	"tidegate/jobs/queue"
	"tidegate/migrations"
	"tidegate/store"
)

// promptBytes is about the size of a summary's prompt.
const promptBytes = 2000

// A ground keeps Postgres for all rounds.
type ground struct {
	dir      string
	postgres *embedded.Postgres
	number   int
	plan     *plan
}

func setUp(ctx context.Context, p *plan) (*ground, error) {
	dir, err := os.MkdirTemp("", "tidegate-throughput-*")
	if err != nil {
		return nil, err
	}
	postgres, err := embedded.StartPostgres(ctx, embedded.PostgresConfig{Dir: dir, Settings: map[string]string{"max_wal_size": "4GB"}})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &ground{dir: dir, postgres: postgres, plan: p}, nil
}

func (g *ground) tearDown() {
	_ = g.postgres.Stop()
	_ = os.RemoveAll(g.dir)
}

// round runs one kind from a fresh database until all is done, published too.
func (g *ground) round(ctx context.Context, kind string, n, workers int, latency time.Duration) (measured, error) {
	pool, err := g.database(ctx)
	if err != nil {
		return measured{}, err
	}
	defer pool.Close()
	if err := g.fill(ctx, pool, kind, n); err != nil {
		return measured{}, fmt.Errorf("inserting: %w", err)
	}
	if _, err := pool.Exec(ctx, "VACUUM ANALYZE"); err != nil {
		return measured{}, err
	}
	if _, err := pool.Exec(ctx, "CHECKPOINT"); err != nil {
		return measured{}, err
	}
	simulator, base, err := start("simulator", latency.String())
	if err != nil {
		return measured{}, err
	}
	defer end(simulator)
	nats, natsURL, err := start("nats")
	if err != nil {
		return measured{}, err
	}
	defer end(nats)
	return g.watch(ctx, pool, kind, n, pool.Config().ConnString(), natsURL, base, strconv.Itoa(workers),
		g.plan.goalOf(kind), strconv.Itoa(g.plan.targets), g.profile(kind))
}

// profile is the path of a kind's profiles, without their endings; empty: none.
func (g *ground) profile(kind string) string {
	if g.plan.profile == "" {
		return ""
	}
	return filepath.Join(g.plan.profile, kind)
}

// role is what a kind's worker is.
func role(kind string) string {
	if kind == "river" {
		return kind
	}
	return "tidegate"
}

// fill inserts the jobs of a round.
func (g *ground) fill(ctx context.Context, pool *pgxpool.Pool, kind string, n int) error {
	if role(kind) == "river" {
		return fillRiver(ctx, pool, n)
	}
	if err := g.fillTidegate(ctx, pool, kind, n); err != nil || kind != "budget" {
		return err
	}
	return g.setBudgets(ctx, pool)
}

// setBudgets sets budgets that are never spent.
func (g *ground) setBudgets(ctx context.Context, pool *pgxpool.Pool) error {
	limit := jobs.USD(1000)
	keys := []jobs.BudgetKey{{Scope: jobs.BudgetRoute, Name: "bench"}, {Scope: jobs.BudgetTenant, Name: jobs.DefaultTenant}}
	for _, key := range keys[:g.plan.budgets] {
		if err := store.New(pool).SetBudget(ctx, key, store.BudgetChange{Total: &limit}); err != nil {
			return err
		}
	}
	return nil
}

// watch starts the worker and measures until the last job is done.
func (g *ground) watch(ctx context.Context, pool *pgxpool.Pool, kind string, n int, args ...string) (measured, error) {
	wal, err := bench.WALPosition(ctx, pool)
	if err != nil {
		return measured{}, err
	}
	postgresCPU := bench.CPUOfTree(g.postgresPID())
	began := time.Now()
	worker, _, err := start(role(kind), args...)
	if err != nil {
		return measured{}, err
	}
	defer end(worker)
	if err := awaitDone(ctx, pool, kind, n); err != nil {
		return measured{}, err
	}
	took := time.Since(began)
	own := bench.CPUOfTree(worker.Process.Pid)
	cpu := bench.CPUOfTree(g.postgresPID()) - postgresCPU + own
	after, err := bench.WALPosition(ctx, pool)
	return measured{
		perSecond: float64(n) / took.Seconds(), cpuMS: 1000 * cpu.Seconds() / float64(n), workerMS: 1000 * own.Seconds() / float64(n),
		walKB: float64(after-wal) / 1024 / float64(n), rssMB: bench.PeakMB(worker.Process.Pid),
	}, err
}

func (g *ground) postgresPID() int { return bench.PostmasterPID(g.dir + "/data") }

// database makes an empty database with tidegate's and River's own tables.
func (g *ground) database(ctx context.Context) (*pgxpool.Pool, error) {
	admin, err := pgx.Connect(ctx, g.postgres.URL())
	if err != nil {
		return nil, err
	}
	defer func() { _ = admin.Close(ctx) }()
	g.number++
	name := fmt.Sprintf("round_%d", g.number)
	if _, err := admin.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		return nil, err
	}
	at, err := url.Parse(g.postgres.URL())
	if err != nil {
		return nil, err
	}
	at.Path = "/" + name
	pool, err := store.Connect(ctx, at.String(), 4)
	if err != nil {
		return nil, err
	}
	if _, err := migrations.Up(ctx, pool); err != nil {
		return nil, err
	}
	return pool, bench.MigratePlainRiver(ctx, pool)
}

func body(i int) json.RawMessage {
	prompt := strings.Repeat("The tide gate closes when the water rises and opens when it falls. ", promptBytes/67)
	return json.RawMessage(fmt.Sprintf(`{"model":"sim","messages":[{"role":"user","content":"Summarise document %d: %s"}],"max_tokens":100}`, i, prompt))
}

func (g *ground) fillTidegate(ctx context.Context, pool *pgxpool.Pool, kind string, n int) error {
	if err := store.New(pool).SaveRoutes(ctx, []jobs.Route{{Name: "bench", Goal: g.plan.goalOf(kind)}}); err != nil {
		return err
	}
	q, err := queue.New(pool)
	if err != nil {
		return err
	}
	requests := make([]jobs.Request, n)
	for i := range requests {
		requests[i] = jobs.Request{Route: "bench", CustomID: strconv.Itoa(i), Body: body(i)}
	}
	_, err = q.EnqueueMany(ctx, requests)
	return err
}

func fillRiver(ctx context.Context, pool *pgxpool.Pool, n int) error {
	return bench.EnqueuePlain(ctx, pool, n, func(i int) []byte { return body(i) })
}

// done counts what is finished; for tidegate, what NATS has, too.
var done = map[string]string{
	"tidegate": "SELECT (SELECT count(*) FROM tidegate.river_job WHERE state = 'completed') - (SELECT count(*) FROM tidegate.outbox)",
	"river":    "SELECT count(*) FROM public.river_job WHERE state = 'completed'",
}

func awaitDone(ctx context.Context, pool *pgxpool.Pool, kind string, n int) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	limit := time.After(5 * time.Minute)
	for {
		var finished int
		if err := pool.QueryRow(ctx, done[role(kind)]).Scan(&finished); err != nil {
			return err
		}
		if finished >= n {
			return nil
		}
		select {
		case <-ticker.C:
		case <-limit:
			return fmt.Errorf("only %d of %d were done in 5 minutes", finished, n)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// start starts this program in a role and reads the line that says it is up.
func start(role string, args ...string) (*exec.Cmd, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	cmd := exec.Command(self, append([]string{role}, args...)...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		end(cmd)
		return nil, "", fmt.Errorf("%s did not come up: %w", role, err)
	}
	return cmd, strings.TrimSpace(line), nil
}

func end(cmd *exec.Cmd) {
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_ = cmd.Wait()
}
