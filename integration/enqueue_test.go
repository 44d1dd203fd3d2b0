package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"tidegate/cmd/app"
	"tidegate/integration/fixture"
	"tidegate/jobs"
)

// slowCommit makes every COMMIT of a batch wait for the test, and go on when it
// is cancelled, as one does that a synchronous replica keeps waiting.
const slowCommit = `
CREATE FUNCTION slow_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_advisory_xact_lock(7);
	RETURN NULL;
EXCEPTION WHEN query_canceled THEN
	RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON tidegate.batches DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow_commit()`

// TestStopDuringCommit: who presses Ctrl-C while the batch is being committed is
// told what became of it.
func TestStopDuringCommit(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	_, err := s.Pool.Exec(t.Context(), slowCommit)
	check(t, err)
	lock, err := s.Pool.Begin(t.Context())
	check(t, err)
	_, err = lock.Exec(t.Context(), "SELECT pg_advisory_xact_lock(7)")
	check(t, err)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	told := make(chan said, 1)
	file := write(t, "in.jsonl", openaiLine(0))
	go func() { told <- tidegateUntil(ctx, t, "enqueue", file, "--database-url", s.URL) }()
	fixture.Await(t, soon, "the batch is being committed", func() bool {
		return s.count("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == 1
	})
	stop()
	check(t, lock.Commit(t.Context()))
	got := <-told
	if got.code != 0 || strings.Contains(got.errors, "nothing was enqueued") {
		t.Errorf("it says %+v", got)
	}
	if batch := s.batchOf(got); batch.Total != 1 {
		t.Errorf("%+v", batch)
	}
}

// TestStopWhileReading: an input that says nothing more, and one that never ends
// its line, are left at the first signal. Until something was read, no
// connection waits in a transaction.
func TestStopWhileReading(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	for name, args := range map[string][]string{
		"silence": {"enqueue"}, "silence, to be tried": {"enqueue", "--dry-run"}, "an endless line": {"enqueue"},
	} {
		for _, standard := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, standard input: %t", name, standard), func(t *testing.T) {
				t.Parallel()
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				root, arg, speak := listening(t, standard)
				root.SetArgs(append(args, arg, "--database-url", s.URL, "--data", t.TempDir()))
				ended := make(chan error, 1)
				go func() { ended <- root.ExecuteContext(ctx) }()
				mouth := speak()
				_, err := mouth.Write([]byte{'\n'}) // it is read
				check(t, err)
				if name == "an endless line" {
					_, err := mouth.Write(make([]byte, 2*jobs.MaxLineBytes))
					check(t, err)
				}
				if n := s.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'"); n != 0 {
					t.Errorf("%d connections wait in a transaction", n)
				}
				stop()
				select {
				case err = <-ended:
				case <-time.After(soon):
					t.Fatal("it goes on")
				}
				if err == nil || !errors.Is(err, context.Canceled) && !strings.Contains(err.Error(), "stopped; nothing was enqueued") {
					t.Errorf("it says %v", err)
				}
				check(t, mouth.Close())
			})
		}
	}
	t.Cleanup(s.checkEmpty)
}

// listening is a command whose input a test writes: its standard input, or a
// pipe with a name. To speak waits until somebody listens.
func listening(t *testing.T, standard bool) (root *cobra.Command, arg string, speak func() io.WriteCloser) {
	t.Helper()
	root = app.New()
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	if standard {
		ear, mouth := io.Pipe()
		root.SetIn(ear)
		return root, "-", func() io.WriteCloser { return mouth }
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	check(t, syscall.Mkfifo(pipe, 0o600))
	return root, pipe, func() io.WriteCloser {
		mouth, err := os.OpenFile(pipe, os.O_WRONLY, 0)
		check(t, err)
		return mouth
	}
}

// TestStopAtOnce: Ctrl-C before anything was learned is not told as something
// that was.
func TestStopAtOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for _, args := range [][]string{
		{"dev", "--listen", "127.0.0.1:0", "--nats-port", "0"},
		{"demo"},
		{"demo", "--documents", "testdata"},
		{"doctor", "--database-url", s.URL},
		{"status", "--database-url", s.URL},
		{"migrate", "--database-url", s.URL},
	} {
		if got := tidegateUntil(ctx, t, args...); got.code != 1 || got.errors != "tidegate: stopped before it was done\n" || got.out != "" {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

// A fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// TestWhatCannotBeSaidIsNoSuccess: who reads the output later must not find a
// part of it and an exit code that says it is whole.
func TestWhatCannotBeSaidIsNoSuccess(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	batch := s.enqueue(1, nil)
	file := write(t, "in.jsonl", openaiLine(0))
	for _, args := range [][]string{
		{"enqueue", file},
		{"enqueue", file, "--json"},
		{"enqueue", file, "--dry-run"},
		{"status"},
		{"status", "--json"},
		{"cancel", batch.ID},
		{"migrate"},
		{"doctor"},
		{"init", "-"},
		{"--help"},
		{"--version"},
	} {
		var errors strings.Builder
		code := app.Execute(t.Context(), append(args, "--data", t.TempDir(), "--database-url", s.URL, "--nats-url", s.NATSURL), fullDisk{}, &errors)
		if code != 1 || !strings.Contains(errors.String(), "no space left") {
			t.Errorf("%v: exit code %d, %s", args, code, errors.String())
		}
		if args[0] == "enqueue" && len(args) < 3 && batchForm.FindString(errors.String()) == "" {
			t.Errorf("the batch is there, and lost to whoever enqueued it: %s", errors.String())
		}
	}
}
