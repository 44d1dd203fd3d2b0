package prices

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidegate/jobs"
)

// Formats that Import reads.
const (
	FormatAuto    = "auto"         // whichever it looks like
	FormatOwn     = "tidegate"     // what the package comment describes
	FormatLiteLLM = "litellm"      // model_prices_and_context_window.json
	FormatGenAI   = "genai-prices" // data.json, of either version
)

// Formats lists what Import may be told.
func Formats() []string { return []string{FormatAuto, FormatLiteLLM, FormatGenAI, FormatOwn} }

// An Imported is what came of the file of somebody else.
type Imported struct {
	Table   *Table
	Format  string
	Skipped map[string]int // models that were left out, by reason
}

// Reasons for which a model is left out.
const (
	skipMode     = "it neither writes text nor makes embeddings (images, speech, …)"
	skipVendor   = "no base_url is known of its vendor"
	skipUnpriced = "it has no price of input and output"
	skipZero     = "it costs nothing there, which mostly means that nobody knew"
	skipRange    = "its price cannot be right, or is given by another unit"
	skipRequest  = "it is billed by the request, too"
	skipHours    = "its price depends on the hour"
	skipTiers    = "its price changes at too many sizes, or is a list of ranges"
	skipName     = "it has no name of its own, only a rule that names match"
	skipTaken    = "another entry has the same name"
)

// Import reads prices of a format; now is the day from which prices hold that say no
// day themselves. A model that is no use is skipped and counted, and a file that is
// broken is refused whole: the error is an *Error then. Where a file says less than a
// table does, more is taken than less: cached tokens cost as others do, and work for
// later costs the full price above a size for which it names no other.
func Import(data []byte, format string, now time.Time) (Imported, error) {
	root, fault := parse(data)
	if fault != nil {
		return Imported{}, &Error{Faults: []Fault{*fault}}
	}
	if format == FormatAuto || format == "" {
		if format = looksLike(root); format == "" {
			return Imported{}, &Error{Faults: []Fault{{Line: root.line, Text: "this looks like no prices that are known: it is neither LiteLLM's file, nor that of genai-prices, nor a table of tidegate"}}}
		}
	}
	if format == FormatOwn {
		table, err := Parse(data)
		return Imported{Table: table, Format: format, Skipped: map[string]int{}}, err
	}
	in := importer{today: now.UTC().Truncate(24 * time.Hour), skipped: map[string]int{}, owners: map[string]owner{}}
	source := "LiteLLM's prices"
	switch format {
	case FormatLiteLLM:
		in.liteLLM(root)
	case FormatGenAI:
		source = "prices of genai-prices"
		in.genAI(root)
	default:
		return Imported{}, fmt.Errorf("format %q is not known; %s", format, didYouMean(format, Formats()))
	}
	if len(in.faults) == 0 && len(in.entries) == 0 {
		in.fault(root.line, "", "there is no model in it that could be used")
	}
	if len(in.faults) > 0 {
		return Imported{}, &Error{Faults: in.faults}
	}
	table := newTable(fmt.Sprintf("%s, imported on %s", source, in.today.Format(day)), in.entries)
	return Imported{Table: table, Format: format, Skipped: in.skipped}, nil
}

// looksLike tells the format by what only it has.
func looksLike(root *node) string {
	switch {
	case root.kind == object && root.get("version") != nil && root.get("prices") != nil:
		return FormatOwn
	case root.kind == list && len(root.items) > 0 && root.items[0].get("models") != nil:
		return FormatGenAI
	}
	for _, m := range root.members {
		if m.value.get("litellm_provider") != nil {
			return FormatLiteLLM
		}
	}
	return ""
}

// An importer collects entries.
type importer struct {
	today   time.Time
	entries []Entry
	owners  map[string]owner // by a name's key
	skipped map[string]int
	faults  []Fault
}

func (in *importer) skip(why string) { in.skipped[why]++ }

func (in *importer) fault(line int, entry, format string, args ...any) {
	in.faults = append(in.faults, Fault{Line: line, Entry: clipName(entry), Text: fmt.Sprintf(format, args...)})
}

// An owner is the model that a name belongs to.
type owner struct {
	id    string
	entry int // index of its first entry
}

// add takes an entry of the model id, that was checked. A name that belongs to another
// model stays with it. Of two models of the same name the first keeps it, but with
// dearest at the price of the dearer one.
func (in *importer) add(id string, e Entry, dearest bool) {
	first, taken := in.owners[key(e.Vendor, e.Model)]
	if taken && dearest {
		if old := &in.entries[first.entry]; dearer(e.Price, old.Price) {
			old.Price, old.Batch = e.Price, e.Batch
		}
		in.skip(skipTaken)
		return
	}
	others := func(name string) bool {
		first, taken := in.owners[key(e.Vendor, name)]
		return taken && first.id != id
	}
	names := slices.DeleteFunc(e.names(), others)
	e.Prefixes = slices.DeleteFunc(e.Prefixes, func(prefix string) bool { return others(prefix + "*") })
	if len(names) == 0 {
		in.skip(skipTaken)
		return
	}
	e.Model, e.Aliases = names[0], unique(names[1:], names[0])
	e.Prefixes = unique(e.Prefixes, "")
	for _, name := range e.names() {
		in.own(key(e.Vendor, name), id)
	}
	for _, prefix := range e.Prefixes {
		in.own(key(e.Vendor, prefix+"*"), id)
	}
	in.entries = append(in.entries, e)
}

func (in *importer) own(name, id string) {
	if _, taken := in.owners[name]; !taken {
		in.owners[name] = owner{id, len(in.entries)}
	}
}

// unique leaves out what is there already, whatever its case.
func unique(names []string, first string) []string {
	seen, kept := map[string]bool{strings.ToLower(first): true}, []string(nil)
	for _, name := range names {
		if low := strings.ToLower(name); !seen[low] {
			seen[low] = true
			kept = append(kept, name)
		}
	}
	return kept
}

func dearer(a, b jobs.Price) bool {
	return cmp.Or(cmp.Compare(a.Input, b.Input), cmp.Compare(a.Output, b.Output), cmp.Compare(a.CachedInput, b.CachedInput)) > 0
}

// usable refuses prices that a table would refuse, and says why; empty: it is one. Of
// embeddings it keeps the input's alone: some files repeat that as the output's.
func usable(p *jobs.Price, embeddings bool) string {
	if embeddings {
		*p = jobs.Price{Input: p.Input, CachedInput: p.Input}
	}
	switch {
	case p.Input == 0 && p.Output == 0:
		return skipZero
	case p.Output == 0 && !embeddings:
		return skipUnpriced
	}
	p.CachedInput = atMost(p.CachedInput, p.Input)
	for i := range p.Over {
		tier := &p.Over[i]
		if tier.Tokens > 0 && tier.Output == 0 {
			return skipUnpriced
		}
		tier.CachedInput = atMost(tier.CachedInput, tier.Input)
	}
	return ""
}

// atMost is a price of cached tokens: as that of others where there is none, or where
// it is dearer.
func atMost(cached, input jobs.MicroUSD) jobs.MicroUSD {
	if cached == 0 {
		return input
	}
	return min(cached, input)
}

// goodName tells whether a table takes a name.
func goodName(name string) bool {
	r := reader{}
	return r.text(&node{kind: text, said: name}, "") != ""
}
