package config

import (
	"fmt"
	"strings"
	"time"

	"tidegate/jobs"
	"tidegate/routing/prices"
)

// A Pricing is what a target costs, and who says so.
type Pricing struct {
	Price         jobs.Price
	Own           bool         // the target's configuration says it
	vendor, model string       // as the table calls them; empty: no vendor is known
	Found         prices.Found // of the table; zero: it says nothing
	Unknown       string       // why nobody knows the price; empty: somebody does
	Remedy        string       // of that
}

// Pricing finds out what a target costs at a time: what its configuration says, else
// what the table says of the vendor that its base URL belongs to. A model's name alone
// is no price: one's own server may call a model as it likes.
func (c *Config) Pricing(t *Target, now time.Time) Pricing {
	p := Pricing{vendor: prices.VendorOf(t.BaseURL), model: t.Model}
	if t.PricedAs != "" {
		p.vendor, p.model, _ = strings.Cut(t.PricedAs, "/")
	}
	found, ok := c.PriceTable().Find(p.vendor, p.model, now)
	p.Found = found
	switch {
	case t.Price != nil:
		p.Price, p.Own = t.Price.price(), true
	case !ok:
		p.Unknown, p.Remedy = c.noPrice(&p)
	case found.Embeddings && !t.embedsOnly():
		p.Unknown = fmt.Sprintf("the table's price of %s is of embeddings, and the target serves %s", found.Name(), strings.Join(t.Endpoints, ", "))
		p.Remedy = "write endpoints: [embeddings], or add price: {input: …, output: …} in USD per million tokens"
	case t.Billing == billingBatch && !found.Batch.Known():
		p.Unknown = fmt.Sprintf("the table has no batch price of %s", found.Name())
		p.Remedy = "add price: {input: …, output: …} in USD per million tokens, or leave billing out"
	case t.Billing == billingBatch:
		p.Price = found.Batch
	default:
		p.Price = found.Price
	}
	return p
}

// noPrice says why the table has no price for a target, and what to do.
func (c *Config) noPrice(p *Pricing) (why, remedy string) {
	const byHand = "add price: {input: …, output: …} in USD per million tokens"
	models := c.PriceTable().Models(p.vendor)
	switch near := jobs.Nearest(p.model, models); {
	case !p.Found.Next.IsZero():
		return fmt.Sprintf("the table has a price of %s/%s from %s only", p.vendor, p.model, dayOf(p.Found.Next)), byHand
	case p.vendor == "":
		return "its base_url belongs to no vendor of the table", byHand + ", {input: 0, output: 0} if it costs nothing, or priced_as: VENDOR/MODEL"
	case len(models) == 0:
		return fmt.Sprintf("the table has no prices of %s", p.vendor), byHand + ", or priced_as: VENDOR/MODEL"
	case near != "":
		return fmt.Sprintf("the table has no price of %s/%s", p.vendor, p.model), fmt.Sprintf("%s, or priced_as: %s/%s if it costs the same", byHand, p.vendor, near)
	default:
		return fmt.Sprintf("the table has no price of %s/%s", p.vendor, p.model), byHand + ", or priced_as: VENDOR/MODEL"
	}
}

// NextPrice is when the table has another price for one of the targets; zero: it says
// nothing of that.
func (c *Config) NextPrice(now time.Time) time.Time {
	var next time.Time
	for i := range c.Targets {
		p := c.Pricing(&c.Targets[i], now)
		if begins := p.Found.Next; !p.Own && !begins.IsZero() && (next.IsZero() || begins.Before(next)) {
			next = begins
		}
	}
	return next
}

func dayOf(t time.Time) string { return t.Format(time.DateOnly) }

// SayPrice writes a price as a person reads it, in USD per million tokens.
func SayPrice(p jobs.Price) string {
	if p.Free {
		return "free"
	}
	if !p.Known() {
		return "unknown"
	}
	said := sayRates(jobs.Tier{Input: p.Input, CachedInput: p.CachedInput, Output: p.Output, Reasoning: p.Reasoning})
	for _, tier := range p.Over {
		if tier.Tokens > 0 {
			said += fmt.Sprintf("; over %d tokens %s", tier.Tokens, sayRates(tier))
		}
	}
	return said
}

func sayRates(t jobs.Tier) string {
	said := fmt.Sprintf("%s in", t.Input)
	if t.CachedInput != t.Input {
		said += fmt.Sprintf(", %s cached", t.CachedInput)
	}
	if t.Output != 0 || t.Input == 0 { // or else it is of embeddings
		said += fmt.Sprintf(", %s out", t.Output)
	}
	if t.Reasoning != 0 && t.Reasoning != t.Output {
		said += fmt.Sprintf(", %s reasoning", t.Reasoning)
	}
	return said
}
