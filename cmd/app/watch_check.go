package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/jobs"
	"tidegate/jobs/queue"
	"tidegate/store"
	"tidegate/worker/publish"
)

// check refuses what is no name: it would be a pattern of NATS's, or match
// nothing for ever.
func (f *watchFlags) check() error {
	for _, named := range []struct{ flag, value string }{{"--route", f.route}, {"--batch", f.batch}} {
		if named.value == "" {
			continue
		}
		if err := jobs.CheckName(named.value); err != nil {
			return usagef("%s: %w", named.flag, err)
		}
	}
	return firstError(checkTenant(f.tenant), f.checkName(), checkCount("--count", f.count, "no end"))
}

// checkName refuses what NATS does not take for a consumer.
func (f *watchFlags) checkName() error {
	if strings.ContainsFunc(f.name, func(c rune) bool {
		return unicode.IsSpace(c) || unicode.IsControl(c) || strings.ContainsRune(`.*>/\`, c)
	}) {
		return usagef("--name: %q cannot name a consumer of NATS: use letters, digits, '-' and '_'", f.name)
	}
	return nil
}

// lookUp asks the database whether there are such a route and such a batch, so
// that nobody waits for the events of one that never was. Where no database is at
// hand it says so in a note, and what the stream has of the batch.
func (f *watchFlags) lookUp(ctx context.Context, postgres string, js jetstream.JetStream, notes io.Writer) error {
	if f.route != "" {
		f.lookUpRoute(ctx, postgres, notes)
	}
	if f.batch == "" {
		return nil
	}
	batch, err := findBatch(ctx, postgres, f.batch)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("%w; `tidegate status` lists the newest batches", err)
	case err != nil:
		return f.lookInStream(ctx, js, notes, err)
	case batchFailed(&batch) != nil:
		return batchFailed(&batch)
	case batch.Ended() && !f.fromStart:
		fmt.Fprintf(notes, "Batch %s has ended (%s): a new watch of it needs --from-start to see its results.\n", batch.ID, batch.State)
	}
	return nil
}

// lookUpRoute notes a route that is not there. It may come, or have been: the
// stream is followed all the same.
func (f *watchFlags) lookUpRoute(ctx context.Context, postgres string, notes io.Writer) {
	if postgres == "" {
		return
	}
	pool, err := store.Connect(ctx, postgres, 1)
	if err != nil {
		return // the stream is what matters here
	}
	defer pool.Close()
	var unknown *queue.UnknownRouteError
	if errors.As(checkRoute(ctx, pool, f.route), &unknown) {
		fmt.Fprintf(notes, "%v. Waiting all the same.\n", unknown)
	}
}

var errNoDatabase = errors.New("no database is named")

func findBatch(ctx context.Context, postgres, id string) (jobs.Batch, error) {
	if postgres == "" {
		return jobs.Batch{}, errNoDatabase
	}
	pool, err := store.Connect(ctx, postgres, 1)
	if err != nil {
		return jobs.Batch{}, err
	}
	defer pool.Close()
	return store.New(pool).Batch(ctx, id)
}

// lookInStream says what the stream has of a batch that could not be looked up.
func (f *watchFlags) lookInStream(ctx context.Context, js jetstream.JetStream, notes io.Writer, why error) error {
	stream, err := js.Stream(ctx, publish.StreamName)
	if err != nil {
		return explainStream(err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(publish.ResultFilter(f.tenant, f.route, f.batch)))
	if err != nil {
		return explainStream(err)
	}
	if seen := len(info.State.Subjects); seen > 0 {
		fmt.Fprintf(notes, "The stream has %s of batch %s.\n", counted(seen, "result"), f.batch)
		return nil
	}
	fmt.Fprintf(notes, "Nothing of batch %s was seen yet, and whether there is such a batch is not known (%v). Waiting.\n", f.batch, why)
	return nil
}

// explainStream says what to do where the stream cannot be had.
func explainStream(err error) error {
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Errorf("there is no stream %s yet: start a worker, it makes the stream", publish.StreamName)
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("this NATS has no JetStream, which keeps the results: start it with `nats-server -js`, or name another with --nats-url: %w", err)
	case errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("this NATS has no JetStream for this account: allow it in the server's configuration, or use another account: %w", err)
	default:
		return fmt.Errorf("looking for the stream %s: %w", publish.StreamName, err)
	}
}
