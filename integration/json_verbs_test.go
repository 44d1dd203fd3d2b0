package integration

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"

	"tidegate/cmd/app"
	"tidegate/integration/fixture"
)

// noJSON are commands that print nothing for programs, or of which another test reads what
// they print for them.
var noJSON = map[string]string{
	"":                      "it prints help",
	"help":                  "it prints help",
	"exit-codes":            "a topic of help",
	"environment":           "a topic of help",
	"policy":                "it prints the help of policy check",
	"completion":            "it prints help",
	"completion bash":       "a script for the shell",
	"completion zsh":        "a script for the shell",
	"completion fish":       "a script for the shell",
	"completion powershell": "a script for the shell",
	"demo":                  "it takes a minute: TestDemo reads its report",
	"dev":                   "it makes a Postgres of its own: TestDevSaysInJSONWhereItListens reads what it prints",
	"work":                  "it prints nothing but its log, a JSON object a line",
	"serve":                 "it goes on: TestServeSaysInJSONWhereItListens reads what it prints",
	"simulate":              "it goes on: TestSimulateSaysInJSONWhereItListens reads what it prints",
}

// A jsonCase is how a command is called so that it prints something. More are run before it,
// with nobody looking at what they print.
type jsonCase struct {
	args   []string
	before [][]string
	code   int
}

// jsonCases has a case or more for each command that prints: of a fleet in which everything
// has happened once.
func jsonCases(t *testing.T, batch, request, file string) map[string][]jsonCase {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	lines, table := write(t, "in.jsonl", numbered(2, openaiLine)...), write(t, "prices.json", `{"version":1,"source":"a test","prices":[{"vendor":"openai","model":"m","from":"2026-01-01","usd_per_mtok":{"free":true}}]}`)
	hook := []string{"webhooks", "create", "https://example.com/hook", "--tenant", "acme"}
	of := func(args ...string) []jsonCase { return []jsonCase{{args: args}} }
	return map[string][]jsonCase{
		"version": of("version"), "man": of("man", in("man")), "init": of("init", in("init.yaml")), "status": of("status"),
		"circuits": of("circuits"), "circuits open": of("circuits", "open", "sim-dear", "--for", "1m", "--reason", "a test"), "circuits close": of("circuits", "close", "sim-dear"),
		"budgets": of("budgets"), "budgets set": of("budgets", "set", "--tenant", "acme", "--per-day", "5"), "budgets unset": {{[]string{"budgets", "unset", "--tenant", "acme"}, [][]string{{"budgets", "set", "--tenant", "acme", "--per-day", "5"}}, 0}},
		"keys": of("keys"), "keys create": of("keys", "create", "--tenant", "acme"), "keys revoke": of("keys", "revoke", "KEY"),
		"webhooks": of("webhooks"), "webhooks list": {{[]string{"webhooks", "list"}, [][]string{hook}, 0}}, "webhooks create": of(hook...),
		"webhooks enable": of("webhooks", "enable", "HOOK"), "webhooks rotate": of("webhooks", "rotate", "HOOK"), "webhooks remove": of("webhooks", "remove", "GONE"), "webhooks test": of("webhooks", "test", "LOCAL"),
		"pause": of("pause", summaries), "resume": of("resume", summaries),
		"drill":   of("drill", "--target", "sim-fast", "--for", "100ms"),
		"enqueue": append(append(of("enqueue", lines), of("enqueue", lines, "--dry-run", "--config", file)...), of("enqueue", lines, "--wait")...),
		"results": append(append(of("results", batch), of("results", batch, "-o", in("results.jsonl"))...), of("results", request, "--republish")...),
		"watch":   of("watch", "--from-start", "--count", "1"), "why": of("why", request), "cancel": of("cancel", batch), "retry": of("retry", "REFUSED", "--dry-run"),
		"attempts": of("attempts"), "attempts export": append(of("attempts", "export"), of("attempts", "export", "-o", in("log.parquet"))...),
		"attempts import": {{[]string{"attempts", "import", in("again.csv")}, [][]string{{"attempts", "export", "-o", in("again.csv")}}, 0}},
		"doctor":          of("doctor", "--config", file), "migrate": append(of("migrate"), of("migrate", "--check")...),
		"prices": of("prices", "--config", file), "prices show": of("prices", "show", "gpt-5-mini"), "prices check": of("prices", "check", table), "prices import": of("prices", "import", table, "--out", in("table.json")),
		"replay": of("replay", "--policy", file, "--against", file), "policy check": {{[]string{"policy", "check", file, "--against", file}, nil, 3}},
	}
}

// TestEveryVerbSpeaksJSON: what a command prints with --json is JSON and nothing else, for
// each command that there is.
func TestEveryVerbSpeaksJSON(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.work(nil)
	refused := `{"body":{"messages":[{"role":"nobody","content":"Hear me."}]}}`
	got := s.tidegate("enqueue", write(t, "first.jsonl", openaiLine(0), refused), "--wait")
	batch := batchForm.FindString(got.out)
	request := lastLine[struct {
		ID string `json:"request_id"`
	}](t, s.must("results", batch, "--state", "answered", "--json").out).ID
	hook := func() string {
		return lastLine[struct{ ID string }](t, s.must("webhooks", "create", "https://example.com/other", "--tenant", "other", "--json").out).ID
	}
	local := lastLine[struct{ ID string }](t, s.must("webhooks", "create", serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })), "--allow-private", "--json").out).ID
	key := lastLine[struct{ ID string }](t, s.must("keys", "create", "--tenant", "acme", "--json").out).ID
	filled := strings.NewReplacer("HOOK", hook(), "GONE", hook(), "LOCAL", local, "KEY", key, "REFUSED", batch)
	cases := jsonCases(t, batch, request, write(t, "tidegate.yaml", s.config.String()))
	for _, command := range commands(app.New()) {
		path := strings.TrimPrefix(strings.TrimPrefix(command.CommandPath(), "tidegate"), " ")
		all := cases[path]
		delete(cases, path)
		if why, is := noJSON[path]; is == (len(all) > 0) || is && why == "" {
			t.Errorf("%q has cases and prints nothing for programs, or neither: %q", path, why)
		}
		for _, c := range all {
			for _, args := range c.before {
				s.must(args...)
			}
			args := append(slices.Clone(c.args), "--json")
			for i := range args {
				args[i] = filled.Replace(args[i])
			}
			if got := s.tidegate(args...); got.code != c.code || !isJSON(got.out) {
				t.Errorf("%v: exit code %d, and it prints\n%.300s\n%s", args, got.code, got.out, got.errors)
			}
		}
	}
	if len(cases) > 0 {
		t.Errorf("cases of commands that there are not: %v", cases)
	}
}

// commands are a command and all below it.
func commands(of *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{of}
	for _, c := range of.Commands() {
		all = append(all, commands(c)...)
	}
	return all
}

// isJSON tells whether a text is one JSON value or more, and nothing else.
func isJSON(text string) bool {
	decoder := json.NewDecoder(strings.NewReader(text))
	for n := 0; ; n++ {
		if err := decoder.Decode(new(any)); err != nil {
			return errors.Is(err, io.EOF) && n > 0
		}
	}
}

// TestDevSaysInJSONWhereItListens: what listening.json says.
func TestDevSaysInJSONWhereItListens(t *testing.T) {
	t.Parallel()
	d := &devProcess{dir: dataFolder(t)}
	d.process = buildProgram(t).start(t, []string{"TIDEGATE_DATA=" + d.dir}, "dev", "--json", "--listen", "127.0.0.1:0", "--nats-port", "0")
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill()
		<-d.ended
		d.awaitNobody()
	})
	d.awaitOut("}\n")
	if at := lastLine[struct{ HTTP, NATS, Postgres string }](t, d.out.String()); !strings.HasPrefix(at.HTTP, "http://127.0.0.1:") || at.NATS == "" || at.Postgres == "" {
		t.Errorf("it says %+v", at)
	}
	d.signal(syscall.SIGTERM)
	if code := d.end(); code != 0 || !isJSON(d.out.String()) {
		t.Errorf("exit code %d, and it prints\n%s", code, d.out)
	}
}

// TestServeSaysInJSONWhereItListens: as simulate and dev do.
func TestServeSaysInJSONWhereItListens(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	r := run(t, "serve", "--json", "--listen", "127.0.0.1:0", "--database-url", s.URL)
	fixture.Await(t, soon, "it says where", func() bool { return strings.HasSuffix(r.out.String(), "}\n") })
	if at := lastLine[map[string]string](t, r.out.String()); !strings.HasPrefix(at["url"], "http://127.0.0.1:") {
		t.Errorf("it says %v", at)
	}
}
