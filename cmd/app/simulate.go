package app

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"tidegate/cmd/app/config"
	"tidegate/routing/simulator"
)

// defaultSimulate is where `simulate` listens, and what compose files use.
const defaultSimulate = "127.0.0.1:8090"

func newSimulateCommand(o *options) *cobra.Command {
	var address, script string
	cmd := &cobra.Command{
		Use:     "simulate",
		GroupID: groupTry,
		Short:   "Run simulated LLM providers that fail on command",
		Long: `simulate serves LLM providers over real HTTP: they answer with a summary of the
document they were sent, count tokens, keep limits, and fail as real ones do,
by a script or on command. Without --script there are three: cheap, fast, dear.
The base URL of a target is http://ADDRESS/NAME/v1, with dialect gemini /v1beta.

A script says which providers there are, in which dialect (openai, anthropic or
gemini), and what befalls them when:
  providers:
    - {name: claude, dialect: anthropic, latency: {median: 400ms, p99: 2s}}
    - name: gemini
      dialect: gemini
      limits: {requests_per_minute: 600}
      script: [{at: 2m, mode: unavailable, for: 3m}]

Faults are commanded over HTTP, "*" for all providers:
  curl -X PUT  http://ADDRESS/_simulator/providers/cheap/fault -d '{"mode":"unavailable","for":"2m"}'
  curl -X DELETE http://ADDRESS/_simulator/providers/cheap/fault
  curl http://ADDRESS/_simulator
and so is how many calls a second a provider takes (also "capacity:" of a script):
  curl -X PUT  http://ADDRESS/_simulator/providers/cheap/capacity -d '{"per_second":8,"announces":true}'`,
		Example: `  tidegate simulate
  tidegate simulate --listen 0.0.0.0:8090 --script drill.yaml`,
		Args:    noArguments,
		PreRunE: func(*cobra.Command, []string) error { return checkAddress("--listen", address) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := simulatorConfig(script)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("listen") || config.Listen == "" {
				config.Listen = address
			}
			server, err := simulator.New(config)
			if err != nil {
				return fmt.Errorf("--script: %w", err)
			}
			err = server.Listen()
			if errors.Is(err, syscall.EADDRINUSE) {
				return taken("--listen", config.Listen)
			}
			if err != nil {
				return err
			}
			if err := o.sayProviders(cmd, server); err != nil {
				return err
			}
			return server.Run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&address, "listen", defaultSimulate, "address to listen on")
	cmd.Flags().StringVar(&script, "script", "", "YAML file of providers, limits and faults")
	return cmd
}

// sayProviders says where each provider listens.
func (o *options) sayProviders(cmd *cobra.Command, server *simulator.Server) error {
	urls := map[string]string{}
	for _, name := range server.Names() {
		if urls[name] = server.BaseURL(name); !o.json {
			fmt.Fprintf(cmd.ErrOrStderr(), "%-8s %s\n", name, urls[name])
		}
	}
	if o.json {
		return printJSON(cmd.OutOrStdout(), urls)
	}
	return nil
}

// simulatorConfig reads a script, or gives the three providers that
// DefaultSimulated routes to.
func simulatorConfig(path string) (simulator.Config, error) {
	if path == "" {
		return defaultProviders(), nil
	}
	var script simulator.Config
	data, err := config.ReadSmall(path, config.MaxBytes)
	if err != nil {
		return script, fmt.Errorf("reading the script: %w", err)
	}
	if err := yaml.UnmarshalWithOptions(data, &script, yaml.Strict()); err != nil {
		return script, fmt.Errorf("%s: %s", path, yaml.FormatError(err, false, true))
	}
	return script, nil
}

// defaultProviders are slow and cheap, quick and dear, and in between.
func defaultProviders() simulator.Config {
	provider := func(name, model string, median, p99 time.Duration) simulator.Provider {
		return simulator.Provider{Name: name, Models: []string{model}, ContextTokens: 128_000, Latency: simulator.Latency{Median: median, P99: p99}}
	}
	return simulator.Config{Providers: []simulator.Provider{
		provider("cheap", "sim-small", 900*time.Millisecond, 3*time.Second),
		provider("fast", "sim-medium", 250*time.Millisecond, 800*time.Millisecond),
		provider("dear", "sim-large", 400*time.Millisecond, 1500*time.Millisecond),
	}}
}
