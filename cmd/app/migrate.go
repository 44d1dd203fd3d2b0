package app

import (
	"fmt"

	"github.com/spf13/cobra"

	"tidegate/migrations"
	"tidegate/store"
)

func newMigrateCommand(o *options) *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:     "migrate",
		GroupID: groupRun,
		Short:   "Bring the database up to date, and tell producers the routes",
		Long: `migrate creates or updates River's and tidegate's tables in the schema
"tidegate" and touches nothing else. It may run at any time and any number of
times, also while workers work. With a configuration it also writes down the
routes that producers may name.`,
		Example: `  tidegate migrate --database-url postgres://app@db/app
  tidegate migrate --check     # exit code 1 if something is missing`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.migrate(cmd, check) },
	}
	cmd.Flags().BoolVar(&check, "check", false, "only say what is missing")
	return cmd
}

func (o *options) migrate(cmd *cobra.Command, check bool) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	config, _, err := o.loadConfig()
	if err != nil {
		return err
	}
	pool, err := o.connect(ctx, 4)
	if err != nil {
		return err
	}
	defer pool.Close()
	if check {
		pending, err := migrations.Pending(ctx, pool)
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
		return &quietError{fmt.Errorf("%d migrations are missing; run `tidegate migrate`", len(pending))}
	}
	return nil
}
