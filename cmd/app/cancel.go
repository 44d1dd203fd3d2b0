package app

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

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
Cancelling twice does no harm.`,
		Example: `  tidegate cancel batch_01a20aa4c8c97515ab796077d867f88c
  tidegate cancel 01a20aa4-c8ca-75b5-a7d0-750cfcc3a7fe`,
		Args: arguments(1, 10_000, "one or more ids of batches or requests"),
		RunE: o.cancel,
	}
}

func (o *options) cancel(cmd *cobra.Command, ids []string) error {
	ctx := cmd.Context()
	pool, err := o.connect(ctx, 2)
	if err != nil {
		return err
	}
	defer pool.Close()
	s := store.New(pool)
	done := map[string]int{}
	for _, id := range ids {
		if strings.HasPrefix(id, "batch_") {
			if done[id], err = s.CancelBatch(ctx, id); err != nil {
				return err
			}
			continue
		}
		cancelled, err := s.CancelRequest(ctx, id)
		if err != nil {
			return err
		}
		if done[id] = 0; cancelled {
			done[id] = 1
		}
	}
	if o.json {
		return printJSON(cmd.OutOrStdout(), map[string]any{"cancelled": done})
	}
	for _, id := range ids {
		if done[id] == 0 {
			fmt.Fprintf(cmd.OutOrStdout(), "%s: nothing to cancel, every request has its result\n", id)
		} else {
			fmt.Fprintf(cmd.OutOrStdout(), "%s: cancelled %d\n", id, done[id])
		}
	}
	return nil
}
