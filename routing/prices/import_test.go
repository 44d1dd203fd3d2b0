package prices_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
	"tidegate/routing/prices"
)

func importFile(t *testing.T, name string) prices.Imported {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	in, err := prices.Import(data, prices.FormatAuto, today)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

var thisDay = time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)

func onDay(text string) time.Time {
	at, _ := time.Parse(time.DateOnly, text)
	return at
}

func TestImportLiteLLM(t *testing.T) {
	t.Parallel()
	in := importFile(t, "litellm.json")
	want := []prices.Entry{
		{Vendor: "deepseek", Model: "chatty", From: thisDay, Price: jobs.Price{Input: 280_000, CachedInput: 280_000, Output: 420_000}},
		{
			Vendor: "google", Model: "large-one", From: thisDay, ContextTokens: 1048576,
			Price: jobs.Price{Input: 1_250_000, CachedInput: 125_000, Output: 10_000_000, Over: [jobs.MaxTiers]jobs.Tier{{Tokens: 200_000, Input: 2_500_000, CachedInput: 250_000, Output: 15_000_000}}},
			// Of work for later above a size it says nothing: that costs the full price.
			Batch: jobs.Price{Input: 625_000, CachedInput: 625_000, Output: 5_000_000, Over: [jobs.MaxTiers]jobs.Tier{{Tokens: 200_000, Input: 2_500_000, CachedInput: 250_000, Output: 15_000_000}}},
		},
		{Vendor: "mistral", Model: "vectors", From: thisDay, Embeddings: true, Price: jobs.Price{Input: 100_000, CachedInput: 100_000}},
		{Vendor: "openai", Model: "ft:small-one", Prefixes: []string{"ft:small-one:"}, From: thisDay, Price: jobs.Price{Input: 300_000, CachedInput: 300_000, Output: 1_200_000}},
		{
			Vendor: "openai", Model: "small-one", From: thisDay, ContextTokens: 400_000,
			Price: jobs.Price{Input: 250_000, CachedInput: 25_000, Output: 2_000_000},
			Batch: jobs.Price{Input: 125_000, CachedInput: 12_500, Output: 1_000_000},
		},
		{
			Vendor: "openai", Model: "vectors", From: thisDay, ContextTokens: 8191, Embeddings: true,
			Price: jobs.Price{Input: 20_000, CachedInput: 20_000}, Batch: jobs.Price{Input: 10_000, CachedInput: 10_000},
		},
		{Vendor: "perplexity", Model: "thinker", From: thisDay, ContextTokens: 128_000, Price: jobs.Price{Input: 2_000_000, CachedInput: 2_000_000, Output: 8_000_000, Reasoning: 3_000_000}},
		{Vendor: "vertex", Model: "other", From: thisDay, Price: jobs.Price{Input: 1_000_000, CachedInput: 1_000_000, Output: 2_000_000}},
	}
	if diff := cmp.Diff(want, in.Table.Entries()); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	skipped := map[string]int{
		"it neither writes text nor makes embeddings (images, speech, …)": 2,
		"no base_url is known of its vendor":                              1,
		"it costs nothing there, which mostly means that nobody knew":     2,
		"it has no price of input and output":                             1,
		"its price cannot be right, or is given by another unit":          1,
		"its price changes at too many sizes, or is a list of ranges":     1,
		"it is billed by the request, too":                                1,
		"another entry has the same name":                                 1,
	}
	if diff := cmp.Diff(skipped, in.Skipped); diff != "" {
		t.Errorf("skipped (-want +got):\n%s", diff)
	}
	if in.Format != prices.FormatLiteLLM || in.Table.Source() != "LiteLLM's prices, imported on 2026-11-28" {
		t.Errorf("format %q, source %q", in.Format, in.Table.Source())
	}
}

func TestImportGenAIPrices(t *testing.T) {
	t.Parallel()
	in := importFile(t, "genai-prices.json")
	price := func(input, cached, output jobs.MicroUSD) jobs.Price {
		return jobs.Price{Input: input, CachedInput: cached, Output: output}
	}
	tiered := jobs.Price{Input: 1_250_000, CachedInput: 1_250_000, Output: 10_000_000, Reasoning: 3_000_000, Over: [jobs.MaxTiers]jobs.Tier{
		{Tokens: 200_000, Input: 2_500_000, CachedInput: 2_500_000, Output: 15_000_000, Reasoning: 3_000_000},
		{Tokens: 500_000, Input: 2_500_000, CachedInput: 2_500_000, Output: 20_000_000, Reasoning: 3_000_000},
	}}
	want := []prices.Entry{
		{Vendor: "xai", Model: "dated", From: onDay("2025-06-10"), Price: price(2_000_000, 2_000_000, 8_000_000)},
		{Vendor: "xai", Model: "dated", From: onDay("2027-01-01"), Price: price(3_000_000, 3_000_000, 12_000_000)},
		{Vendor: "xai", Model: "embed", From: thisDay, Embeddings: true, Price: price(100_000, 100_000, 0)},
		{Vendor: "xai", Model: "more-embeddings", From: thisDay, Embeddings: true, Price: price(150_000, 150_000, 0)},
		{Vendor: "xai", Model: "named", Aliases: []string{"named-1"}, Prefixes: []string{"named-preview"}, From: thisDay, Price: price(1_000_000, 1_000_000, 2_000_000)},
		{Vendor: "xai", Model: "second", From: thisDay, Price: price(5_000_000, 5_000_000, 6_000_000)},
		{Vendor: "xai", Model: "simple", From: thisDay, ContextTokens: 131072, Price: price(300_000, 75_000, 500_000)},
		{Vendor: "xai", Model: "tiered", Prefixes: []string{"tiered"}, From: thisDay, Price: tiered},
	}
	if diff := cmp.Diff(want, in.Table.Entries()); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	skipped := map[string]int{
		"no base_url is known of its vendor":                      1,
		"it has no price of input and output":                     1,
		"it is billed by the request, too":                        1,
		"its price depends on the hour":                           1,
		"it has no name of its own, only a rule that names match": 1,
		"another entry has the same name":                         1,
	}
	if diff := cmp.Diff(skipped, in.Skipped); diff != "" {
		t.Errorf("skipped (-want +got):\n%s", diff)
	}
}

func TestImportOwn(t *testing.T) {
	t.Parallel()
	data, err := prices.Shipped().Bytes()
	if err != nil {
		t.Fatal(err)
	}
	in, err := prices.Import(data, prices.FormatAuto, today)
	if err != nil || in.Format != prices.FormatOwn || !in.Table.Equal(prices.Shipped()) {
		t.Errorf("the table that ships was imported as %q, and as another one (%v)", in.Format, err)
	}
}

func TestImportRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ format, data, want string }{
		"not JSON":             {"auto", "prices: 1", "line 1: this is not JSON"},
		"a stray brace":        {"auto", "{\"m\": {\"litellm_provider\": \"openai\"}}\n}", "line 2: this is not JSON"},
		"something else":       {"auto", `{"a": 1}`, "this looks like no prices that are known"},
		"an empty list":        {"auto", `[]`, "this looks like no prices that are known"},
		"the wrong format":     {"litellm", `[{"id": "openai", "models": []}]`, "LiteLLM's file is an object of models by name, not a list"},
		"the other wrong one":  {"genai-prices", `{"m": {}}`, "the file of genai-prices is a list of vendors, not an object"},
		"an unknown format":    {"litelm", `{}`, `format "litelm" is not known; did you mean "litellm"?`},
		"nothing of use":       {"litellm", `{"m": {"litellm_provider": "openai", "mode": "embedding"}}`, "there is no model in it that could be used"},
		"a name twice":         {"litellm", "{\"m\": {\"litellm_provider\": \"openai\"},\n\"m\": {}}", "line 2: m: stands twice: in line 1, too"},
		"a price below zero":   {"auto", `{"m": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": -1e-6, "output_cost_per_token": 1e-6}}`, `m: input_cost_per_token is no amount: "-1e-6"`},
		"a price that is text": {"auto", `{"m": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": "cheap", "output_cost_per_token": 1e-6}}`, `m: input_cost_per_token is no amount: "cheap"`},
		"a vendor of nothing":  {"genai-prices", `[{"id": 7}]`, "a vendor has an id and a list of models"},
		"a model of nothing":   {"auto", `[{"id": "openai", "models": [{}]}]`, "openai: a model has an id, a match and prices"},
		"prices of text":       {"auto", `[{"id": "openai", "models": [{"id": "m", "match": {"equals": "m"}, "prices": "low"}]}]`, "openai/m: prices are an object"},
		"an amount of text":    {"auto", `[{"id": "openai", "models": [{"id": "m", "match": {"equals": "m"}, "prices": {"input_mtok": "1", "output_mtok": 1}}]}]`, `openai/m: input_mtok is no amount: "1"`},
		"no such day":          {"auto", `[{"id": "openai", "models": [{"id": "m", "match": {"equals": "m"}, "prices": [{"constraint": {"start_date": "soon"}, "prices": {}}]}]}]`, `start_date: "soon" is not a day`},
		"a tier of nothing":    {"auto", `[{"id": "openai", "models": [{"id": "m", "match": {"equals": "m"}, "prices": {"input_mtok": {"base": 1, "tiers": [{}]}, "output_mtok": 1}}]}]`, "a tier of input_mtok has a start and a price"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, err := prices.Import([]byte(c.data), c.format, today)
			if err == nil || in.Table != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("it says %v, want %s", err, c.want)
			}
		})
	}
}

func FuzzImport(f *testing.F) {
	for _, name := range []string{"litellm.json", "genai-prices.json"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		in, err := prices.Import(data, prices.FormatAuto, today)
		var faults *prices.Error
		if err != nil && !errors.As(err, &faults) {
			t.Fatalf("an error that names nothing: %v", err)
		}
		if err != nil {
			return
		}
		out, err := in.Table.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := prices.Parse(out); err != nil || !again.Equal(in.Table) {
			t.Fatalf("what was imported cannot be read again (%v):\n%s", err, out)
		}
	})
}
