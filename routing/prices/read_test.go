package prices_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidegate/routing/prices"
)

const good = `{"vendor": "acme", "model": "m", "from": "2026-01-01", "usd_per_mtok": {"input": 1, "output": 2}}`

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	change := func(old, with string) []byte {
		return tableOf(good, strings.Replace(strings.Replace(good, `"m"`, `"n"`, 1), old, with, 1))
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":                 {nil, "line 1: this is not JSON: it ends too early"},
		"half of it":              {[]byte("{\"version\": 1,\n\"prices\": ["), "line 2: this is not JSON: it ends too early"},
		"a stray brace":           {append(tableOf(good), '}'), "line 4: this is not JSON: "},
		"a comma too many":        {[]byte("{\"version\": 1,\n\"prices\": [\n1,]}"), "line 3: this is not JSON: "},
		"something behind it":     {append(tableOf(good), "\n7"...), "line 5: this is not JSON: something stands behind its end"},
		"deep":                    {[]byte(strings.Repeat("[", 100)), "nested deeper"},
		"a list":                  {[]byte("[]"), "line 1: must be an object, not a list"},
		"another version":         {[]byte(`{"version": 2, "source": "s", "prices": [` + good + `]}`), `version: "2" is not a version that is known; there is 1`},
		"somebody else's":         {[]byte(`{"m": {"litellm_provider": "openai"}}`), "line 1: these are prices of litellm, not a table: `tidegate prices import` makes one of them"},
		"no source":               {[]byte(`{"version": 1, "prices": [` + good + `]}`), "source: is missing: say where"},
		"no prices":               {[]byte(`{"version": 1, "source": "s", "prices": []}`), "prices: there is none in it"},
		"an unknown member":       {change(`"from"`, `"froms": 1, "from"`), `line 3: acme/n: froms: is not a member that is known; did you mean "from"?`},
		"an unknown amount":       {change(`"output"`, `"outputs": 2, "output"`), `acme/n: usd_per_mtok.outputs: is not a member that is known; did you mean "output"?`},
		"a member twice":          {change(`"from"`, `"from": "2025-01-01", "from"`), "line 3: acme/n: from: stands twice"},
		"null":                    {change(`"2026-01-01"`, "null"), "acme/n: from: is null: leave it out"},
		"no vendor":               {change(`"vendor": "acme", `, ""), "line 3: prices[1]: vendor: is missing"},
		"a vendor with blanks":    {change(`"acme"`, `"Acme Inc"`), `vendor: "Acme Inc" cannot be a name`},
		"no model":                {change(`"model": "n", `, ""), "line 3: prices[1]: model: is missing"},
		"an empty model":          {change(`"n"`, `""`), "model: is empty, or has blanks around it"},
		"a model of two lines":    {change(`"n"`, `"n\n"`), "model: is empty, or has blanks"},
		"no date":                 {change(`"from": "2026-01-01", `, ""), "line 3: acme/n: from: is missing: write the day"},
		"no such day":             {change("2026-01-01", "2026-02-30"), `from: "2026-02-30" is not a day like 2026-01-31`},
		"a day of another time":   {change("2026-01-01", "0026-01-01"), "from: \"0026-01-01\" cannot be right"},
		"no price":                {change(`, "usd_per_mtok": {"input": 1, "output": 2}`, ""), "acme/n: usd_per_mtok: is missing"},
		"a price of one number":   {change(`{"input": 1, "output": 2}`, "2"), "usd_per_mtok: must be an object, not a number"},
		"no output":               {change(`, "output": 2`, ""), "usd_per_mtok.output: is missing"},
		"below zero":              {change(`"input": 1`, `"input": -1`), `acme/n: usd_per_mtok.input: "-1" is below zero`},
		"no number":               {change(`"input": 1`, `"input": "one"`), `usd_per_mtok.input: "one" is not an amount like 0.25`},
		"true":                    {change(`"input": 1`, `"input": true`), "usd_per_mtok.input: must be a number, or a decimal in quotes, not true or false"},
		"an enormous exponent":    {change(`"input": 1`, `"input": 1e999999`), "is not an amount"},
		"USD per token":           {change(`"input": 1`, `"input": 0.00000025`), "finer than a micro-USD"},
		"USD per thousand":        {change(`"input": 1`, `"input": 0.000025`), "is next to nothing: amounts are USD per million tokens"},
		"micro-USD":               {change(`"output": 2`, `"output": 2000000`), "is more than any model costs"},
		"zeros":                   {change(`"input": 1, "output": 2`, `"input": 0, "output": 0`), "acme/n: usd_per_mtok: costs nothing, which mostly means that nobody knows"},
		"output for nothing":      {change(`"output": 2`, `"output": 0`), "usd_per_mtok.output: is 0, and input is not"},
		"dear cached tokens":      {change(`"input": 1`, `"input": 1, "cached_input": 1.5`), "cached_input: is dearer than input"},
		"reasoning for nothing":   {change(`"input": 1`, `"input": 1, "reasoning": 0`), "reasoning: is 0: leave it out"},
		"free, and not":           {change(`"input": 1, "output": 2`, `"free": true, "output": 2`), "free: stands alone"},
		"not free":                {change(`"input": 1, "output": 2`, `"free": false`), "free: stands alone"},
		"a dear batch":            {change(`}}`, `}, "batch_usd_per_mtok": {"input": 2, "output": 1}}`), "batch_usd_per_mtok.input: is dearer than the price without waiting"},
		"sizes that fall":         {change(`"input": 1`, `"input": 1, "over": [{"tokens": 2, "input": 1, "output": 1}, {"tokens": 1, "input": 1, "output": 1}]`), "usd_per_mtok.over[1].tokens: 1 is not above the size before it"},
		"no size":                 {change(`"input": 1`, `"input": 1, "over": [{"input": 1, "output": 1}]`), "over[0].tokens: is missing"},
		"a size of nothing":       {change(`"input": 1`, `"input": 1, "over": [{"tokens": 0, "input": 1, "output": 1}]`), `over[0].tokens: "0" is not a number of tokens`},
		"half a token":            {change(`"from"`, `"context_tokens": 1.5, "from"`), `context_tokens: "1.5" is not a number of tokens`},
		"no sizes":                {change(`"input": 1`, `"input": 1, "over": []`), "over: has 0 sizes; there may be 1 to 4"},
		"the same day twice":      {tableOf(good, good), `line 3: acme/m: "m" has a price from 2026-01-01 already, in line 2`},
		"an alias of another":     {change(`"from"`, `"aliases": ["M"], "from"`), `"M" has a price from 2026-01-01 already`},
		"an alias of itself":      {change(`"from"`, `"aliases": ["n"], "from"`), `"n" has a price from 2026-01-01 already`},
		"an alias that is none":   {change(`"from"`, `"aliases": [7], "from"`), "aliases[0]: must be a text, not a number"},
		"aliases that are a text": {change(`"from"`, `"aliases": "x", "from"`), "aliases: must be a list, not a text"},
		"an unknown endpoint":     {change(`"from"`, `"endpoint": "chat", "from"`), `acme/n: endpoint: "chat" is not "embeddings"; leave it out of a model that writes text`},
		"output of embeddings":    {change(`"from"`, `"endpoint": "embeddings", "from"`), "usd_per_mtok.output: is not a member that is known"},
		"embeddings for nothing":  {change(`"from": "2026-01-01", "usd_per_mtok": {"input": 1, "output": 2}`, `"from": "2026-01-01", "endpoint": "embeddings", "usd_per_mtok": {"input": 0}`), "acme/n: usd_per_mtok: costs nothing"},
		"embeddings of no price":  {change(`"from": "2026-01-01", "usd_per_mtok": {"input": 1, "output": 2}`, `"from": "2026-01-01", "endpoint": "embeddings", "usd_per_mtok": {}`), "usd_per_mtok.input: is missing"},
		"many":                    {tableOf(strings.Split(strings.Repeat("{},", 30)+"{}", ",")...), "124 things are wrong:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table, err := prices.Parse(c.data)
			var faults *prices.Error
			if !errors.As(err, &faults) || table != nil {
				t.Fatalf("it was read: %v, %v", table, err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("it says\n%v\nwant\n%s", err, c.want)
			}
		})
	}
}

// TestFree reads what costs nothing as a price, not as none.
func TestFree(t *testing.T) {
	t.Parallel()
	table := mustParse(t, strings.Replace(good, `"input": 1, "output": 2`, `"free": true`, 1))
	if found, ok := table.Find("acme", "m", today); !ok || !found.Price.Known() || !found.Price.Free {
		t.Errorf("it costs %+v (%v)", found.Price, ok)
	}
}

// TestBrokenFilesChangeNothing says what holds for whoever has a table: it is replaced
// by a whole one, or not at all.
func TestBrokenFilesChangeNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "prices.json")
	if _, err := prices.Load(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	first := mustParse(t, good)
	if err := first.Save(path); err != nil {
		t.Fatal(err)
	}
	table, err := prices.Load(path)
	if err != nil || !table.Equal(first) {
		t.Fatalf("what was saved reads as another table (%v)", err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range whole[:len(whole)-2] {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		if half, err := prices.Load(path); err == nil || half != nil {
			t.Fatalf("the first %d bytes of a table are read as one", cut)
		}
	}
	if !table.Equal(first) {
		t.Error("the old table changed")
	}
}

func TestSave(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "prices.json")
	if err := os.WriteFile(path, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link.json")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := prices.Shipped().Save(link); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("its mode is %v (%v)", info.Mode(), err)
	}
	if table, err := prices.Load(path); err != nil || !table.Equal(prices.Shipped()) {
		t.Errorf("what was saved reads as another table (%v)", err)
	}
	if err := prices.Shipped().Save(dir); err == nil {
		t.Error("a folder was replaced by a table")
	}
	if err := prices.Shipped().Save(filepath.Join(dir, "none", "prices.json")); err == nil {
		t.Error("a table was saved in a folder that is not there")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("the folder has %v (%v)", left, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(tableOf(good))
	f.Add([]byte(`{"version": 1`))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := prices.Parse(data)
		if (table == nil) == (err == nil) {
			t.Fatalf("%v and %v", table, err)
		}
		if err != nil {
			return
		}
		out, err := table.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := prices.Parse(out); err != nil || !again.Equal(table) {
			t.Fatalf("it reads as another table (%v):\n%s", err, out)
		}
	})
}
