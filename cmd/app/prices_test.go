package app

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidegate/cmd/app/config"
	"tidegate/jobs"
	"tidegate/store"
)

const pricedConfig = `prices: ours.json
targets:
  - {name: a, provider: p, base_url: "https://api.openai.com/v1", model: m}
  - {name: own, provider: p, base_url: "http://127.0.0.1:1/v1", model: x, price: {input: 0, output: 0}}
  - {name: dark, provider: p, base_url: "http://127.0.0.1:1/v1", model: m}
routes:
  - {name: r, chain: [a, own, dark]}
`

// runs executes a command beside a configuration.
func runs(t *testing.T, conf string, args ...string) (code int, out, errors string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = Execute(t.Context(), append(args, "--config", conf), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// contains asserts that a text says all of it.
func contains(t *testing.T, text string, says ...string) {
	t.Helper()
	for _, say := range says {
		if !strings.Contains(text, say) {
			t.Errorf("it does not say %q:\n%s", say, text)
		}
	}
}

func TestPricesOfTargets(t *testing.T) {
	t.Parallel()
	conf := inFolder(t, pricedConfig, map[string]string{"ours.json": ours(t)})
	code, out, errors := runs(t, conf, "prices")
	if code != exitOK || errors != "" {
		t.Fatalf("exit code %d: %s", code, errors)
	}
	contains(t, out, "a       $1.00 in, $0.50 cached, $2.00 out  1000    2020-01-01  2099-01-01  openai/m", "own     free", "dark    unknown",
		"ours.json, 5 prices. a test of 2026-01-01", "Warning: the price of dark is not known: its base_url belongs to no vendor", "priced_as: VENDOR/MODEL")
	_, out, _ = runs(t, conf, "prices", "--json")
	var view pricesView
	if err := json.Unmarshal([]byte(out), &view); err != nil || len(view.Targets) != 3 {
		t.Fatalf("%v: %s", err, out)
	}
	a, own, dark := view.Targets[0], view.Targets[1], view.Targets[2]
	if !a.Known || a.Says != "table" || a.Entry != "openai/m" || a.Until != "2099-01-01" || a.Price.Input != 1_000_000 || a.Price.Reasoning != 2_000_000 {
		t.Errorf("the target of the table is %+v", a)
	}
	if !own.Known || !own.Free || own.Says != "configuration" || own.Price == nil {
		t.Errorf("the free target is %+v", own)
	}
	if dark.Known || dark.Price != nil || dark.Warning == "" || dark.Remedy == "" {
		t.Errorf("the target without a price is %+v", dark)
	}
}

func TestPricesShow(t *testing.T) {
	t.Parallel()
	conf := inFolder(t, "", nil)
	_, out, _ := runs(t, conf, "prices", "show", "gpt-5-mini-2025-08-07")
	contains(t, out, "openai/gpt-5-mini  2025-08-07  now", "$0.25 in, $0.025 cached, $2.00 out  $0.125 in, $0.0125 cached, $1.00 out", "the one that ships", "2026-08-21")
	_, out, _ = runs(t, conf, "prices", "show", "GEMINI-2.5-PRO", "--json")
	contains(t, out, `"over_prompt_tokens":200000`, `"vendor":"google"`, `"holds":"now"`)
	_, out, _ = runs(t, conf, "prices", "show")
	if n := strings.Count(out, "\n"); n < 100 {
		t.Errorf("the whole table has %d lines", n)
	}
	code, _, errors := runs(t, conf, "prices", "show", "gpt-5-mimi")
	if code != exitFailure {
		t.Errorf("exit code %d", code)
	}
	contains(t, errors, `the table has no "gpt-5-mimi"; did you mean "gpt-5-mini"?`)
	code, _, errors = runs(t, conf, "prices", "shw")
	if code != exitUsage {
		t.Errorf("exit code %d", code)
	}
	contains(t, errors, `there is no command "shw"`)
}

func TestPricesCheck(t *testing.T) {
	t.Parallel()
	conf := inFolder(t, pricedConfig, map[string]string{"ours.json": ours(t), "broken.json": strings.ReplaceAll(ours(t), `"output": 4`, `"outpt": 4`)})
	code, out, _ := runs(t, conf, "prices", "check")
	if code != exitOK {
		t.Errorf("exit code %d", code)
	}
	contains(t, out, "It can be used: ", "5 prices")
	broken := filepath.Join(filepath.Dir(conf), "broken.json")
	code, _, errors := runs(t, conf, "prices", "check", broken)
	if code != exitFailure {
		t.Errorf("exit code %d", code)
	}
	contains(t, errors, broken+": 4 things are wrong:", `line 3: openai/m: usd_per_mtok.outpt: is not a member that is known; did you mean "output"?`, "line 4: openai/later: usd_per_mtok.output: is missing")
	code, _, errors = runs(t, inFolder(t, "", nil), "prices", "check")
	if code != exitUsage {
		t.Errorf("exit code %d", code)
	}
	contains(t, errors, "takes a FILE")
}

const lite = `{"m": {"litellm_provider": "openai", "mode": "chat", "max_input_tokens": 9, "input_cost_per_token": 2e-06, "output_cost_per_token": 4e-06},
	"draws": {"litellm_provider": "openai", "mode": "image_generation"}}`

func TestPricesImport(t *testing.T) {
	t.Parallel()
	conf := inFolder(t, pricedConfig, map[string]string{"lite.json": lite})
	dir := filepath.Dir(conf)
	table := filepath.Join(dir, "ours.json")
	if code, _, errors := runs(t, conf, "prices"); code != exitFailure || !strings.Contains(errors, "is not there: `tidegate prices import FILE` makes it") {
		t.Errorf("before the first import: %d, %s", code, errors)
	}
	code, out, errors := runs(t, conf, "prices", "import", filepath.Join(dir, "lite.json"))
	if code != exitOK || errors != "" {
		t.Fatalf("exit code %d: %s", code, errors)
	}
	contains(t, out, "Took 1 price, as litellm.", "Left out 1 model:", "    1  it neither writes text", "a: unknown → $2.00 in, $4.00 out", "Wrote "+table+".\n")
	if strings.Contains(out, "does not name it") || strings.Contains(out, "dark") {
		t.Errorf("it says too much:\n%s", out)
	}
	whole, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"cut off":       lite[:len(lite)-5],
		"a stray brace": lite + "}",
		"below zero":    strings.Replace(lite, "2e-06", "-2e-06", 1),
		"of no use":     `{"m": {"litellm_provider": "openai", "mode": "embedding"}}`,
		"empty":         "",
		"of a web page": "<html>not found</html>",
	} {
		broken := filepath.Join(t.TempDir(), "broken.json")
		if err := os.WriteFile(broken, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, errors := runs(t, conf, "prices", "import", broken)
		if code != exitFailure || out != "" || !strings.Contains(errors, "nothing was changed") {
			t.Errorf("%s: exit code %d, %s%s", name, code, out, errors)
		}
		if now, _ := os.ReadFile(table); !bytes.Equal(now, whole) {
			t.Fatalf("%s: the table was changed", name)
		}
	}
	code, out, _ = runs(t, conf, "prices", "import", filepath.Join(dir, "lite.json"), "--out", filepath.Join(dir, "other.json"), "--json")
	var view importView
	if err := json.Unmarshal([]byte(out), &view); err != nil || code != exitOK || view.Used || view.Entries != 1 || len(view.Changes) != 0 || len(view.Skipped) != 1 {
		t.Errorf("exit code %d, %v: %s", code, err, out)
	}
}

// A table that broke by itself is mended by an import, though the configuration that
// names it cannot be loaded.
func TestPricesImportOverABrokenTable(t *testing.T) {
	t.Parallel()
	conf := inFolder(t, pricedConfig, map[string]string{"lite.json": lite, "ours.json": ours(t)[:20]})
	code, out, errors := runs(t, conf, "prices", "import", filepath.Join(filepath.Dir(conf), "lite.json"))
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, errors)
	}
	contains(t, out, "The table that was there could not be used.")
	if code, _, errors := runs(t, conf, "prices"); code != exitOK {
		t.Errorf("it is still broken: %s", errors)
	}
}

func TestPricesImportIsAskedRightly(t *testing.T) {
	t.Parallel()
	conf := inFolder(t, "", map[string]string{"lite.json": lite})
	file := filepath.Join(filepath.Dir(conf), "lite.json")
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{file}, exitUsage, "there is nowhere to write to: name a file with --out, or in the configuration as prices: prices.json"},
		{[]string{file, "--format", "litelm"}, exitUsage, `--format: "litelm" is not a format; did you mean "litellm"?`},
		{[]string{}, exitUsage, "takes one FILE"},
		{[]string{file + "x", "--out", file}, exitFailure, "no such file: "},
		{[]string{filepath.Dir(file), "--out", file}, exitFailure, "is neither a file nor a pipe"},
		{[]string{file, "--out", filepath.Dir(file)}, exitFailure, "is not a file; nothing was changed"},
		{[]string{file, "--out", filepath.Join(file, "x")}, exitFailure, "nothing was changed"},
		{[]string{file, "--format", "genai-prices", "--out", file}, exitFailure, "is a list of vendors, not an object; nothing was changed"},
	} {
		code, out, errors := runs(t, conf, append([]string{"prices", "import"}, c.args...)...)
		if code != c.code || out != "" {
			t.Errorf("%v: exit code %d, %s", c.args, code, out)
		}
		contains(t, errors, c.says)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != lite {
		t.Errorf("the input was changed (%v)", err)
	}
}

// Status and doctor name targets without a price.
func TestUnknownPricesAreSeen(t *testing.T) {
	t.Parallel()
	conf, _, err := config.Load(inFolder(t, pricedConfig, map[string]string{"ours.json": ours(t)}), vars(), config.Known{})
	if err != nil {
		t.Fatal(err)
	}
	status := store.Status{
		At:       time.Now(),
		Circuits: []jobs.Circuit{{Target: "a"}, {Target: "dark"}, {Target: "elsewhere"}},
		Targets:  []store.TargetStatus{{Target: "a", Calls: 1, Cost: 7}, {Target: "dark", Calls: 2, Unpriced: 2}, {Target: "elsewhere", Calls: 2, Cost: 120_000, Unpriced: 1}},
	}
	var out bytes.Buffer
	if err := writeStatus(&out, &status, viewStatus(status, conf)); err != nil {
		t.Fatal(err)
	}
	contains(t, out.String(), "  $0.000007  ", "  unknown  ", "over $0.12", "Warning: nobody knows what calls to dark, elsewhere cost; `tidegate prices` says why.")
	view := viewStatus(status, conf)
	for i, want := range []struct {
		cost    bool
		unknown bool
	}{{true, false}, {false, true}, {false, true}} {
		if got := view.Targets[i]; (got.CostMicroUSD != nil) != want.cost || got.PriceUnknown != want.unknown {
			t.Errorf("%s is %+v", got.Target, got)
		}
	}
	out.Reset()
	if err := writeStatus(&out, &store.Status{}, viewStatus(store.Status{}, &config.Config{})); err != nil || strings.Contains(out.String(), "Warning") {
		t.Errorf("without any target (%v):\n%s", err, &out)
	}
	e := &examination{config: conf}
	e.checkPrices()
	if len(e.findings) != 1 || e.findings[0].Level != levelWarning || !strings.Contains(e.findings[0].Found, "nobody knows what 1 target costs") {
		t.Errorf("doctor finds %+v", e.findings)
	}
	e = &examination{config: config.DefaultSimulated("http://h")}
	e.checkPrices()
	if len(e.findings) != 1 || e.findings[0].Level != levelOK {
		t.Errorf("doctor finds %+v", e.findings)
	}
}
