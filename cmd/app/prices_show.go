package app

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tidegate/cmd/app/config"
	"tidegate/jobs"
	"tidegate/routing/prices"
)

func newPricesShowCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "show [MODEL]",
		Short: "Show what the table says of models",
		Long: `show lists the entries of the table whose vendor/model or alias has MODEL in it, or
that MODEL means: gpt-5-mini-2025-08-07 means gpt-5-mini. Without MODEL it lists the
whole table. A model may have several prices, each from a day on.`,
		Example: `  tidegate prices show gpt-5-mini
  tidegate prices show anthropic/ --json`,
		Args: arguments(0, 1, "a part of a model's name, or nothing"),
		RunE: func(cmd *cobra.Command, args []string) error {
			conf, err := o.loadKeyless()
			if err != nil {
				return err
			}
			part := strings.Join(args, "")
			found := lookUp(conf.PriceTable(), part)
			if len(found) == 0 {
				return fmt.Errorf("the table has no %q; %s", part, nearestModel(conf.PriceTable(), part))
			}
			views := viewEntries(conf.PriceTable(), found, time.Now())
			if o.json {
				return printJSON(cmd.OutOrStdout(), map[string]any{"table": viewTable(conf), "prices": views})
			}
			if err := writeEntries(cmd.OutOrStdout(), found, views); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "\nTable: %s\n", sayTable(viewTable(conf)))
			return err
		},
	}
}

// lookUp finds the entries that somebody may mean.
func lookUp(table *prices.Table, part string) []prices.Entry {
	vendors := map[string]bool{}
	low := strings.ToLower(part)
	all := table.Entries()
	found := slices.DeleteFunc(slices.Clone(all), func(e prices.Entry) bool {
		vendors[e.Vendor] = true
		has := func(name string) bool { return strings.Contains(strings.ToLower(e.Vendor+"/"+name), low) }
		return !has(e.Model) && !slices.ContainsFunc(e.Aliases, has)
	})
	if len(found) > 0 {
		return found
	}
	for vendor := range vendors {
		found = append(found, table.History(vendor, strings.TrimPrefix(part, vendor+"/"))...)
	}
	slices.SortFunc(found, func(a, b prices.Entry) int {
		return cmp.Or(cmp.Compare(a.Name(), b.Name()), a.From.Compare(b.From))
	})
	return found
}

func nearestModel(table *prices.Table, part string) string {
	var names []string
	for _, e := range table.Entries() {
		names = append(names, e.Model, e.Name())
	}
	if near := jobs.DidYouMean(part, names); strings.HasPrefix(near, "did you") {
		return near
	}
	return "`tidegate prices show` lists it all"
}

// An entryView is an entry as JSON shows it.
type entryView struct {
	Vendor        string     `json:"vendor"`
	Model         string     `json:"model"`
	Aliases       []string   `json:"aliases,omitempty"`
	Prefixes      []string   `json:"prefixes,omitempty"`
	From          string     `json:"from"`
	Holds         string     `json:"holds"` // now, no more, or not yet
	ContextTokens int        `json:"context_tokens,omitempty"`
	Free          bool       `json:"free"`
	Price         *priceView `json:"price"`
	Batch         *priceView `json:"batch"` // null: not known
}

func viewEntries(table *prices.Table, entries []prices.Entry, now time.Time) []entryView {
	views := make([]entryView, len(entries))
	for i, e := range entries {
		views[i] = entryView{
			Vendor: e.Vendor, Model: e.Model, Aliases: e.Aliases, Prefixes: e.Prefixes, From: e.From.Format(time.DateOnly), Holds: "no more",
			ContextTokens: e.ContextTokens, Free: e.Price.Free, Price: viewPrice(e.Price), Batch: viewPrice(e.Batch),
		}
		holds, ok := table.Find(e.Vendor, e.Model, now)
		switch {
		case ok && holds.From.Equal(e.From):
			views[i].Holds = "now"
		case e.From.After(now):
			views[i].Holds = "not yet"
		}
	}
	return views
}

func writeEntries(w io.Writer, entries []prices.Entry, views []entryView) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "VENDOR/MODEL\tFROM\tHOLDS\tWINDOW\tUSD PER MILLION TOKENS\tBATCH")
	for i, v := range views {
		batch := "-"
		if entries[i].Batch.Known() {
			batch = config.SayPrice(entries[i].Batch)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", visible(entries[i].Name()), v.From, v.Holds, sayWindow(v.ContextTokens), config.SayPrice(entries[i].Price), batch)
	}
	return table.Flush()
}
