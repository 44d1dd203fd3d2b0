package app

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newServeCommand(o *options) *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:     "serve",
		GroupID: groupRun,
		Short:   "Serve health and status over HTTP",
		Long: `serve answers over HTTP: /healthz (is it alive), /readyz (does Postgres
answer) and /v1/status (what "tidegate status --json" prints). It runs no jobs:
that is what "tidegate work" is for.`,
		Example: `  tidegate serve --listen 0.0.0.0:8080
  curl http://127.0.0.1:8080/v1/status`,
		Args:    noArguments,
		PreRunE: func(*cobra.Command, []string) error { return checkAddress("--listen", address) },
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.serve(cmd, address) },
	}
	cmd.Flags().StringVar(&address, "listen", DefaultListen, "address to listen on; wins over the configuration when given")
	return cmd
}

func (o *options) serve(cmd *cobra.Command, address string) error {
	ctx := cmd.Context()
	config, _, err := o.loadConfig()
	if err != nil {
		return err
	}
	pool, err := o.connect(ctx, 0)
	if err != nil {
		return err
	}
	defer pool.Close()
	if !cmd.Flags().Changed("listen") {
		address = config.Listen
	}
	listener, err := listen(ctx, "--listen", address)
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "listening on http://%s\n", listener.Addr())
	return serveHTTP(ctx, listener, newHealthHandler(pool))
}
