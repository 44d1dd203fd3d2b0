package app

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"tidegate/migrations"
	"tidegate/routing/prices"
	"tidegate/store"
)

func newMigrateCommand(o *options) *cobra.Command {
	var check bool
	var retire string
	cmd := &cobra.Command{
		Use:     "migrate",
		GroupID: groupRun,
		Short:   "Bring the database up to date, and tell producers the routes",
		Long: `migrate creates or updates River's and tidegate's tables in the schema
"tidegate" and touches nothing else. It may run at any time and any number of
times, also while workers work. With a configuration it also writes down the
routes that producers may name. A route that leaves the configuration stays,
since other workers may serve it still, until --retire takes it away: then
nothing new is accepted for it, and what waits is kept and shown by status.`,
		Example: `  tidegate migrate --database-url postgres://app@db/app
  tidegate migrate --check     # exit code 1 if something is missing
  tidegate migrate --retire old-summaries`,
		Args: noArguments,
		PreRunE: func(*cobra.Command, []string) error {
			if check && retire != "" {
				return usagef("--check only looks, so it does not go with --retire")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if retire != "" {
				return o.retire(cmd, retire)
			}
			return o.migrate(cmd, check)
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "only say what is missing")
	cmd.Flags().StringVar(&retire, "retire", "", "take this route away from producers, and do nothing else")
	return cmd
}

func (o *options) migrate(cmd *cobra.Command, check bool) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	config, err := o.loadBeside(prices.Shipped())
	if err != nil {
		return err
	}
	pool, err := o.connect(ctx, 4)
	if err != nil {
		return err
	}
	defer pool.Close()
	if check {
		pending, err := pendingMigrations(ctx, pool)
		if err != nil {
			return err
		}
		return o.reportPending(cmd, pending)
	}
	applied, err := migrations.Up(ctx, pool)
	if err != nil {
		return err
	}
	_, routes := config.Build()
	if err := store.New(pool).SaveRoutes(ctx, routes); err != nil {
		return err
	}
	if err := store.New(pool).FileBudgets(ctx, config.Budgets()); err != nil {
		return err
	}
	if o.json {
		return printJSON(out, map[string]any{"applied": append([]string{}, applied...), "routes": len(routes)})
	}
	for _, name := range applied {
		fmt.Fprintln(out, "applied", name)
	}
	if len(applied) == 0 {
		fmt.Fprintln(out, "the database was up to date")
	}
	return nil
}

// retire takes a route away from producers.
func (o *options) retire(cmd *cobra.Command, route string) error {
	config, err := o.loadBeside(prices.Shipped())
	if err != nil {
		return err
	}
	for _, r := range config.Routes {
		if r.Name == route {
			return usagef("--retire: the configuration has the route %q, so the next worker would announce it again: take it out there first", route)
		}
	}
	pool, err := o.connect(cmd.Context(), 2)
	if err != nil {
		return err
	}
	defer pool.Close()
	waiting, err := store.New(pool).RetireRoute(cmd.Context(), route)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%w; `tidegate status` lists the routes", err)
	}
	if err != nil {
		return err
	}
	if o.json {
		return printJSON(cmd.OutOrStdout(), map[string]any{"retired": route, "waiting": waiting})
	}
	fmt.Fprintf(cmd.OutOrStdout(), "Route %s is retired: nothing new is accepted for it. It has %s left, which a worker that serves it works.\n",
		route, counted(waiting, "request"))
	return nil
}

func (o *options) reportPending(cmd *cobra.Command, pending []string) error {
	out := cmd.OutOrStdout()
	switch {
	case o.json:
		if err := printJSON(out, map[string]any{"pending": append([]string{}, pending...)}); err != nil {
			return err
		}
	case len(pending) == 0:
		fmt.Fprintln(out, "the database is up to date")
	default:
		for _, name := range pending {
			fmt.Fprintln(out, "missing", name)
		}
	}
	if len(pending) > 0 {
		return fmt.Errorf("%s: run `tidegate migrate`", missingMigrations(len(pending)))
	}
	return nil
}
