package prices_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tidegate/jobs"
	"tidegate/routing/prices"
)

var today = time.Date(2026, 11, 28, 20, 0, 0, 0, time.UTC)

// tableOf wraps entries into a table, one on a line, the first in line 2.
func tableOf(entries ...string) []byte {
	return []byte(`{"version": 1, "source": "a test", "prices": [` + "\n" + strings.Join(entries, ",\n") + "\n]}\n")
}

func mustParse(t *testing.T, entries ...string) *prices.Table {
	t.Helper()
	table, err := prices.Parse(tableOf(entries...))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func entryOf(model, from, input string, more string) string {
	return fmt.Sprintf(`{"vendor": "acme", "model": %q, "from": %q, "usd_per_mtok": {"input": %s, "output": 9}%s}`, model, from, input, more)
}

func TestFind(t *testing.T) {
	t.Parallel()
	table := mustParse(
		t,
		entryOf("m", "2025-01-01", "1", `, "aliases": ["m-latest"]`),
		entryOf("m", "2026-11-28", "2", ""),
		entryOf("m", "2027-01-01", "3", ""),
		entryOf("m-2025-05-05", "2025-01-01", "4", ""),
		entryOf("n", "2025-01-01", "5", `, "prefixes": ["n-", "n-pro-"]`),
		entryOf("n-pro", "2025-01-01", "6", `, "prefixes": ["n-pro-p"]`),
		entryOf("soon", "2027-02-03", "7", ""),
	)
	for name, c := range map[string]struct {
		vendor, model, at string
		want              string // input, or nothing
		next              string
	}{
		"the name":                   {"acme", "m", "", "2", "2027-01-01"},
		"before the last change":     {"acme", "m", "2026-11-27", "1", "2026-11-28"},
		"after the next one":         {"acme", "m", "2027-01-01", "3", ""},
		"an alias has its own":       {"acme", "m-latest", "2027-01-01", "1", ""},
		"upper case":                 {"acme", "M", "", "2", "2027-01-01"},
		"with a date at its end":     {"acme", "m-2026-01-31", "", "2", "2027-01-01"},
		"with a short date":          {"acme", "m@20260131", "", "2", "2027-01-01"},
		"a dated one of its own":     {"acme", "m-2025-05-05", "", "4", ""},
		"a prefix":                   {"acme", "n-mini", "", "5", ""},
		"the longer prefix":          {"acme", "n-pro-preview", "", "6", ""},
		"as Google writes it":        {"acme", "models/n", "", "5", ""},
		"no number is a date":        {"acme", "m-0613", "", "", ""},
		"only later":                 {"acme", "soon", "", "", "2027-02-03"},
		"before all":                 {"acme", "m", "2024-12-31", "", "2025-01-01"},
		"a name that begins as it":   {"acme", "m2", "", "", ""},
		"another vendor's":           {"corner", "m", "", "", ""},
		"nobody's":                   {"", "m", "", "", ""},
		"a model without a name":     {"acme", "", "", "", ""},
		"a vendor is not in a model": {"acme", "acme/m", "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := today
			if c.at != "" {
				at, _ = time.Parse(time.DateOnly, c.at)
			}
			found, ok := table.Find(c.vendor, c.model, at)
			got, next := "", ""
			if ok {
				got = prices.WriteAmount(found.Price.Input)
			}
			if !found.Next.IsZero() {
				next = found.Next.Format(time.DateOnly)
			}
			if got != c.want || next != c.next {
				t.Errorf("costs %q until %q, want %q until %q", got, next, c.want, c.next)
			}
		})
	}
	if history := table.History("acme", "m"); len(history) != 3 || history[2].Price.Input != jobs.USD(3) {
		t.Errorf("the history of m is %+v", history)
	}
}

func TestVendorOf(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"https://api.openai.com/v1":                              "openai",
		"https://API.OpenAI.com.:443/v1":                         "openai",
		"https://eu.api.openai.com/v1":                           "",
		"https://api.openai.com.example.org/v1":                  "",
		"https://notapi.openai.com/v1":                           "",
		"https://acme.openai.azure.com/openai/v1":                "azure",
		"https://openai.azure.com/openai/v1":                     "",
		"https://generativelanguage.googleapis.com/v1beta":       "google",
		"https://europe-west1-aiplatform.googleapis.com/v1":      "vertex",
		"https://bedrock-runtime.eu-west-1.amazonaws.com":        "bedrock",
		"https://ec2-1-2-3-4.eu-west-1.compute.amazonaws.com/v1": "",
		"http://127.0.0.1:8000/v1":                               "",
		"http://localhost:11434/v1":                              "",
		"http://gpu-box.internal/api.openai.com/v1":              "",
		"https://openrouter.ai/api/v1":                           "openrouter",
		"https://api.together.xyz/v1":                            "together",
		"://":                                                    "",
		"":                                                       "",
	} {
		if got := prices.VendorOf(base); got != want {
			t.Errorf("%s is %q, want %q", base, got, want)
		}
	}
}

// TestShipped reads the table as it ships.
func TestShipped(t *testing.T) {
	t.Parallel()
	table := prices.Shipped()
	entries := table.Entries()
	if n := len(entries); n < 100 {
		t.Errorf("it has %d entries", n)
	}
	if !strings.Contains(table.Source(), "2026-08-21") {
		t.Errorf("its source %q says no day", table.Source())
	}
	batch := 0
	for _, e := range entries {
		if !slices.Contains(prices.Vendors(), e.Vendor) {
			t.Errorf("%s: no base_url means that vendor", e.Name())
		}
		if e.Price.Free || e.ContextTokens == 0 && e.Vendor != "together" {
			t.Errorf("%s: free, or without a context window: %+v", e.Name(), e)
		}
		if e.Embeddings != strings.Contains(e.Model, "embed") || e.Embeddings == (e.Price.Output > 0) {
			t.Errorf("%s: its name and its price do not agree whether it writes text: %+v", e.Name(), e)
		}
		if e.Batch.Known() {
			batch++
		}
	}
	if batch < 80 {
		t.Errorf("%d entries have a batch price", batch)
	}
	for _, c := range []struct {
		vendor, model string
		usage         jobs.Usage
		want          jobs.MicroUSD
	}{
		{"openai", "gpt-5-mini-2025-08-07", jobs.Usage{Input: 1_000_000, CachedInput: 400_000, Output: 100_000}, 360_000},
		{"google", "gemini-2.5-pro", jobs.Usage{Input: 200_000, Output: 1000}, 260_000},
		{"google", "gemini-2.5-pro", jobs.Usage{Input: 400_000, Output: 1000}, 1_015_000},
		{"anthropic", "claude-haiku-4-5-20251001", jobs.Usage{Input: 1000, Output: 1000}, 6000},
		{"openai", "ft:gpt-4o-mini-2024-07-18:acme::abc", jobs.Usage{Input: 1000, Output: 1000}, 1500},
		{"openai", "text-embedding-3-small", jobs.Usage{Input: 1_000_000}, 20_000},
		{"openai", "text-embedding-3-large", jobs.Usage{Input: 1_000_000}, 130_000},
		{"openai", "text-embedding-ada-002", jobs.Usage{Input: 1_000_000}, 100_000},
		{"google", "models/gemini-embedding-001", jobs.Usage{Input: 1_000_000}, 150_000},
		{"google", "gemini-embedding-2", jobs.Usage{Input: 1_000_000}, 200_000},
		{"mistral", "mistral-embed", jobs.Usage{Input: 1_000_000}, 100_000},
		{"cohere", "embed-v4.0", jobs.Usage{Input: 1_000_000}, 120_000},
		{"mistral", "mistral-small-latest", jobs.Usage{Input: 1000, Output: 1000}, 750},
	} {
		if found, ok := table.Find(c.vendor, c.model, today); !ok || found.Price.Cost(c.usage) != c.want {
			t.Errorf("%s/%s of %+v costs %s (%v), want %s", c.vendor, c.model, c.usage, found.Price.Cost(c.usage), ok, c.want)
		}
	}
	for _, model := range []string{"gpt-5-mega", "gpt-image-1", "o3-pro"} {
		if found, ok := table.Find("openai", model, today); ok {
			t.Errorf("%s has a price: %+v", model, found)
		}
	}
}

// TestBytes writes tables and reads them again.
func TestBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.Custom(func(t *rapid.T) string {
			return prices.WriteAmount(jobs.MicroUSD(rapid.Int64Range(100, 10_000_000_000).Draw(t, "micros")))
		})
		var entries []string
		for i := range rapid.IntRange(1, 5).Draw(t, "entries") {
			over := ""
			for j := range rapid.IntRange(0, jobs.MaxTiers).Draw(t, "tiers") {
				over += fmt.Sprintf(`,{"tokens": %d, "input": %s, "output": %q}`, 1000*(j+1), amount.Draw(t, "in"), amount.Draw(t, "out"))
			}
			if over != "" {
				over = `, "over": [` + over[1:] + "]"
			}
			if rapid.Bool().Draw(t, "embeddings") {
				entries = append(entries, fmt.Sprintf(`{"vendor": "v%d", "model": "m%d", "from": "2026-01-0%d", "endpoint": "embeddings", "usd_per_mtok": {"input": %s}, "batch_usd_per_mtok": {"free": true}}`,
					i%2, i, i+1, amount.Draw(t, "in")))
				continue
			}
			entries = append(entries, fmt.Sprintf(`{"vendor": "v%d", "model": "m<&>%d", "from": "2026-01-0%d", "usd_per_mtok": {"input": %s, "output": %s%s}}`,
				i%2, i, i+1, amount.Draw(t, "in"), amount.Draw(t, "out"), over))
		}
		table, err := prices.Parse(tableOf(entries...))
		if err != nil {
			t.Fatal(err)
		}
		data, err := table.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		again, err := prices.Parse(data)
		if err != nil || !again.Equal(table) {
			t.Fatalf("it reads as another table (%v):\n%s%s", err, data, cmp.Diff(table.Entries(), again.Entries()))
		}
	})
}
