package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tidegate/cmd/app/config"
	"tidegate/jobs"
	"tidegate/routing/prices"
)

func newPricesImportCommand(o *options) *cobra.Command {
	var in pricesImport
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Replace the table by LiteLLM's prices or those of genai-prices",
		Long: `import reads prices that others publish and writes them as a table, to the file
that prices: of the configuration names, or to --out. It knows LiteLLM's
model_prices_and_context_window.json, data.json of genai-prices, and tables of its
own. FILE may be - for the standard input.

It says how many models it took, which it left out and why, and what changes for the
configured targets. A file that is broken changes nothing, and the old table is
replaced as a whole. Neither file says the day from which most of its prices hold:
those hold from the day of the import.`,
		Example: `  tidegate prices import model_prices_and_context_window.json
  curl -s https://example.com/data.json | tidegate prices import - --out prices.json`,
		Args: arguments(1, 1, "one FILE, or - for the standard input"),
		PreRunE: func(*cobra.Command, []string) error {
			if !slices.Contains(prices.Formats(), in.format) {
				return usagef("--format: %q is not a format; %s", in.format, jobs.DidYouMean(in.format, prices.Formats()))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			in.from = args[0]
			return o.importPrices(cmd, in)
		},
	}
	cmd.Flags().StringVar(&in.format, "format", prices.FormatAuto, "format of FILE: "+strings.Join(prices.Formats(), ", "))
	cmd.Flags().StringVar(&in.out, "out", "", "file to write (default: the one that the configuration names under prices:)")
	return cmd
}

// A pricesImport is what import was asked for, and what came of it.
type pricesImport struct {
	from, format, out string
}

func (o *options) importPrices(cmd *cobra.Command, in pricesImport) error {
	conf, err := o.loadBeside(prices.Shipped())
	if err != nil {
		return err
	}
	if in.out == "" {
		in.out = conf.PricesFile()
	}
	if in.out == "" {
		return usagef("there is nowhere to write to: name a file with --out, or in the configuration as prices: prices.json")
	}
	data, err := readPrices(cmd.Context(), in.from, cmd.InOrStdin())
	if err != nil {
		return err
	}
	imported, err := prices.Import(data, in.format, time.Now())
	if err != nil {
		name := in.from
		if name == "-" {
			name = "the standard input"
		}
		return fmt.Errorf("%s: %w; nothing was changed", name, err)
	}
	old, was := oldTable(conf)
	changes := priceChanges(conf, old, imported.Table, time.Now())
	if err := imported.Table.Save(in.out); err != nil {
		return fmt.Errorf("%w; nothing was changed", err)
	}
	used := conf.Prices != "" && sameFile(in.out, conf.PricesFile())
	if o.json {
		return printJSON(cmd.OutOrStdout(), importView{
			File: in.out, Format: imported.Format, Source: imported.Table.Source(), Entries: len(imported.Table.Entries()),
			Skipped: imported.Skipped, Changes: changes, Used: used,
		})
	}
	writeImport(cmd.OutOrStdout(), imported, changes)
	fmt.Fprintf(cmd.OutOrStdout(), "Wrote %s.%s\n", in.out, was)
	if !used {
		fmt.Fprintf(cmd.OutOrStdout(), "The configuration does not name it: write prices: %s into it, for workers to use it.\n", in.out)
	}
	return nil
}

// readPrices reads a file, or the standard input, until ctx ends.
func readPrices(ctx context.Context, path string, stdin io.Reader) ([]byte, error) {
	if path == "-" {
		input := untilStopped(ctx, func() (io.Reader, error) { return stdin, nil })
		defer input.Close()
		data, err := prices.ReadAll(input)
		if err != nil {
			return nil, fmt.Errorf("reading prices from the standard input: %w", err)
		}
		return data, nil
	}
	data, err := config.ReadSmall(path, prices.MaxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no such file: %s; download it first, or name - for the standard input", path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading prices: %w", err)
	}
	return data, nil
}

// oldTable is what the configured targets were priced by, and what is to be said of it.
func oldTable(c *config.Config) (*prices.Table, string) {
	if c.Prices == "" {
		return prices.Shipped(), ""
	}
	table, err := prices.Load(c.PricesFile())
	switch {
	case err == nil:
		return table, ""
	case errors.Is(err, fs.ErrNotExist):
		return prices.Shipped(), ""
	default:
		return prices.Shipped(), " The table that was there could not be used."
	}
}

func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// An importView is an import as JSON shows it.
type importView struct {
	File    string         `json:"file"`
	Format  string         `json:"format"`
	Source  string         `json:"source"`
	Entries int            `json:"entries"`
	Skipped map[string]int `json:"skipped"` // models, by reason
	Changes []priceChange  `json:"changes"` // of the configured targets
	Used    bool           `json:"used"`    // the configuration names the file
}

// A priceChange is what a new table changes for a target.
type priceChange struct {
	Target string     `json:"target"`
	Old    *priceView `json:"old"` // null: not known
	New    *priceView `json:"new"` // null: not known
	said   string
}

func priceChanges(c *config.Config, old, fresh *prices.Table, now time.Time) []priceChange {
	before, after := *c, *c
	before.Table, after.Table = old, fresh
	changes := []priceChange{}
	for i := range c.Targets {
		t := &c.Targets[i]
		was, is := before.Pricing(t, now), after.Pricing(t, now)
		if was.Price == is.Price {
			continue
		}
		said := fmt.Sprintf("%s: %s → %s", t.Name, config.SayPrice(was.Price), config.SayPrice(is.Price))
		if is.Unknown != "" {
			said += fmt.Sprintf(": %s\n    → %s", is.Unknown, is.Remedy)
		}
		changes = append(changes, priceChange{t.Name, viewPrice(was.Price), viewPrice(is.Price), said})
	}
	return changes
}

func writeImport(w io.Writer, in prices.Imported, changes []priceChange) {
	fmt.Fprintf(w, "Took %s, as %s.\n", counted(len(in.Table.Entries()), "price"), in.Format)
	if len(in.Skipped) > 0 {
		total, reasons := 0, []string{}
		for reason, n := range in.Skipped {
			total += n
			reasons = append(reasons, reason)
		}
		slices.SortFunc(reasons, func(a, b string) int { return cmp.Or(in.Skipped[b]-in.Skipped[a], strings.Compare(a, b)) })
		fmt.Fprintf(w, "Left out %s:\n", counted(total, "model"))
		for _, reason := range reasons {
			fmt.Fprintf(w, "  %5d  %s\n", in.Skipped[reason], reason)
		}
	}
	if len(changes) == 0 {
		fmt.Fprintln(w, "No price of a configured target changes.")
		return
	}
	fmt.Fprintln(w, "What changes for the configured targets, in USD per million tokens:")
	for _, c := range changes {
		fmt.Fprintf(w, "  %s\n", visible(c.said))
	}
}
