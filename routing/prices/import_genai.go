package prices

import (
	"math/big"
	"slices"
	"strings"
	"time"

	"tidegate/jobs"
)

// genAIVendors are its names of vendors, where ours differ.
var genAIVendors = map[string]string{"x-ai": "xai", "aws": "bedrock", "moonshotai": "moonshot"}

// genAI reads a list of vendors, each with its models.
func (in *importer) genAI(root *node) {
	if root.kind != list {
		in.fault(root.line, "", "the file of genai-prices is a list of vendors, not %s", root.kind)
		return
	}
	for _, vendor := range root.items {
		id, models := vendor.get("id"), vendor.get("models")
		if id == nil || id.kind != text || models == nil || models.kind != list {
			in.fault(vendor.line, "", "a vendor has an id and a list of models")
			continue
		}
		name := genAIVendors[id.said]
		if name == "" {
			name = id.said
		}
		for _, model := range models.items {
			if why := in.genAIModel(name, model); why != "" {
				in.skip(why)
			}
		}
	}
}

// genAIModel takes a model, or says why not.
func (in *importer) genAIModel(vendor string, model *node) string {
	id, match, all := model.get("id"), model.get("match"), model.get("prices")
	if id == nil || match == nil || all == nil {
		in.fault(model.line, vendor, "a model has an id, a match and prices")
		return ""
	}
	if !slices.Contains(Vendors(), vendor) {
		return skipVendor
	}
	var names, prefixes []string
	matched(match, &names, &prefixes)
	names, prefixes = slices.DeleteFunc(names, func(s string) bool { return !goodName(s) }), slices.DeleteFunc(prefixes, func(s string) bool { return !goodName(s) })
	if len(names) == 0 {
		names = prefixes
	}
	if len(names) == 0 {
		return skipName
	}
	if at := slices.Index(names, id.said); at > 0 {
		names[0], names[at] = names[at], names[0]
	}
	e := Entry{Vendor: vendor, Model: names[0], Aliases: names[1:], Embeddings: genAIEmbeds(id.said)}
	if window := model.get("context_window"); window != nil {
		r := reader{}
		if tokens := r.count(window, ""); len(r.faults) == 0 {
			e.ContextTokens = tokens
		}
	}
	dated, why := in.genAIDates(key(vendor, id.said), all)
	for _, d := range dated {
		e.From, e.Price, e.Prefixes = d.from, d.price, slices.Clone(prefixes)
		in.add(key(vendor, id.said), e, false)
	}
	return why
}

// genAIEmbeds tells whether a model makes embeddings, which the file says by its name
// alone.
func genAIEmbeds(id string) bool { return strings.Contains(strings.ToLower(id), "embed") }

// matched collects the names that a rule means, as far as it says names. Rules on
// parts of names, and patterns, are left out: other models may fit them.
func matched(rule *node, names, prefixes *[]string) {
	for _, m := range rule.members {
		switch {
		case m.key == "equals" && m.value.kind == text:
			*names = append(*names, m.value.said)
		case m.key == "starts_with" && m.value.kind == text:
			*prefixes = append(*prefixes, m.value.said)
		case m.key == "or" && m.value.kind == list:
			for _, item := range m.value.items {
				matched(item, names, prefixes)
			}
		}
	}
}

// A datedPrice holds from a day on.
type datedPrice struct {
	from  time.Time // zero: it always did
	price jobs.Price
}

// genAIDates reads a model's prices: that of today, and those that will hold. Later
// ones of the list win over earlier ones.
func (in *importer) genAIDates(model string, all *node) ([]datedPrice, string) {
	given := []*node{all}
	if all.kind == list {
		given = all.items
	}
	now := datedPrice{}
	var later []datedPrice
	for _, one := range given {
		d, terms := datedPrice{}, one
		if all.kind == list {
			terms = one.get("prices")
			constraint := one.get("constraint")
			if constraint != nil && (constraint.get("start_date") == nil || len(constraint.members) > 1) {
				return nil, skipHours
			}
			if constraint != nil {
				r := reader{}
				if d.from = r.date(constraint.get("start_date"), ""); len(r.faults) > 0 {
					in.fault(constraint.line, model, "start_date: %s", r.faults[0].Text)
					return nil, ""
				}
			}
		}
		if terms == nil || terms.kind != object {
			in.fault(one.line, model, "prices are an object")
			return nil, ""
		}
		var why string
		if d.price, why = in.genAIPrice(model, terms); why != "" {
			return nil, why
		}
		switch {
		case d.from.After(in.today):
			later = append(later, d)
		case !d.from.Before(now.from):
			now = d
		}
	}
	if !now.price.Known() {
		return later, ""
	}
	if now.from.IsZero() {
		now.from = in.today
	}
	return append([]datedPrice{now}, later...), ""
}

// genAIPrice reads one price, or says why it is none.
func (in *importer) genAIPrice(model string, terms *node) (jobs.Price, string) {
	if terms.get("requests_kcount") != nil {
		return jobs.Price{}, skipRequest
	}
	embeddings := genAIEmbeds(model)
	if terms.get("input_mtok") == nil || terms.get("output_mtok") == nil && !embeddings {
		return jobs.Price{}, skipUnpriced
	}
	read := rateReader{in: in, model: model, terms: terms, steps: map[string]map[int]jobs.MicroUSD{}}
	for _, name := range []string{"input_mtok", "cache_read_mtok", "output_mtok", "output_reasoning_mtok"} {
		read.rate(name)
	}
	slices.Sort(read.sizes)
	if len(read.sizes) > jobs.MaxTiers {
		return jobs.Price{}, skipTiers
	}
	base := read.tier(0)
	p := jobs.Price{Input: base.Input, CachedInput: base.CachedInput, Output: base.Output, Reasoning: base.Reasoning}
	for i, size := range read.sizes {
		p.Over[i] = read.tier(size)
	}
	if read.why != "" {
		return p, read.why
	}
	return p, usable(&p, embeddings)
}

// A rateReader reads the parts of a price, each with steps of its own.
type rateReader struct {
	in    *importer
	model string
	terms *node
	steps map[string]map[int]jobs.MicroUSD // by part, and by the size above which it holds
	sizes []int
	why   string
}

func (r *rateReader) rate(name string) {
	r.steps[name] = map[int]jobs.MicroUSD{}
	said := r.terms.get(name)
	if said == nil {
		return
	}
	if said.kind != object {
		r.steps[name][0] = r.amount(said, name)
		return
	}
	base, tiers := said.get("base"), said.get("tiers")
	if base == nil || tiers == nil || tiers.kind != list {
		r.in.fault(said.line, r.model, "%s has a base and tiers, or is a number", name)
		return
	}
	r.steps[name][0] = r.amount(base, name)
	for _, tier := range tiers.items {
		start, price := tier.get("start"), tier.get("price")
		if start == nil || price == nil {
			r.in.fault(tier.line, r.model, "a tier of %s has a start and a price", name)
			return
		}
		counted := reader{}
		size := counted.count(start, "")
		if len(counted.faults) > 0 {
			r.in.fault(start.line, r.model, "start of a tier of %s: %s", name, counted.faults[0].Text)
			return
		}
		r.steps[name][size] = r.amount(price, name)
		if !slices.Contains(r.sizes, size) {
			r.sizes = append(r.sizes, size)
		}
	}
}

func (r *rateReader) amount(n *node, name string) jobs.MicroUSD {
	if _, err := readDecimal(n.said); n.kind != number || err != nil {
		r.in.fault(n.line, r.model, "%s is no amount: %s", name, clip(n.said))
		return 0
	}
	value, err := nearestAmount(n.said, new(big.Rat).Set(million))
	if err != nil {
		r.why = skipRange
	}
	return value
}

// tier is what holds above a size: of each part the last step up to it.
func (r *rateReader) tier(size int) jobs.Tier {
	at := func(name string) jobs.MicroUSD {
		best := 0
		for step := range r.steps[name] {
			if step <= size {
				best = max(best, step)
			}
		}
		return r.steps[name][best]
	}
	t := jobs.Tier{Tokens: size, Input: at("input_mtok"), CachedInput: at("cache_read_mtok"), Output: at("output_mtok"), Reasoning: at("output_reasoning_mtok")}
	if t.Reasoning == t.Output {
		t.Reasoning = 0
	}
	return t
}
