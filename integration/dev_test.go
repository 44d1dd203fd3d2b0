package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/integration/fixture"
	"tidegate/worker/publish"
)

// A devProcess is a dev that is ready.
type devProcess struct {
	*process
	dir                        string
	Postgres, NATS, HTTP, Data string // as it says in listening.json
	PID                        int
}

// startDev starts dev on a folder, with free ports, and waits until it is
// ready.
func (p program) startDev(t *testing.T, dir string, args ...string) *devProcess {
	t.Helper()
	args = append([]string{"dev", "--listen", "127.0.0.1:0", "--nats-port", "0"}, args...)
	d := &devProcess{process: p.start(t, []string{"TIDEGATE_DATA=" + dir}, args...), dir: dir}
	d.awaitOut(`Ctrl-C stops.`)
	text, err := os.ReadFile(d.note())
	check(t, err)
	check(t, json.Unmarshal(text, d))
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill() // it may have ended
		<-d.ended
		d.awaitNobody() // before the folder goes
	})
	return d
}

// note is where dev writes where it listens.
func (d *devProcess) note() string { return filepath.Join(d.dir, "listening.json") }

func (d *devProcess) awaitNobody() {
	d.Helper()
	fixture.Await(d.T, soon, "no process is left in "+d.dir, func() bool { return livingIn(afterwards(d.T), d.T, d.dir) == 0 })
}

// tidegate runs a command that is told the folder and no more.
func (d *devProcess) tidegate(args ...string) said {
	d.Helper()
	got := tidegate(d.T, append(args, "--data", d.dir)...)
	if got.code != 0 {
		d.Fatalf("tidegate %v: exit code %d\n%s", args, got.code, got.errors)
	}
	return got
}

func (d *devProcess) get(path string) (status int, body string) {
	d.Helper()
	request, err := http.NewRequestWithContext(d.Context(), http.MethodGet, d.HTTP+path, nil)
	check(d.T, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	check(d.T, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	check(d.T, err)
	return response.StatusCode, string(text)
}

// pool connects to dev's own Postgres.
func (d *devProcess) pool() *pgxpool.Pool {
	d.Helper()
	pool, err := pgxpool.New(d.Context(), d.Postgres)
	check(d.T, err)
	d.Cleanup(pool.Close)
	return pool
}

// devRunsTheWholeThing: dev says where it is, the other commands find it
// without a flag, and nobody can start a second one beside it.
func devRunsTheWholeThing(t *testing.T, p program) {
	dir := dataFolder(t)
	d := p.startDev(t, dir)
	if text := d.tidegate("doctor").out; strings.Contains(text, "no stream") {
		t.Errorf("it is ready, and cannot be watched yet:\n%s", text)
	}
	block := d.out.String()
	for _, row := range []string{
		`^tidegate dev is ready, in \d+\.\d\d s\n`, `\n  Postgres +postgres://\S+ +private, PostgreSQL \d`, `\n  NATS +nats://127\.0\.0\.1:\d+ +nats sub`,
		`\n  HTTP +http://127\.0\.0\.1:\d+ `, `\n  Providers +http://\S+ +simulated: cheap, fast, dear`, `\n  Route +summaries +sim-cheap → sim-fast → sim-dear`,
		`\n  Data +` + regexp.QuoteMeta(dir) + `\n`, `\n  Log +` + regexp.QuoteMeta(dir) + `/\S+\n`,
		`\nIn another shell: tidegate enqueue FILE, watch, status, results, with --data ` + regexp.QuoteMeta(dir) + `\. Ctrl-C stops\.\n`,
	} {
		if !regexp.MustCompile(row).MatchString(block) {
			t.Errorf("the block has no row like %s:\n%s", row, block)
		}
	}
	if d.PID != d.cmd.Process.Pid || d.Data != dir || livingIn(t.Context(), t, dir) == 0 {
		t.Errorf("listening.json says %+v", d)
	}

	got := d.tidegate("enqueue", write(t, "in.jsonl", numbered(8, openaiLine)...), "--wait", "--json")
	if ended := lastLine[struct{ State string }](t, got.out); ended.State != "completed" {
		t.Errorf("enqueued without a flag: %s", got.out)
	}
	if events := decodeLines[publish.ResultBody](t, d.tidegate("watch", "--from-start", "--count", "8", "--json").out); len(events) != 8 {
		t.Errorf("%d events", len(events))
	}
	if lines := decodeLines[outputLine](t, d.tidegate("results").out); len(lines) != 8 {
		t.Errorf("%d results", len(lines))
	}
	if text := d.tidegate("doctor").out; strings.Contains(text, "WRONG") || !strings.Contains(text, "up to date") {
		t.Errorf("doctor: %s", text)
	}
	other := p.start(t, []string{"TIDEGATE_DATA=" + dir}, "status", "--json")
	if code := other.end(); code != 0 {
		t.Errorf("status found it not by TIDEGATE_DATA: exit code %d", code)
	}

	for path, says := range map[string]string{"/healthz": `"ok"`, "/readyz": `"ready"`, "/v1/status": `"answered":8`} {
		if status, body := d.get(path); status != http.StatusOK || !strings.Contains(body, says) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	_, body := d.get("/v1/status")
	if status := lastLine[statusView](t, body); len(status.Targets) != 3 || len(status.Batches) != 1 {
		t.Errorf("/v1/status: %s", body)
	}
	if status, _ := d.get("/nowhere"); status != http.StatusNotFound {
		t.Errorf("/nowhere: %d", status)
	}

	second := p.start(t, nil, "dev", "--data", dir, "--listen", "127.0.0.1:0", "--nats-port", "0")
	if code := second.end(); code != 1 || !strings.Contains(second.errors.String(), fmt.Sprintf("pid %d", d.PID)) || !strings.Contains(second.errors.String(), "--data") {
		t.Errorf("a second dev: exit code %d, %s", code, second.errors)
	}
	if status, _ := d.get("/readyz"); status != http.StatusOK {
		t.Error("the first one suffered from the second")
	}
}

// devDrainsAndGoesOn: Ctrl-C lets the calls in flight end, leaves no process,
// and what waits is answered after the next start.
func devDrainsAndGoesOn(t *testing.T, p program) {
	dir := dataFolder(t)
	config := write(t, "tidegate.yaml", "worker: {concurrency: 4}")
	const requests = 24
	d := p.startDev(t, dir, "--config", config)
	d.tidegate("enqueue", write(t, "in.jsonl", numbered(requests, openaiLine)...))
	pool := d.pool()
	fixture.Await(t, soon, "jobs are in flight", func() bool {
		return count(t, pool, "SELECT count(*) FROM tidegate.river_job WHERE state = 'running'") >= 4
	})
	pool.Close()
	d.signal(syscall.SIGINT)
	if code := d.end(); code != 0 || !strings.Contains(d.out.String(), "Stopped.") {
		t.Errorf("after Ctrl-C: exit code %d", code)
	}
	if n := livingIn(t.Context(), t, dir); n != 0 {
		t.Errorf("%d processes are left", n)
	}
	if _, err := os.Stat(d.note()); err == nil {
		t.Error("listening.json is left")
	}

	d = p.startDev(t, dir)
	pool = d.pool()
	fixture.Await(t, soon, "the rest is answered", func() bool {
		return count(t, pool, "SELECT count(*) FROM tidegate.results WHERE state = 'answered'") == requests
	})
	fixture.Await(t, soon, "all jobs completed, each at its first attempt", func() bool {
		return count(t, pool, "SELECT count(*) FROM tidegate.river_job WHERE state = 'completed' AND attempt = 1") == requests
	})
	if n := count(t, pool, "SELECT count(*) FROM tidegate.attempts"); n != requests {
		t.Errorf("%d requests took %d calls", requests, n)
	}
	d.signal(syscall.SIGTERM)
	if code := d.end(); code != 0 {
		t.Errorf("after SIGTERM: exit code %d", code)
	}
}

// devKilledLeavesNoServer: kill -9 of dev takes Postgres with it, and the next
// start has the data.
func devKilledLeavesNoServer(t *testing.T, p program) {
	dir := dataFolder(t)
	d := p.startDev(t, dir)
	d.tidegate("enqueue", write(t, "in.jsonl", numbered(5, openaiLine)...), "--wait")
	d.signal(syscall.SIGKILL)
	if code := d.end(); code != -1 {
		t.Errorf("exit code %d", code)
	}
	d.awaitNobody()
	if got := tidegate(t, "status", "--data", dir); got.code != 1 || !strings.Contains(got.errors, "tidegate dev") {
		t.Errorf("a command beside what was killed: %+v", got)
	}

	began := time.Now()
	d = p.startDev(t, dir)
	t.Logf("the start after a crash took %s", time.Since(began))
	if lines := decodeLines[outputLine](t, d.tidegate("results").out); len(lines) != 5 {
		t.Errorf("%d results are left", len(lines))
	}
	if events := decodeLines[publish.ResultBody](t, d.tidegate("watch", "--from-start", "--count", "5", "--json").out); len(events) != 5 {
		t.Errorf("%d events are left", len(events))
	}
	d.tidegate("enqueue", write(t, "in.jsonl", numbered(3, openaiLine)...), "--wait")
	d.signal(syscall.SIGINT)
	if code := d.end(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// devEndsWithItsServer: without its Postgres, dev does not pretend to go on. The
// next start has what was enqueued.
func devEndsWithItsServer(t *testing.T, p program) {
	dir := dataFolder(t)
	d := p.startDev(t, dir)
	const requests = 40 // so that there is work in hand
	d.tidegate("enqueue", write(t, "in.jsonl", numbered(requests, openaiLine)...))
	text, err := os.ReadFile(filepath.Join(dir, "postgres", "data", "postmaster.pid"))
	check(t, err)
	server, err := strconv.Atoi(strings.Fields(string(text))[0])
	check(t, err)
	check(t, syscall.Kill(server, syscall.SIGKILL))
	if code := d.end(); code != 1 || !strings.Contains(d.errors.String(), "the private Postgres has ended by itself") {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat(d.note()); err == nil {
		t.Error("listening.json is left")
	}
	d.awaitNobody()
	d = p.startDev(t, dir)
	if n := count(t, d.pool(), "SELECT count(*) FROM tidegate.requests"); n != requests {
		t.Errorf("%d of %d requests are left", n, requests)
	}
}

// devWithoutPostgres: on a machine without one, it says how to come by one.
func devWithoutPostgres(t *testing.T, p program) {
	dir := dataFolder(t)
	environment := []string{"PATH=", "TIDEGATE_PG_BIN=" + t.TempDir(), "TIDEGATE_DATA=" + dir}
	r := p.start(t, environment, "dev", "--listen", "127.0.0.1:0", "--nats-port", "0")
	if code := r.end(); code != 1 || r.out.String() != "" {
		t.Errorf("exit code %d", code)
	}
	for _, says := range []string{"no PostgreSQL server programs", "TIDEGATE_PG_BIN", "initdb"} {
		if !strings.Contains(r.errors.String(), says) {
			t.Errorf("it does not say %q", says)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "postgres", "data")); err == nil {
		t.Error("it left half a database")
	}
}
