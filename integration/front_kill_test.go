package integration

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/openai/openai-go/v3"

	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
)

// TestFrontIsKilled: whoever works on a batch that came as a file is killed -9 in the
// middle of each thing that is done for it, while Postgres still has its last word in
// hand. Another goes on, and each line ends once.
func TestFrontIsKilled(t *testing.T) {
	t.Parallel()
	p := buildProgram(t)
	for name, c := range map[string]struct {
		lock, when string // the row that its worker is made to wait for, and when it is taken
		stuck      string // what it is then about to do
		cancel     string // empty: it is not cancelled then
		ends       openai.BatchStatus
		lines      int
	}{
		"validating": {"batches", "b.state = 'validating'", "tidegate: begin batch", "", openai.BatchStatusCompleted, 50},
		"enqueuing":  {"batch_work", "b.state = 'validating'", "tidegate: advance", "", openai.BatchStatusCompleted, 1100},
		"finalizing": {"batch_work", "b.completed > 0", "tidegate: move ending", "", openai.BatchStatusCompleted, 200},
		"cancelling": {"results", "b.completed > 0", "tidegate: cancel some of a batch", "yes", openai.BatchStatusCancelled, 600},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKilling(t, p)
			batch := k.order(k.client(), k.upload(k.client(), batchLines(c.lines)).ID)
			if c.when == "b.state = 'validating'" { // it would be too quick
				tx := k.hold(batch.ID, c.lock, c.when)
				k.killStuck(tx, k.fleet.hire(), c.stuck)
			} else {
				worker := k.fleet.hire()
				tx := k.hold(batch.ID, c.lock, c.when)
				if c.cancel != "" {
					client := k.client()
					_, err := client.Batches.Cancel(t.Context(), batch.ID)
					check(t, err)
				}
				k.killStuck(tx, worker, c.stuck)
			}
			k.fleet.hire()
			batch = k.poll(k.client(), batch.ID, c.ends)
			k.wholeBatch(k.client(), batch, c.lines)
		})
	}
}

// A killing is a front whose server and workers are processes.
type killing struct {
	*front
	fleet *fleet
}

func newKilling(t *testing.T, p program) *killing {
	t.Helper()
	f := newFleet(t, p, staging{latency: 200 * time.Millisecond, config: func(c *config.Config) { c.Worker.Concurrency = 20 }})
	k := &killing{front: &front{stage: f.stage}, fleet: f}
	k.serve()
	return k
}

// serve starts a server process, and returns it.
func (k *killing) serve() *process {
	k.Helper()
	s := k.fleet.program.start(k.T, nil, "serve", "--listen", "127.0.0.1:0", "--config", k.fleet.file, "--database-url", k.URL, "--data", k.TempDir())
	k.base = s.base()
	return s
}

// base awaits that a server process listens, and returns the base URL of its API.
func (r *process) base() (url string) {
	r.Helper()
	form := regexp.MustCompile(`listening on (http://\S+)`)
	fixture.Await(r.T, soon, "it serves", func() bool {
		match := form.FindStringSubmatch(r.errors.String())
		if match != nil {
			url = match[1] + "/v1"
		}
		return match != nil
	})
	return url
}

// hold waits for a condition and then keeps a row of the batch locked.
func (k *killing) hold(batch, table, when string) pgx.Tx {
	k.Helper()
	id := "batch_id"
	if table == "batches" {
		id = "id"
	}
	fixture.Await(k.T, soon, when, func() bool {
		return k.count("SELECT count(*) FROM tidegate.batches b JOIN tidegate.batch_work w ON w.batch_id = b.id WHERE b.id = $1 AND "+when, batch) == 1
	})
	tx, err := k.Pool.Begin(k.Context())
	check(k.T, err)
	k.Cleanup(func() { _ = tx.Rollback(afterwards(k.T)) }) // or else the pool is never closed
	statement := fmt.Sprintf("SELECT FROM tidegate.%s WHERE %s = $1 FOR UPDATE", table, id)
	if table == "results" { // of the last request, which nobody has answered yet
		statement = `INSERT INTO tidegate.results (request_id, id, status, state)
			SELECT id, gen_random_uuid(), 0, 'refused' FROM tidegate.requests WHERE batch_id = $1 ORDER BY id DESC LIMIT 1`
	}
	_, err = tx.Exec(k.Context(), statement, batch)
	check(k.T, err)
	return tx
}

// awaitStuck waits until a worker waits for that row with such a statement.
func (k *killing) awaitStuck(statement string) {
	k.Helper()
	fixture.Await(k.T, soon, "it is stuck in "+statement, func() bool {
		return k.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%' || $1 || '%'", statement) > 0
	})
}

// killStuck kills a worker that is about to write a row that tx keeps, and lets the row
// go.
func (k *killing) killStuck(tx pgx.Tx, worker *hand, statement string) {
	k.Helper()
	k.awaitStuck(statement)
	worker.kill()
	check(k.T, tx.Rollback(k.Context()))
}

// A server that is killed in the middle of an upload leaves no file, and one that is
// killed when a batch was created leaves that.
func TestServerIsKilled(t *testing.T) {
	t.Parallel()
	k := newKilling(t, buildProgram(t))
	first := k.base
	file := k.upload(k.client(), batchLines(20))
	second := k.serve()
	k.fleet.hire()
	in, out := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, k.base+"/files", in)
	check(t, err)
	request.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	sent := make(chan error, 1)
	go func() {
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = response.Body.Close()
		}
		sent <- err
	}()
	_, err = io.WriteString(out, "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n"+strings.Repeat(batchLines(100), 100))
	check(t, err)
	fixture.Await(t, soon, "a piece was written", func() bool {
		return k.count("SELECT count(*) FROM tidegate.file_pieces p JOIN tidegate.files f ON f.id = p.file_id WHERE NOT f.whole") > 0
	})
	batch := k.order(k.client(), file.ID)
	second.signal(syscall.SIGKILL)
	second.end()
	_ = out.CloseWithError(io.ErrClosedPipe)
	if err := <-sent; err == nil {
		t.Error("the upload was answered")
	}
	k.base = first
	client := k.client()
	page, err := client.Files.List(t.Context(), openai.FileListParams{Purpose: openai.String("batch")})
	if err != nil || len(page.Data) != 1 || page.Data[0].ID != file.ID {
		t.Errorf("there are %+v, %v", page, err)
	}
	k.wholeBatch(k.client(), k.poll(k.client(), batch.ID, openai.BatchStatusCompleted), 20)
}
