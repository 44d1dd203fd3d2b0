package app

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"tidegate/jobs/queue"
	"tidegate/store"
)

const (
	defaultEvery = 2 * time.Second
	leastEvery   = 200 * time.Millisecond
	// readWithin is how long a look may take; then the last one stands, and is said to be
	// old.
	readWithin = 10 * time.Second
)

// A hands is what a person may do from the live view.
type hands struct {
	pause, resume func(ctx context.Context, route string) error
}

func newHands(pool *pgxpool.Pool) (hands, error) {
	q, err := queue.New(pool)
	if err != nil {
		return hands{}, err
	}
	s := store.New(pool)
	return hands{
		pause: func(ctx context.Context, route string) error {
			return s.PauseByPerson(ctx, route, "", func(ctx context.Context, tx pgx.Tx) error { return q.PauseTx(ctx, tx, route) })
		},
		resume: func(ctx context.Context, route string) error {
			return s.ResumeByPerson(ctx, route, func(ctx context.Context, tx pgx.Tx) error { return q.ResumeTx(ctx, tx, route) })
		},
	}, nil
}

// watchStatus shows the status again and again until ctx ends: in place on a terminal
// that can do that, in lines elsewhere.
func (o *options) watchStatus(cmd *cobra.Command, pool *pgxpool.Pool, look *look, every time.Duration) error {
	ctx, done := whileRead(cmd.Context(), cmd.OutOrStdout())
	defer done()
	out, isFile := bare(cmd.OutOrStdout()).(*os.File)
	if o.json || !isFile || !redraws(out) || !isTerminal(os.Stdin) {
		return o.statusLines(ctx, cmd, look, every)
	}
	able, err := newHands(pool)
	if err != nil {
		return err
	}
	return runLive(ctx, newLive(ctx, look, able, every), os.Stdin, out)
}

// runLive has the terminal until the model says that it is done, or ctx ends. The
// terminal is what it was then, also after a panic.
func runLive(ctx context.Context, model tea.Model, in io.Reader, out io.Writer) error {
	program := tea.NewProgram(model, tea.WithInput(in), tea.WithOutput(out), tea.WithoutSignalHandler())
	stop := context.AfterFunc(ctx, program.Quit)
	defer stop()
	if _, err := program.Run(); err != nil {
		return fmt.Errorf("showing the status: %w", err)
	}
	return nil
}

// statusLines says the status in lines: as JSON, one object on each; else a line for each
// route, and for each target that is not as it should be.
func (o *options) statusLines(ctx context.Context, cmd *cobra.Command, look *look, every time.Duration) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if _, view, err := look.once(ctx); ctx.Err() != nil {
			return nil
		} else if err != nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "tidegate: %s; it is tried again\n", visible(err.Error()))
		} else if err := o.writeLook(cmd.OutOrStdout(), &view); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (o *options) writeLook(w io.Writer, view *statusView) error {
	if o.json {
		return printJSONLine(w, view)
	}
	return writeLines(w, view)
}

// writeLines writes how everything stands, a line for each.
func writeLines(w io.Writer, view *statusView) error {
	at := view.At.Local().Format("15:04:05")
	for i := range view.Routes {
		r := &view.Routes[i]
		line := fmt.Sprintf("%s  route %s: %s, %d wait, %d in hand", at, r.Route, r.State, r.Waiting, r.InHand)
		if r.Forecast != nil {
			line += ", " + r.Forecast.Text
		}
		if _, err := fmt.Fprintln(w, oneLine(line)); err != nil {
			return err
		}
	}
	for _, t := range view.Targets {
		if said := why(view.At, t); said != "-" {
			if _, err := fmt.Fprintln(w, oneLine(fmt.Sprintf("%s  target %s: %s: %s", at, t.Target, circuitState(view.At, t), said))); err != nil {
				return err
			}
		}
	}
	return nil
}
