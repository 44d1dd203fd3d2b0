package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"tidegate/store"
)

func newWhyCommand(o *options) *cobra.Command {
	var batch string
	cmd := &cobra.Command{
		Use:     "why REQUEST",
		GroupID: groupUse,
		Short:   "Explain what became of a request, and why",
		Long: `why tells the story of one request: when it was accepted, which targets could
have been asked and how they were scored, which were passed over and for what
reason, what it waited for and what that was worth, each call with its class,
time, tokens and cost, and how it ended. Of a request that has not ended it says
where it is and what it waits for.

A request is named by its id, or by its custom_id with --batch.`,
		Example: `  tidegate why 01a20aa4-c8ca-75b5-a7d0-750cfcc3a7fe
  tidegate why net/http --batch batch_01a20aa4c8c97515ab796077d867f88c
  tidegate why 01a20aa4-c8ca-75b5-a7d0-750cfcc3a7fe --json | jq '.steps[].call.target'`,
		Args: arguments(1, 1, "the id of one request, or its custom_id with --batch"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.why(cmd, args[0], batch) },
	}
	cmd.Flags().StringVar(&batch, "batch", "", "the batch in which REQUEST is a custom_id")
	return cmd
}

func (o *options) why(cmd *cobra.Command, request, batch string) error {
	if batch == "" && store.IsBatchID(request) {
		return usagef("%s is a batch: name one of its requests, as in `tidegate why CUSTOM_ID --batch %s`", request, request)
	}
	pool, err := o.connect(cmd.Context(), 2)
	if err != nil {
		return err
	}
	defer pool.Close()
	view, err := explain(cmd.Context(), store.New(pool), request, batch)
	if err != nil {
		return err
	}
	if o.json {
		return printJSON(cmd.OutOrStdout(), view)
	}
	return view.write(cmd.OutOrStdout())
}

// explain reads the story of a request and puts it into words.
func explain(ctx context.Context, s *store.Store, request, batch string) (*whyView, error) {
	if batch != "" {
		if _, err := s.Batch(ctx, batch); err != nil {
			return nil, err
		}
		id, err := s.Named(ctx, batch, request)
		if err != nil {
			return nil, err
		}
		request = id
	}
	story, err := s.Story(ctx, request)
	if err != nil && !strings.Contains(request, "-") {
		return nil, fmt.Errorf("%w; a custom_id needs its --batch", err)
	}
	if err != nil {
		return nil, err
	}
	return newWhy(&story), nil
}
