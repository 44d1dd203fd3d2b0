package prices

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"tidegate/jobs"
)

// readEntry reads one entry. It reports false if anything is wrong with it.
func (r *reader) readEntry(n *node) (Entry, bool) {
	before := len(r.faults)
	if n.kind == object && n.get("vendor") != nil && n.get("model") != nil {
		r.entry = clipName(n.get("vendor").said + "/" + n.get("model").said)
	}
	if !r.want(n, "", object, "vendor", "model", "aliases", "prefixes", "from", "context_tokens", "endpoint", "usd_per_mtok", "batch_usd_per_mtok") {
		return Entry{}, false
	}
	var e Entry
	if v := r.need(n, "vendor", "name who sends the bill, as in openai"); v != nil {
		if e.Vendor = r.text(v, "vendor"); e.Vendor != "" && jobs.CheckName(e.Vendor) != nil {
			r.fault(v.line, "vendor", "%s cannot be a name: use a-z, 0-9, '-' and '_'", clip(e.Vendor))
		}
	}
	if m := r.need(n, "model", "write the model as the vendor calls it"); m != nil {
		e.Model = r.text(m, "model")
	}
	e.Aliases, e.Prefixes = r.texts(n.get("aliases"), "aliases"), r.texts(n.get("prefixes"), "prefixes")
	if d := r.need(n, "from", "write the day from which it holds, as in 2026-01-31"); d != nil {
		e.From = r.date(d, "from")
	}
	if c := n.get("context_tokens"); c != nil {
		e.ContextTokens = r.count(c, "context_tokens")
	}
	r.embeddings = false
	if made := n.get("endpoint"); made != nil {
		e.Embeddings = r.makesEmbeddings(made)
	}
	r.embeddings = e.Embeddings
	if p := r.need(n, "usd_per_mtok", `write what it costs, as in {"input": 0.25, "output": 2}`); p != nil {
		e.Price = r.price(p, "usd_per_mtok")
	}
	if p := n.get("batch_usd_per_mtok"); p != nil {
		e.Batch = r.price(p, "batch_usd_per_mtok")
		r.compare(p, &e)
	}
	if len(r.faults) == before {
		r.claim(n, &e)
	}
	return e, len(r.faults) == before
}

// makesEmbeddings reads what an entry says that its model is for.
func (r *reader) makesEmbeddings(n *node) bool {
	name := jobs.EndpointEmbeddings.Name()
	if said := r.text(n, "endpoint"); said != "" && said != name {
		r.fault(n.line, "endpoint", "%s is not %q; leave it out of a model that writes text", clip(said), name)
	}
	return n.said == name
}

func clipName(name string) string { return strings.Trim(clip(name), `"`) }

// claim refuses names that mean two prices on the same day.
func (r *reader) claim(n *node, e *Entry) {
	names := e.names()
	for _, prefix := range e.Prefixes {
		names = append(names, prefix+"*")
	}
	for _, name := range names {
		at := key(e.Vendor, name) + " " + e.From.Format(day)
		if line, taken := r.claimed[at]; taken {
			r.fault(n.line, "", "%s has a price from %s already, in line %d; a name has one price a day", clip(name), e.From.Format(day), line)
			continue
		}
		r.claimed[at] = n.line
	}
}

// compare refuses a price for later that is dearer than the one for now.
func (r *reader) compare(n *node, e *Entry) {
	for _, usage := range []struct {
		field string
		jobs.Usage
	}{{"input", jobs.Usage{Input: 1_000_000}}, {"output", jobs.Usage{Output: 1_000_000}}} {
		now := e.Price
		now.Over = [jobs.MaxTiers]jobs.Tier{}
		later := e.Batch
		later.Over = now.Over
		if now.Known() && later.Known() && later.Cost(usage.Usage) > now.Cost(usage.Usage) {
			r.fault(n.line, "batch_usd_per_mtok."+usage.field, "is dearer than the price without waiting: check both")
		}
	}
}

func (r *reader) date(n *node, field string) time.Time {
	if !r.want(n, field, text) {
		return time.Time{}
	}
	at, err := time.ParseInLocation(day, n.said, time.UTC)
	switch {
	case err != nil:
		r.fault(n.line, field, "%s is not a day like 2026-01-31", clip(n.said))
	case at.Before(earliest) || at.Year() > 2100:
		r.fault(n.line, field, "%s cannot be right: there were no such models, or will be", clip(n.said))
	}
	return at
}

// count is a number of tokens above zero.
func (r *reader) count(n *node, field string) int {
	if !r.want(n, field, number) {
		return 0
	}
	value, err := readDecimal(n.said)
	if err != nil || !value.IsInt() || value.Sign() == 0 || value.Cmp(big.NewRat(mostContext, 1)) > 0 {
		r.fault(n.line, field, "%s is not a number of tokens like 128000; leave it out if it is not known", clip(n.said))
		return 0
	}
	return int(value.Num().Int64())
}

func (r *reader) price(n *node, field string) jobs.Price {
	known := []string{"input", "cached_input", "output", "reasoning", "over", "free"}
	if r.embeddings {
		known = []string{"input", "free"}
	}
	if !r.want(n, field, object, known...) {
		return jobs.Price{}
	}
	if free := n.get("free"); free != nil {
		if !r.want(free, field+".free", flag) {
			return jobs.Price{}
		}
		if free.said != "true" || len(n.members) > 1 {
			r.fault(free.line, field+".free", `stands alone, as {"free": true}; what costs something has input and output instead`)
		}
		return jobs.Price{Free: true}
	}
	base := r.rates(n, field)
	p := jobs.Price{Input: base.Input, CachedInput: base.CachedInput, Output: base.Output, Reasoning: base.Reasoning}
	over := n.get("over")
	if over == nil || !r.want(over, field+".over", list) {
		return p
	}
	if len(over.items) > jobs.MaxTiers || len(over.items) == 0 {
		r.fault(over.line, field+".over", "has %d sizes; there may be 1 to %d, or it is left out", len(over.items), jobs.MaxTiers)
		return p
	}
	last := 0
	for i, item := range over.items {
		p.Over[i] = r.tier(item, fmt.Sprintf("%s.over[%d]", field, i), last)
		last = max(last, p.Over[i].Tokens)
	}
	return p
}

func (r *reader) tier(n *node, field string, last int) jobs.Tier {
	if !r.want(n, field, object, "tokens", "input", "cached_input", "output", "reasoning") {
		return jobs.Tier{}
	}
	t := r.rates(n, field)
	size := n.get("tokens")
	if size == nil {
		r.fault(n.line, field+".tokens", "is missing: say above which size of a prompt these prices hold, as in 200000")
		return t
	}
	if t.Tokens = r.count(size, field+".tokens"); t.Tokens > 0 && t.Tokens <= last {
		r.fault(size.line, field+".tokens", "%d is not above the size before it: write them by rising size", t.Tokens)
	}
	return t
}

// rates are the amounts of a price or a tier.
func (r *reader) rates(n *node, field string) jobs.Tier {
	amount := func(name string) (jobs.MicroUSD, bool) {
		said := n.get(name)
		if said == nil {
			return 0, false
		}
		if said.kind != number && said.kind != text {
			r.fault(said.line, field+"."+name, "must be a number, or a decimal in quotes, not %s", said.kind)
			return 0, true
		}
		value, err := exactAmount(said.said)
		if err != nil {
			r.fault(said.line, field+"."+name, "%v", err)
		}
		return value, true
	}
	before := len(r.faults)
	var t jobs.Tier
	has := map[string]bool{}
	for _, part := range []struct {
		name string
		into *jobs.MicroUSD
	}{{"input", &t.Input}, {"cached_input", &t.CachedInput}, {"output", &t.Output}, {"reasoning", &t.Reasoning}} {
		*part.into, has[part.name] = amount(part.name)
	}
	for _, name := range []string{"input", "output"} {
		if r.embeddings && name == "output" {
			continue
		}
		if !has[name] && !slices.ContainsFunc(n.members, func(m member) bool { return m.key == name }) {
			r.fault(n.line, field+"."+name, `is missing: write USD per million tokens; {"free": true} is what costs nothing`)
		}
	}
	if !has["cached_input"] {
		t.CachedInput = t.Input
	}
	if len(r.faults) == before {
		r.sane(n, field, t, has["reasoning"])
	}
	return t
}

// sane refuses amounts that a broken table is full of.
func (r *reader) sane(n *node, field string, t jobs.Tier, reasons bool) {
	switch {
	case t.Input == 0 && t.Output == 0:
		r.fault(n.line, field, `costs nothing, which mostly means that nobody knows: leave the entry out, or write {"free": true}`)
	case r.embeddings:
	case t.Output == 0:
		r.fault(n.get("output").line, field+".output", "is 0, and input is not: there is no such model that writes text")
	case t.CachedInput > t.Input:
		r.fault(n.get("cached_input").line, field+".cached_input", "is dearer than input: check both")
	case reasons && t.Reasoning == 0:
		r.fault(n.get("reasoning").line, field+".reasoning", "is 0: leave it out, and reasoning costs as output does")
	}
}
