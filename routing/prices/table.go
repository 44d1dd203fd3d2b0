package prices

import (
	"cmp"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"tidegate/jobs"
)

// A Table is what models cost. It is not changed once it was read, so it is safe for
// concurrent use.
type Table struct {
	source   string
	entries  []Entry            // by vendor, model and date
	named    map[string][]int   // entries by vendor and name, the earliest first
	prefixes map[string][]begin // by vendor, the longest first
}

// A begin is how names of a model's begin.
type begin struct {
	prefix string
	name   string // of named
}

// An Entry is what one model costs from a day on.
type Entry struct {
	Vendor        string
	Model         string
	Aliases       []string
	Prefixes      []string
	From          time.Time // a day, in UTC
	ContextTokens int       // zero: not known
	Embeddings    bool      // the model makes embeddings and writes no text: its prices are of the input alone
	Price         jobs.Price
	Batch         jobs.Price // for work that the vendor may do later; the zero price: nobody knows
}

// Name is how messages call the entry.
func (e *Entry) Name() string { return e.Vendor + "/" + e.Model }

// names are the model and its aliases.
func (e *Entry) names() []string { return append([]string{e.Model}, e.Aliases...) }

// newTable indexes entries that were checked.
func newTable(source string, entries []Entry) *Table {
	t := &Table{source: source, entries: slices.Clone(entries), named: map[string][]int{}, prefixes: map[string][]begin{}}
	slices.SortStableFunc(t.entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Vendor, b.Vendor), cmp.Compare(strings.ToLower(a.Model), strings.ToLower(b.Model)), a.From.Compare(b.From))
	})
	for i := range t.entries {
		e := &t.entries[i]
		e.Aliases, e.Prefixes = append([]string(nil), e.Aliases...), append([]string(nil), e.Prefixes...) // nil where there are none
		for _, name := range e.names() {
			t.index(key(e.Vendor, name), i)
		}
		for _, prefix := range e.Prefixes {
			at := "*" + key(e.Vendor, prefix)
			if len(t.named[at]) == 0 {
				t.prefixes[e.Vendor] = append(t.prefixes[e.Vendor], begin{strings.ToLower(prefix), at})
			}
			t.index(at, i)
		}
	}
	for _, all := range t.prefixes {
		slices.SortFunc(all, func(a, b begin) int {
			return cmp.Or(cmp.Compare(len(b.prefix), len(a.prefix)), cmp.Compare(a.prefix, b.prefix))
		})
	}
	return t
}

// index keeps the entries of a name by date, also where they are of several models.
func (t *Table) index(name string, i int) {
	all := append(t.named[name], i)
	slices.SortFunc(all, func(a, b int) int { return t.entries[a].From.Compare(t.entries[b].From) })
	t.named[name] = all
}

func key(vendor, name string) string { return vendor + "/" + strings.ToLower(name) }

// Source says where the figures are from, and of which day.
func (t *Table) Source() string { return t.source }

// Entries lists the whole table, by vendor, model and date. The caller may keep it.
func (t *Table) Entries() []Entry { return slices.Clone(t.entries) }

// Equal tells whether two tables say the same.
func (t *Table) Equal(other *Table) bool {
	if t == nil || other == nil {
		return t == other
	}
	return t.source == other.source && reflect.DeepEqual(t.entries, other.entries)
}

// dated is a name with a date at its end.
var dated = regexp.MustCompile(`^(.+)[-@](\d{4}-\d{2}-\d{2}|\d{8})$`)

// A Found is what a table says of a model at a time.
type Found struct {
	Entry
	Next time.Time // when something else holds; zero: nothing else is known
}

// Find looks up what a model of a vendor costs at a time. Without an entry that holds
// it reports false, and in Next when the first one will; zero: there is none.
func (t *Table) Find(vendor, model string, now time.Time) (Found, bool) {
	var found Found
	holds := false
	for _, i := range t.of(vendor, model) {
		if e := t.entries[i]; e.From.After(now) {
			found.Next = e.From
			break
		}
		found.Entry, holds = t.entries[i], true
	}
	return found, holds
}

// History lists all entries of a model, the earliest first.
func (t *Table) History(vendor, model string) []Entry {
	var all []Entry
	for _, i := range t.of(vendor, model) {
		all = append(all, t.entries[i])
	}
	return all
}

// of are the entries that a name means, by the rule of the package comment.
func (t *Table) of(vendor, model string) []int {
	model = strings.TrimPrefix(model, "models/") // as Google writes it, too
	at := key(vendor, model)
	if exact := t.named[at]; len(exact) > 0 {
		return exact
	}
	if parts := dated.FindStringSubmatch(at); parts != nil && len(t.named[parts[1]]) > 0 {
		return t.named[parts[1]]
	}
	for _, begin := range t.prefixes[vendor] {
		if strings.HasPrefix(at, key(vendor, begin.prefix)) {
			return t.named[begin.name]
		}
	}
	return nil
}

// Models lists the models of a vendor, for messages.
func (t *Table) Models(vendor string) []string {
	var models []string
	for i := range t.entries {
		if e := &t.entries[i]; e.Vendor == vendor && !slices.Contains(models, e.Model) {
			models = append(models, e.Model)
		}
	}
	return models
}
