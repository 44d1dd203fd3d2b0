package app

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tidegate/cmd/app/config"
	"tidegate/jobs"
	"tidegate/routing/prices"
)

func newPricesCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "prices",
		GroupID: groupRun,
		Short:   "Show what each target costs, and replace the table of prices",
		Long: `prices shows of each target of the configuration what it costs today, who says
so, and until when: the target's own price, else the table of prices, by the vendor
that its base_url belongs to and its model. A target without a price is a warning: its
calls are never taken for free, and requests with a max_cost are not sent to it.

The table is the file that prices: of the configuration names, else the one that
ships with this program.`,
		Example: `  tidegate prices
  tidegate prices show gpt-5
  tidegate prices import model_prices_and_context_window.json
  tidegate prices --json | jq '.targets[] | select(.known | not)'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conf, err := o.loadKeyless()
			if err != nil {
				return err
			}
			view := viewPrices(conf, time.Now())
			if o.json {
				return printJSON(cmd.OutOrStdout(), view)
			}
			return writePrices(cmd.OutOrStdout(), conf, view)
		},
	}
	cmd.AddCommand(newPricesShowCommand(o), newPricesImportCommand(o), newPricesCheckCommand(o))
	return cmd
}

// A pricesView is what JSON shows of the targets' prices.
type pricesView struct {
	Table   tableView    `json:"table"`
	Targets []pricedView `json:"targets"`
}

// A tableView says which table it is.
type tableView struct {
	File    string `json:"file,omitempty"` // empty: it ships with the program
	Source  string `json:"source"`
	Entries int    `json:"entries"`
}

// A pricedView is what one target costs.
type pricedView struct {
	Target        string     `json:"target"`
	Known         bool       `json:"known"`
	Free          bool       `json:"free"`
	Price         *priceView `json:"price"`                    // null: not known
	Says          string     `json:"says,omitempty"`           // configuration or table; empty: nobody
	Entry         string     `json:"entry,omitempty"`          // of the table, as in openai/gpt-5-mini
	Billing       string     `json:"billing"`                  // which price of the table it is
	From          string     `json:"from,omitempty"`           // day; empty: nobody says
	Until         string     `json:"until,omitempty"`          // day from which another price is known
	ContextTokens int        `json:"context_tokens,omitempty"` // zero: not known
	Warning       string     `json:"warning,omitempty"`
	Remedy        string     `json:"remedy,omitempty"`
}

// A priceView is a price as JSON shows it, in micro-USD per million tokens.
type priceView struct {
	Tokens      int           `json:"over_prompt_tokens,omitempty"` // of a tier
	Input       jobs.MicroUSD `json:"input_micro_usd_per_mtok"`
	CachedInput jobs.MicroUSD `json:"cached_input_micro_usd_per_mtok"`
	Output      jobs.MicroUSD `json:"output_micro_usd_per_mtok"`
	Reasoning   jobs.MicroUSD `json:"reasoning_micro_usd_per_mtok"`
	Over        []priceView   `json:"over,omitempty"`
}

func viewPrice(p jobs.Price) *priceView {
	if !p.Known() {
		return nil
	}
	view := viewTier(jobs.Tier{Input: p.Input, CachedInput: p.CachedInput, Output: p.Output, Reasoning: p.Reasoning})
	for _, tier := range p.Over {
		if tier.Tokens > 0 {
			view.Over = append(view.Over, viewTier(tier))
		}
	}
	return &view
}

func viewTier(t jobs.Tier) priceView {
	return priceView{Tokens: t.Tokens, Input: t.Input, CachedInput: t.CachedInput, Output: t.Output, Reasoning: cmp.Or(t.Reasoning, t.Output)}
}

func viewTable(c *config.Config) tableView {
	view := tableView{Source: c.PriceTable().Source(), Entries: len(c.PriceTable().Entries())}
	if c.Table != nil {
		view.File = c.PricesFile()
	}
	return view
}

func viewPrices(c *config.Config, now time.Time) pricesView {
	view := pricesView{Table: viewTable(c), Targets: []pricedView{}}
	for i := range c.Targets {
		t := &c.Targets[i]
		p := c.Pricing(t, now)
		one := pricedView{
			Target: t.Name, Known: p.Unknown == "", Free: p.Price.Free, Price: viewPrice(p.Price), Billing: t.Billing,
			ContextTokens: cmp.Or(t.ContextTokens, p.Found.ContextTokens), Warning: p.Unknown, Remedy: p.Remedy,
		}
		switch {
		case p.Own:
			one.Says = "configuration"
		case one.Known:
			one.Says, one.Entry, one.From = "table", p.Found.Name(), p.Found.From.Format(time.DateOnly)
		}
		if !p.Own && !p.Found.Next.IsZero() {
			one.Until = p.Found.Next.Format(time.DateOnly)
		}
		view.Targets = append(view.Targets, one)
	}
	return view
}

func writePrices(w io.Writer, c *config.Config, view pricesView) error {
	if len(view.Targets) == 0 {
		fmt.Fprintln(w, "No target is configured; `tidegate prices show MODEL` looks a model up.")
	} else {
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "TARGET\tUSD PER MILLION TOKENS\tWINDOW\tFROM\tUNTIL\tSAYS")
		for i, t := range view.Targets {
			says := cmp.Or(t.Says, "nobody")
			if t.Entry != "" {
				says = t.Entry
			}
			if t.Entry != "" && t.Billing != config.DefaultBilling {
				says += ", " + t.Billing
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", t.Target, config.SayPrice(c.Pricing(&c.Targets[i], time.Now()).Price), sayWindow(t.ContextTokens),
				cmp.Or(t.From, "-"), cmp.Or(t.Until, "-"), visible(says))
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "\nTable: %s\n", sayTable(view.Table))
	for _, t := range view.Targets {
		if !t.Known {
			fmt.Fprintf(w, "\nWarning: the price of %s is not known: %s.\n  → %s\n", t.Target, visible(t.Warning), visible(t.Remedy))
		}
	}
	return nil
}

func sayTable(t tableView) string {
	return fmt.Sprintf("%s, %s. %s", cmp.Or(t.File, "the one that ships"), counted(t.Entries, "price"), visible(t.Source))
}

func sayWindow(tokens int) string {
	if tokens == 0 {
		return "-"
	}
	return fmt.Sprint(tokens)
}

func newPricesCheckCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check a table of prices",
		Long: `check reads a table as a worker would, and says all that is wrong with it, with
lines. Without FILE it is the one that the configuration names. The exit code is 1 if
the table cannot be used.`,
		Example: `  tidegate prices check prices.json`,
		Args:    arguments(0, 1, "one FILE at most"),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.checkPrices(cmd, args) },
	}
}

func (o *options) checkPrices(cmd *cobra.Command, args []string) error {
	conf, err := o.loadBeside(prices.Shipped())
	if len(args) == 0 {
		if err != nil {
			return err
		}
		if conf.Prices == "" {
			return usagef("takes a FILE, since the configuration names none under prices:")
		}
		args = []string{conf.PricesFile()}
	}
	table, err := prices.Load(args[0])
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no such file: %s", args[0])
	}
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	view := tableView{File: args[0], Source: table.Source(), Entries: len(table.Entries())}
	if o.json {
		return printJSON(cmd.OutOrStdout(), view)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "It can be used: %s\n", sayTable(view))
	return err
}
