package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// inFolder writes a configuration and tables into a folder, and returns its path.
func inFolder(t *testing.T, config string, tables map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range tables {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "tidegate.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func oneTarget(rest string) string {
	return "prices: ours.json\ntargets:\n  - name: a\n    provider: acme\n" + rest + routeLines
}

func TestPriceOfATarget(t *testing.T) {
	t.Parallel()
	const openai, home, m = "    base_url: https://api.openai.com/v1\n", "    base_url: http://127.0.0.1:8000/v1\n", "    model: m\n"
	for name, c := range map[string]struct {
		target string
		price  string
		window int
		warns  string
	}{
		"by the table":             {openai + m, "$1.00 in, $0.50 cached, $2.00 out", 1000, ""},
		"of a dated model":         {openai + "    model: m-2026-01-31\n", "$1.00 in, $0.50 cached, $2.00 out", 1000, ""},
		"the window that is said":  {openai + m + "    context_tokens: 77\n", "$1.00 in, $0.50 cached, $2.00 out", 77, ""},
		"of a batch":               {openai + m + "    billing: batch\n", "$0.50 in, $1.00 out", 1000, ""},
		"its own":                  {openai + m + "    price: {input: 5, output: 6}\n", "$5.00 in, $6.00 out", 1000, ""},
		"its own, and batch":       {openai + m + "    price: {input: 5, output: 6}\n    billing: batch\n", "$5.00 in, $6.00 out", 1000, "billing: changes nothing"},
		"with all that there is":   {home + m + "    price: {input: 1, cached_input: 0, output: 10, reasoning: 3, over: [{tokens: 200, input: 2, output: 15}]}\n", "$1.00 in, $0.00 cached, $10.00 out, $3.00 reasoning; over 200 tokens $2.00 in, $15.00 out", 0, ""},
		"for nothing":              {home + m + "    price: {input: 0, output: 0}\n", "free", 0, ""},
		"for nothing by the table": {"    base_url: https://api.groq.com/openai/v1\n    model: g\n", "free", 0, ""},
		"as another":               {home + "    model: x\n    priced_as: openai/m\n", "$1.00 in, $0.50 cached, $2.00 out", 1000, ""},
		"a server of one's own":    {home + m, "unknown", 0, "price: is not known, so nobody can say what this target costs: its base_url belongs to no vendor of the table; add price:"},
		"no such model":            {openai + "    model: latter\n", "unknown", 0, "the table has no price of openai/latter; add price: {input: …, output: …} in USD per million tokens, or priced_as: openai/later if it costs the same"},
		"of embeddings":            {openai + "    model: embed\n", "$0.02 in", 2000, ""},
		"of embeddings of a batch": {openai + "    model: embed\n    billing: batch\n", "$0.01 in", 2000, ""},
		"of embeddings, its own":   {home + "    model: embed\n    price: {input: 0.03}\n", "$0.03 in", 0, ""},
		"of embeddings for chats":  {openai + "    model: m\n    priced_as: openai/embed\n    endpoints: [chat, embeddings]\n", "unknown", 2000, "the table's price of openai/embed is of embeddings, and the target serves chat, embeddings; write endpoints: [embeddings], or add price:"},
		"no such vendor":           {home + m + "    priced_as: corner/m\n", "unknown", 0, "the table has no prices of corner;"},
		"later only":               {openai + "    model: later\n", "unknown", 0, "the table has a price of openai/later from 2099-01-01 only;"},
		"no batch price":           {"    base_url: https://api.groq.com/openai/v1\n    model: g\n    billing: batch\n", "unknown", 0, "the table has no batch price of groq/g;"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := inFolder(t, oneTarget(c.target), map[string]string{"ours.json": ours(t)})
			config, warnings, err := Load(path, vars(), Known{})
			if err != nil {
				t.Fatal(err)
			}
			targets, _ := config.Build()
			if got := SayPrice(targets[0].Price); got != c.price || targets[0].ContextTokens != c.window {
				t.Errorf("it costs %q, with a window of %d; want %q, %d", got, targets[0].ContextTokens, c.price, c.window)
			}
			if targets[0].Price.Known() == (c.price == "unknown") {
				t.Errorf("it is known: %v", targets[0].Price.Known())
			}
			if c.warns == "" && len(warnings) > 0 || c.warns != "" && (len(warnings) != 1 || !strings.Contains(warnings[0].String(), c.warns)) {
				t.Errorf("it warns of %v, want %q", warnings, c.warns)
			}
		})
	}
}

func TestConfigRefusesPrices(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, says string }{
		"half a price":           {"targets:\n  - {price: {input: 1}}", "targets[0].price.output: is missing: a price has input and output"},
		"no amount":              {"targets:\n  - {price: {}}", "targets[0].price.input: is missing"},
		"USD per token":          {"targets:\n  - {price: {input: 0.00000025, output: 1}}", "targets[0].price.input: 2.5e-07 is next to nothing; write USD per million tokens, not per token"},
		"reasoning for nothing":  {"targets:\n  - {price: {input: 1, output: 1, reasoning: 0}}", "targets[0].price.reasoning: must be above zero"},
		"reasoning below zero":   {"targets:\n  - {price: {input: 1, output: 1, reasoning: -1}}", "targets[0].price.reasoning: must not be below zero"},
		"a size of nothing":      {"targets:\n  - {price: {input: 1, output: 1, over: [{input: 1, output: 1}]}}", "targets[0].price.over[0].tokens: say above which size"},
		"sizes that fall":        {"targets:\n  - {price: {input: 1, output: 1, over: [{tokens: 2, input: 1, output: 1}, {tokens: 2, input: 1, output: 1}]}}", "over[1].tokens: 2 is not above the size before it"},
		"half a price over":      {"targets:\n  - {price: {input: 1, output: 1, over: [{tokens: 2, input: 1}]}}", "over[0].output: is missing"},
		"many sizes":             {"targets:\n  - {price: {input: 1, output: 1, over: [{}, {}, {}, {}, {}]}}", "over: has 5 sizes; there may be 4 at most"},
		"over as a map":          {"targets:\n  - {price: {input: 1, output: 1, over: {200000: {input: 1}}}}", "over: must be a list"},
		"another billing":        {"targets:\n  - {billing: bach}", `targets[0].billing: unknown choice "bach"; did you mean "batch"?`},
		"priced as what":         {"targets:\n  - {priced_as: gpt-5-mini}", `targets[0].priced_as: "gpt-5-mini" is not VENDOR/MODEL`},
		"prices of nothing":      {"prices: \"\"", "prices: is empty: name a file, or leave prices out for the table that ships"},
		"prices that are away":   {"prices: none.json", "none.json\" is not there: `tidegate prices import FILE` makes it, or leave prices out"},
		"prices that are broken": {"prices: broken.json", "broken.json\" cannot be used: line 2: openai/m: usd_per_mtok.input: \"-1\" is below zero; `tidegate prices check` lists all"},
		"prices of LiteLLM":      {"prices: lite.json", "these are prices of litellm, not a table: `tidegate prices import` makes one of them"},
		"a folder of prices":     {"prices: .", "cannot be read as prices: it must be a file of at most"},
		"prices from a variable": {"prices: ${SECRET}.json", "prices: ${…} is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := inFolder(t, c.text, map[string]string{
				"broken.json": "{\"version\": 1, \"source\": \"s\", \"prices\": [\n{\"vendor\": \"openai\", \"model\": \"m\", \"from\": \"2020-01-01\", \"usd_per_mtok\": {\"input\": -1, \"output\": -1}}]}",
				"lite.json":   `{"m": {"litellm_provider": "openai"}}`,
			})
			_, _, err := Load(path, vars("SECRET", "canary"), Known{})
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "canary") {
				t.Errorf("it says\n%v\nwant\n%s", err, c.says)
			}
		})
	}
}

// What a variable holds is not shown by a warning either.
func TestUnknownPriceShowsNoVariable(t *testing.T) {
	t.Parallel()
	text := "targets:\n  - {name: a, provider: p, base_url: \"https://api.openai.com/v1\", model: \"${M}\"}\n" + routeLines
	_, warnings, err := Parse([]byte(text), "f", vars("M", "canary"), Known{})
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0].String(), "no price of its model") || strings.Contains(warnings[0].String(), "canary") {
		t.Errorf("it warns of %v (%v)", warnings, err)
	}
}

// ours is a table with prices of every kind.
func ours(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash("testdata/ours.json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
