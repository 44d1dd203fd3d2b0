package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tidegate/jobs"
	"tidegate/routing/prices"
)

const (
	// Prices outside of these, in USD per million tokens, were most likely
	// meant in another unit.
	leastPrice, mostPrice = 0.001, 1000.0
	// finestPrice is a micro-USD: less would be taken for nothing.
	finestPrice = 0.000001
	// billingBatch chooses the price of work that the vendor may do later.
	billingBatch = "batch"
)

// billings are the choices of billing.
var billings = []string{DefaultBilling, billingBatch}

// PricesFile is where the table of prices is, or will be; empty: none is named. A
// relative path is looked for beside the configuration.
func (c *Config) PricesFile() string {
	if c.Prices == "" || filepath.IsAbs(c.Prices) {
		return c.Prices
	}
	return filepath.Join(filepath.Dir(c.File), c.Prices)
}

// PriceTable is what the configuration's prices are looked up in.
func (c *Config) PriceTable() *prices.Table {
	if c.Table != nil {
		return c.Table
	}
	return prices.Shipped()
}

// readPrices reads the table that the file names. A broken one is a problem: it would
// be worse to begin with other prices than those that were meant.
func (r *reader) readPrices(c *Config, known Known) {
	const field, orShips = "prices", "or leave prices out for the table that ships"
	if c.Prices == "" {
		if r.given(field) {
			r.problem(field, "is empty: name a file, %s", orShips)
		}
		return
	}
	load := known.Prices
	if load == nil {
		load = r.loadPrices
	}
	refuse := r.problem
	if known.Before != nil { // or else a broken table would keep a mended key out
		refuse = func(field, format string, args ...any) { r.warn(field, format+"; the prices of before stay", args...) }
		c.Table = known.Before.Table
	}
	path := c.PricesFile()
	table, err := load(path)
	var broken *prices.Error
	switch {
	case err == nil:
		c.Table = table
	case errors.Is(err, fs.ErrNotExist):
		refuse(field, "%s is not there: `tidegate prices import FILE` makes it, %s", r.shown(field, c.Prices), orShips)
	case errors.As(err, &broken):
		refuse(field, "%s cannot be used: %s; `tidegate prices check` lists all that is wrong with it", r.shown(field, c.Prices), broken.Faults[0])
	default:
		refuse(field, "%s cannot be read as prices: it must be a file of at most %d bytes", r.shown(field, c.Prices), prices.MaxBytes)
	}
}

// loadPrices reads a table from a file that is part of the configuration: when it
// changes, so do the prices of a worker that runs.
func (r *reader) loadPrices(path string) (*prices.Table, error) {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		r.missing(path, prices.MaxBytes)
		return nil, cmp.Or(err, errors.New("it is no file"))
	}
	text, err := r.readFile(path, prices.MaxBytes)
	if err != nil {
		return nil, err
	}
	return prices.Parse(text)
}

// checkPricing checks what the file says of a target's price, and warns if nobody knows
// one.
func (r *reader) checkPricing(c *Config, t *Target, at string) {
	if !slices.Contains(billings, t.Billing) {
		r.problem(at+".billing", "unknown choice %s; %s", r.shown(at+".billing", t.Billing), jobs.DidYouMean(t.Billing, billings))
	}
	if vendor, model, ok := strings.Cut(t.PricedAs, "/"); t.PricedAs != "" && (!ok || vendor == "" || model == "") {
		r.problem(at+".priced_as", "%s is not VENDOR/MODEL, as in openai/gpt-5-mini", r.shown(at+".priced_as", t.PricedAs))
		return
	}
	if r.broken[at+".price"] || r.broken["prices"] {
		return
	}
	if t.Price != nil {
		r.checkPrice(t, at+".price")
		if t.Billing == billingBatch {
			r.warn(at+".billing", "changes nothing: the target has a price of its own, and that holds")
		}
		if t.PricedAs != "" {
			r.warn(at+".priced_as", "changes nothing: the target has a price of its own, and that holds")
		}
		return
	}
	p := c.Pricing(t, time.Now())
	if p.Unknown != "" && (r.places[at+".model"].hidden || r.places[at+".priced_as"].hidden) {
		p.Unknown, p.Remedy = "the table has no price of its model", "add price: {input: …, output: …} in USD per million tokens, or priced_as: VENDOR/MODEL"
	}
	if p.Unknown != "" {
		r.warn(at+".price", "is not known, so nobody can say what this target costs: %s; %s", p.Unknown, p.Remedy)
	}
}

func (r *reader) checkPrice(t *Target, at string) {
	p, parts := t.Price, []string{"input", "output"}
	if t.embedsOnly() {
		parts = parts[:1]
	}
	r.checkRates(at, Over{0, p.Input, p.CachedInput, p.Output, p.Reasoning}, parts)
	if len(p.Over) > jobs.MaxTiers {
		r.problem(at+".over", "has %d sizes; there may be %d at most", len(p.Over), jobs.MaxTiers)
	}
	last := 0
	for i, over := range p.Over {
		field := fmt.Sprintf("%s.over[%d]", at, i)
		switch {
		case over.Tokens <= 0:
			r.problem(field+".tokens", "say above which size of a prompt these prices hold, as in 200000")
		case over.Tokens <= last:
			r.problem(field+".tokens", "%d is not above the size before it: write them by rising size", over.Tokens)
		}
		last = max(last, over.Tokens)
		r.checkRates(field, over, parts)
	}
}

// checkRates checks the amounts of a price. Parts of it must be there, input and output
// but for embeddings: a price of nothing is one that somebody wrote.
func (r *reader) checkRates(at string, rates Over, parts []string) {
	faulty := func() bool {
		for field := range r.broken {
			if strings.HasPrefix(field, at+".") {
				return true
			}
		}
		return false
	}
	for _, name := range parts {
		if field := at + "." + name; !r.given(field) && !faulty() {
			r.problem(field, "is missing: a price has input and output, in USD per million tokens; both are 0 for what is free")
		}
	}
	r.checkAmount(at+".input", rates.Input)
	r.checkAmount(at+".output", rates.Output)
	if rates.CachedInput != nil {
		r.checkAmount(at+".cached_input", *rates.CachedInput)
		if *rates.CachedInput > rates.Input {
			r.warn(at+".cached_input", "is dearer than input: check both")
		}
	}
	if rates.Reasoning != nil {
		r.checkAmount(at+".reasoning", *rates.Reasoning)
		if *rates.Reasoning == 0 && rates.Output != 0 {
			r.problem(at+".reasoning", "must be above zero; leave it out, and reasoning costs as output does")
		}
	}
}

// checkAmount checks US dollars per million tokens.
func (r *reader) checkAmount(field string, dollars float64) {
	switch {
	case dollars < 0:
		r.problem(field, "must not be below zero")
	case dollars > 1e6:
		r.problem(field, "is over a million dollars; write USD per million tokens")
	case dollars > 0 && dollars < finestPrice:
		r.problem(field, "%g is next to nothing; write USD per million tokens, not per token", dollars)
	case dollars > 0 && (dollars < leastPrice || dollars > mostPrice):
		r.warn(field, "%g USD per million tokens is unusual: check the unit", dollars)
	}
}

// price is a price as routing knows it.
func (p *Price) price() jobs.Price {
	base := Over{0, p.Input, p.CachedInput, p.Output, p.Reasoning}.tier()
	price := jobs.Price{Input: base.Input, CachedInput: base.CachedInput, Output: base.Output, Reasoning: base.Reasoning}
	for i, over := range p.Over {
		price.Over[i] = over.tier()
	}
	price.Free = price == jobs.Price{}
	return price
}

func (o Over) tier() jobs.Tier {
	t := jobs.Tier{Tokens: o.Tokens, Input: jobs.USD(o.Input), CachedInput: jobs.USD(o.Input), Output: jobs.USD(o.Output)}
	if o.CachedInput != nil {
		t.CachedInput = jobs.USD(*o.CachedInput)
	}
	if o.Reasoning != nil {
		t.Reasoning = jobs.USD(*o.Reasoning)
	}
	return t
}

// setPrice gives a target its price, and the context window if the file does not say
// it.
func (t *Target) setPrice(target *jobs.Target, p Pricing) {
	target.Price = p.Price
	target.ContextTokens = cmp.Or(t.ContextTokens, p.Found.ContextTokens)
}
