package app

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tidegate/jobs"
	"tidegate/store"
)

func newCancelCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "cancel BATCH|REQUEST...",
		GroupID: groupUse,
		Short:   "End requests that have no answer yet",
		Long: `cancel ends every request of a batch, or single requests, that have no result
yet. Each gets a result of its own, in state "cancelled", and an event. A call
that is under way is not torn down: its answer is not kept, its cost is.
Cancelling twice does no harm. If one of several ids is not known, none is
cancelled.`,
		Example: `  tidegate cancel batch_01a20aa4c8c97515ab796077d867f88c
  tidegate cancel 01a20aa4-c8ca-75b5-a7d0-750cfcc3a7fe`,
		Args: arguments(1, 10_000, "one or more ids of batches or requests"),
		RunE: o.cancel,
	}
}

func (o *options) cancel(cmd *cobra.Command, args []string) error {
	ctx, ids := cmd.Context(), once(args)
	pool, err := o.connect(ctx, 2)
	if err != nil {
		return err
	}
	defer pool.Close()
	s := store.New(pool)
	if err := checkIDs(ctx, s, ids); err != nil {
		return fmt.Errorf("%w; nothing was cancelled", err)
	}
	done, err := cancelAll(ctx, s, ids)
	return errors.Join(o.reportCancelled(cmd.OutOrStdout(), ids, done, func(id string) string { return untouched(ctx, s, id) }), err)
}

// once is the ids in their order, each one time.
func once(ids []string) []string {
	seen := make(map[string]bool, len(ids))
	var different []string
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			different = append(different, id)
		}
	}
	return different
}

// checkIDs looks for every batch and request before any of them is touched.
func checkIDs(ctx context.Context, s *store.Store, ids []string) error {
	for _, id := range ids {
		var err error
		if store.IsBatchID(id) {
			_, err = s.Batch(ctx, id)
		} else {
			err = s.CheckRequest(ctx, id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// cancelAll returns how many requests were cancelled of each id, as far as it
// came.
func cancelAll(ctx context.Context, s *store.Store, ids []string) (map[string]int, error) {
	done := map[string]int{}
	for _, id := range ids {
		n, cancelled := 0, false
		var err error
		if store.IsBatchID(id) {
			n, err = s.CancelBatch(ctx, id)
		} else if cancelled, err = s.CancelRequest(ctx, id); cancelled {
			n = 1
		}
		if err == nil || n > 0 {
			done[id] = n
		}
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// untouched says why nothing of an id was cancelled.
func untouched(ctx context.Context, s *store.Store, id string) string {
	if store.IsBatchID(id) {
		switch batch, err := s.Batch(ctx, id); {
		case err != nil:
		case batchFailed(&batch) != nil:
			return "nothing to cancel, it has failed, and none of its lines was enqueued"
		case batch.State == jobs.BatchCancelling, batch.State == jobs.BatchCancelled && batch.Total == 0:
			return "cancelled before any of its lines was enqueued"
		}
	}
	return "nothing to cancel, every request has its result"
}

func (o *options) reportCancelled(out io.Writer, ids []string, done map[string]int, untouched func(id string) string) error {
	if o.json {
		return printJSON(out, map[string]any{"cancelled": done})
	}
	for _, id := range ids {
		switch n, reached := done[id]; {
		case !reached:
		case n == 0:
			fmt.Fprintf(out, "%s: %s\n", id, untouched(id))
		default:
			fmt.Fprintf(out, "%s: cancelled %d\n", id, n)
		}
	}
	return nil
}
