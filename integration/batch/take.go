package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/integration/bench"
	"tidegate/jobs"
	"tidegate/store"
)

// A row is one round.
type row struct {
	copied, compressed                      time.Duration
	upload, inProgress, enqueued, completed time.Duration // completed is zero without --answer
	serverMB, workerMB, tableMB, compressMB float64
	copyMB, walMB                           float64
	copyCPU, compressCPU, enqueueCPU        time.Duration // of Postgres, server and worker
}

// String is for who waits.
func (r row) String() string {
	return fmt.Sprintf("copy %.1f s, compressed %.1f s; upload %.1f s, in progress after %.1f s, enqueued after %.1f s; serve %.0f MB, work %.0f MB",
		r.copied.Seconds(), r.compressed.Seconds(), r.upload.Seconds(), r.inProgress.Seconds(), r.enqueued.Seconds(), r.serverMB, r.workerMB)
}

// late is how long each step may take.
const late = 20 * time.Minute

func (p plan) take(ctx context.Context, ground *bench.Ground, input, storage string, round int) (r row, err error) {
	stage, err := ground.Stage(ctx, bench.StageConfig{
		Name: fmt.Sprintf("%s_%d_%s", name, round, strings.ReplaceAll(storage, "-", "_")), Provider: ground.Provider(name),
		Concurrency: concurrency, MaxLines: max(p.lines, 1000), MaxBytes: p.bytes,
	})
	if err != nil {
		return r, err
	}
	defer stage.Close()
	before := stage.CPU()
	if r.copied, r.copyMB, err = copyInto(ctx, stage, input, "plain", "SET STORAGE EXTERNAL"); err != nil {
		return r, err
	}
	between := stage.CPU()
	if r.compressed, r.compressMB, err = copyInto(ctx, stage, input, "compressed", ""); err != nil {
		return r, err
	}
	r.copyCPU, r.compressCPU = between-before, stage.CPU()-between
	if change := storages[storage]; change != "" {
		if _, err := stage.Pool.Exec(ctx, "ALTER TABLE tidegate.requests ALTER COLUMN body "+change); err != nil {
			return r, fmt.Errorf("keeping bodies %s: %w", storage, err)
		}
	}
	return r, p.through(ctx, stage, input, &r)
}

// copyInto copies the lines into a table of their own, and drops that again.
func copyInto(ctx context.Context, stage *bench.Stage, input, table, storage string) (took time.Duration, mb float64, err error) {
	file, err := os.Open(input)
	if err != nil {
		return 0, 0, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	if _, err := stage.Pool.Exec(ctx, "CREATE TABLE bench."+table+" (id int PRIMARY KEY, body bytea NOT NULL)"); err != nil {
		return 0, 0, err
	}
	if storage != "" {
		if _, err := stage.Pool.Exec(ctx, "ALTER TABLE bench."+table+" ALTER COLUMN body "+storage); err != nil {
			return 0, 0, err
		}
	}
	lines := bufio.NewReaderSize(file, 1<<20)
	n := 0
	began := time.Now()
	_, err = stage.Pool.CopyFrom(ctx, pgx.Identifier{"bench", table}, []string{"id", "body"}, pgx.CopyFromFunc(func() ([]any, error) {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return nil, nil
		}
		n++
		return []any{n, line}, err
	}))
	took = time.Since(began)
	if err == nil {
		mb, err = sizeOf(ctx, stage, "bench."+table)
	}
	if err == nil {
		_, err = stage.Pool.Exec(ctx, "DROP TABLE bench."+table)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("copying into a table: %w", err)
	}
	return took, mb, nil
}

// sizeOf is what a table takes on disk, with its indexes and all that is kept beside.
func sizeOf(ctx context.Context, stage *bench.Stage, table string) (mb float64, err error) {
	err = stage.Pool.QueryRow(ctx, "SELECT pg_total_relation_size($1::text::regclass)::float8 / (1 << 20)", table).Scan(&mb)
	return mb, err
}

// through has the batch go the whole way.
func (p plan) through(ctx context.Context, stage *bench.Stage, input string, r *row) error {
	if _, err := stage.Pool.Exec(ctx, "CHECKPOINT"); err != nil {
		return err
	}
	server, at, err := stage.StartServer(ctx)
	if err != nil {
		return err
	}
	if err := stage.StartWorkers(1); err != nil {
		return err
	}
	known := store.New(stage.Pool)
	if err := pause(ctx, stage, known); err != nil {
		return err
	}
	wal, err := bench.WALPosition(ctx, stage.Pool)
	if err != nil {
		return err
	}
	file, err := timed(&r.upload, func() (string, error) { return upload(ctx, at, input) })
	if err != nil {
		return err
	}
	if err := p.follow(ctx, stage, known, at, file, r); err != nil {
		return err
	}
	r.serverMB, r.workerMB = server.PeakMB(), stage.Workers()[0].PeakMB()
	after, err := bench.WALPosition(ctx, stage.Pool)
	r.walMB = float64(after-wal) / (1 << 20)
	return err
}

// pause pauses the route, as soon as the worker has announced it.
func pause(ctx context.Context, stage *bench.Stage, known *store.Store) error {
	err := stage.Await(ctx, late, "the worker announces its route", func() (bool, error) {
		routes, err := known.Routes(ctx)
		return len(routes) > 0, err
	})
	if err != nil {
		return err
	}
	return bench.Output(ctx, stage.Program(), "pause", bench.Route, "--config", stage.File())
}

// follow creates the batch and waits for what becomes of it.
func (p plan) follow(ctx context.Context, stage *bench.Stage, known *store.Store, at, file string, r *row) error {
	began, cpu := time.Now(), stage.CPU()
	id, err := create(ctx, at, file)
	if err != nil {
		return err
	}
	is := func(took *time.Duration, what string, fact func(*jobs.Batch) (bool, error)) error {
		err := stage.Await(ctx, late, what, func() (bool, error) {
			batch, err := known.Batch(ctx, id)
			if err == nil && batch.State == jobs.BatchFailed {
				err = fmt.Errorf("the batch has failed: %+v", batch.Order.Faults)
			}
			if err != nil {
				return false, err
			}
			return fact(&batch)
		})
		*took = time.Since(began)
		return err
	}
	if err := is(&r.inProgress, "it is in progress", func(b *jobs.Batch) (bool, error) { return b.State != jobs.BatchValidating, nil }); err != nil {
		return err
	}
	if err := is(&r.enqueued, "all lines are enqueued", func(b *jobs.Batch) (bool, error) {
		at, err := known.Enqueued(ctx, id)
		return at.Requests == p.lines, err
	}); err != nil {
		return err
	}
	r.enqueueCPU = stage.CPU() - cpu
	if r.tableMB, err = sizeOf(ctx, stage, "tidegate.requests"); err != nil || !p.answer {
		return err
	}
	if err := bench.Output(ctx, stage.Program(), "resume", bench.Route, "--config", stage.File()); err != nil {
		return err
	}
	return is(&r.completed, "it is completed", func(b *jobs.Batch) (bool, error) { return b.State == jobs.BatchCompleted, nil })
}

// timed says how long something took.
func timed[T any](took *time.Duration, do func() (T, error)) (T, error) {
	began := time.Now()
	done, err := do()
	*took = time.Since(began)
	return done, err
}

// upload sends a file as it is read.
func upload(ctx context.Context, at, input string) (id string, err error) {
	file, err := os.Open(input)
	if err != nil {
		return "", err
	}
	defer file.Close() //nolint:errcheck // it was only read
	body, to := io.Pipe()
	form := multipart.NewWriter(to)
	go func() {
		err := form.WriteField("purpose", jobs.PurposeBatch)
		if err == nil {
			var part io.Writer
			if part, err = form.CreateFormFile("file", "in.jsonl"); err == nil {
				_, err = io.Copy(part, file)
			}
		}
		if err == nil {
			err = form.Close()
		}
		_ = to.CloseWithError(err)
	}()
	return post(ctx, at+"/v1/files", form.FormDataContentType(), body)
}

func create(ctx context.Context, at, file string) (id string, err error) {
	return post(ctx, at+"/v1/batches", "application/json",
		strings.NewReader(fmt.Sprintf(`{"input_file_id":%q,"endpoint":"/v1/chat/completions","completion_window":"24h"}`, file)))
}

// post makes something, and returns its id.
func post(ctx context.Context, url, kind string, body io.Reader) (id string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", kind)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	var made struct{ ID string }
	if err == nil {
		err = json.Unmarshal(text, &made)
	}
	if err != nil || response.StatusCode != http.StatusOK || made.ID == "" {
		return "", fmt.Errorf("the server answers %s: %.300s (%w)", response.Status, text, err)
	}
	return made.ID, nil
}
