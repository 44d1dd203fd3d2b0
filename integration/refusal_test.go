package integration

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidegate/integration/fixture"
	"tidegate/jobs"
)

// A refusalCase is a command that must not do anything but say why.
type refusalCase struct {
	args []string
	code int
	says []string // what is wrong, and what to do
}

// check runs the command and looks at what it said. A password in it would be
// "canary".
func (c refusalCase) check(t *testing.T, run func(args ...string) said) {
	t.Helper()
	got := run(c.args...)
	if got.code != c.code {
		t.Errorf("exit code %d, want %d", got.code, c.code)
	}
	for _, says := range c.says {
		if !strings.Contains(got.errors, says) {
			t.Errorf("it does not say %q", says)
		}
	}
	if strings.Contains(got.out+got.errors, "canary") {
		t.Error("it shows a password")
	}
	if got.out != "" || !strings.HasPrefix(got.errors, "tidegate: ") {
		t.Error("the message belongs on standard error, with the program's name")
	}
	if t.Failed() {
		t.Logf("tidegate %.300s\n%s%s", strings.Join(c.args, " "), got.out, got.errors)
	}
}

// TestBadLinesEnqueueNothing: one bad line names itself, its field and the
// remedy, and all the good ones stay out with it.
func TestBadLinesEnqueueNothing(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	among := func(bad string) []string {
		lines := numbered(8, openaiLine)
		lines[5] = bad
		return []string{"enqueue", write(t, "in.jsonl", lines...)}
	}
	late := numbered(1500, openaiLine) // more than one COPY
	late[1200] = `{"custom_id": "a", `
	const nothing = "nothing was enqueued"
	large := func(bytes int) string {
		return `{"body":{"messages":[{"role":"user","content":"` + strings.Repeat("x", bytes) + `"}]}}`
	}
	for name, c := range map[string]refusalCase{
		"broken JSON":      {among(`{"custom_id": "a", `), 1, []string{"in.jsonl: line 6:", "not JSON", nothing}},
		"far behind":       {[]string{"enqueue", write(t, "in.jsonl", late...)}, 1, []string{"in.jsonl: line 1201:", "not JSON", nothing}},
		"no messages":      {among(`{"custom_id":"a","body":{"messages":[]}}`), 1, []string{"line 6: body.messages:", "at least one", nothing}},
		"no body":          {among(`{"custom_id":"a"}`), 1, []string{"line 6: body:", `{"custom_id": "…", "body": {…}}`, nothing}},
		"a stream":         {among(`{"body":{"stream":true,"messages":[{}]}}`), 1, []string{"line 6: body.stream:", "leave it out", nothing}},
		"an id twice":      {among(openaiLine(3)), 1, []string{"line 6: custom_id:", "line 4 already", nothing}},
		"another URL":      {among(`{"url":"/v1/moderations","body":{"messages":[{}]}}`), 1, []string{"line 6: url:", "/v1/chat/completions", nothing}},
		"an unknown route": {among(`{"route":"nowhere","body":{"messages":[{}]}}`), 1, []string{"line 6: route:", "nowhere", "there are: " + summaries, nothing}},
		"an unknown field": {among(`{"dead_line":"7d","body":{"messages":[{}]}}`), 1, []string{"line 6: dead_line: unknown field", `did you mean "deadline"?`, nothing}},
		"capitals":         {among(`{"Messages":[{}]}`), 1, []string{"line 6:", `did you mean "messages"?`, nothing}},
		"capitals around":  {among(`{"Body":{"messages":[{}]}}`), 1, []string{"line 6:", `did you mean "body"?`, nothing}},
		"capitals inside":  {among(`{"body":{"Messages":[{}]}}`), 1, []string{"line 6: body.messages:", `"Messages" is not the same`, nothing}},
		"an unknown goal":  {among(`{"goal":"nonsense","body":{"messages":[{}]}}`), 1, []string{"line 6: optimization_goal:", "nonsense", "there are: balanced, cost, ordered, speed", nothing}},
		"a large body":     {among(large(jobs.MaxBodyBytes)), 1, []string{"line 6: body:", "at most 8388608", nothing}},
		"a larger line":    {among(large(jobs.MaxLineBytes)), 1, []string{"line 6:", nothing}},
		"an array":         {among(`[1]`), 1, []string{"line 6:", "jq -c", nothing}},
		"no line":          {[]string{"enqueue", write(t, "in.jsonl", "", "")}, 1, []string{"in.jsonl", "no request"}},
		"init of a folder": {[]string{"init", os.TempDir(), "--force"}, 1, []string{"is a folder", "tidegate.yaml"}},
		"init nowhere":     {[]string{"init", "/nowhere/tidegate.yaml"}, 1, []string{"no such file", "make its folder first"}},
		"no file":          {[]string{"enqueue", "nowhere.jsonl"}, 1, []string{"no such file: nowhere.jsonl", "name one of JSONL", "--text"}},
		"no document":      {[]string{"enqueue", "--text", t.TempDir(), "--prompt", "p"}, 1, []string{"no text file"}},
		"no folder":        {[]string{"enqueue", "--text", "nowhere", "--prompt", "p"}, 1, []string{"nowhere", "no such file"}},
		"two tenants":      {[]string{"enqueue", write(t, "in.jsonl", `{"tenant":"a","body":{"messages":[{}]}}`, "", `{"tenant":"b","body":{"messages":[{}]}}`)}, 1, []string{`line 3: tenant: is "b"`, nothing}},
		"no such route":    {[]string{"enqueue", "--route", "nowhere", write(t, "in.jsonl", openaiLine(0))}, 1, []string{`"nowhere"`, summaries}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.check(t, s.tidegate)
		})
	}
	t.Cleanup(s.checkEmpty)
}

// checkEmpty checks that not one row was written.
func (s *stage) checkEmpty() { s.checkOnly(0) }

// checkOnly checks that there is one batch of so many requests, none of them
// answered or cancelled, and not one row more.
func (s *stage) checkOnly(requests int) {
	for table, want := range map[string]int{"requests": requests, "batches": min(1, requests), "river_job": requests, "results": 0, "outbox": 0} {
		var n int
		// The test's own context has ended.
		if err := s.Pool.QueryRow(afterwards(s.T), "SELECT count(*) FROM tidegate."+table).Scan(&n); err != nil || n != want {
			s.Errorf("%s has %d rows, not %d (%v)", table, n, want, err)
		}
	}
}

// TestWrongUseIsSaid: what is asked wrongly ends with 2 and names the help; what
// is asked rightly and cannot be done ends with 1.
func TestWrongUseIsSaid(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	file, nothing := write(t, "in.jsonl", openaiLine(0)), write(t, "nothing.jsonl")
	nowhere := filepath.Join(t.TempDir(), "none", "out.jsonl")
	const unknown = "01a20aa4-c8ca-75b5-a7d0-750cfcc3a7fe"
	known := s.enqueue(3, nil)
	usage := func(says ...string) func(args ...string) refusalCase {
		return func(args ...string) refusalCase {
			return refusalCase{args, 2, append(says, "See 'tidegate", "--help'")}
		}
	}
	for name, c := range map[string]refusalCase{
		"a verb":               usage(`"enqeue"`, `did you mean "enqueue"?`)("enqeue", file),
		"help of a verb":       usage(`"enqeue"`, `did you mean "enqueue"?`)("help", "enqeue"),
		"a shell":              usage(`"bush"`, `did you mean "bash"?`)("completion", "bush"),
		"a flag":               usage("--nonsense")("status", "--nonsense"),
		"a flag's value":       usage(`--limit: "many" is not a whole number, as in 20`)("results", "--limit", "many"),
		"an argument":          usage("takes no arguments", `"now"`)("status", "now"),
		"two files":            usage("takes one file")("enqueue", file, file),
		"no file":              usage("takes one file")("enqueue"),
		"text and a file":      usage("--text")("enqueue", file, "--text", "."),
		"text, no prompt":      usage("--prompt")("enqueue", "--text", "."),
		"a prompt, no text":    usage("--text")("enqueue", file, "--prompt", "p"),
		"output, no wait":      usage("--wait")("enqueue", file, "-o", "x"),
		"a dry run that waits": usage("--dry-run")("enqueue", file, "--dry-run", "--wait"),
		"a key of nothing":     usage("--metadata", "1 to 64")("enqueue", file, "--metadata", "=y"),
		"a batch of nothing":   usage("--batch", "empty", "variable")("results", "--batch", ""),
		"an id of nothing":     usage("empty", "variable")("results", ""),
		"among others":         usage("empty", "variable")("cancel", unknown, ""),
		"to watch":             usage("--batch", "empty")("watch", "--batch", ""),
		"an empty folder":      usage("--data", "empty")("results", "--data", ""),
		"how long it lasts":    usage("--for", "24h or 7d")("drill", "--target", "sim-cheap", "--for", "long"),
		"how long it is open":  usage("--for", "24h or 7d")("circuits", "open", "sim-cheap", "--reason", "r", "--for", "1 week"),
		"to retire":            usage("--retire", "empty")("migrate", "--retire", ""),
		"data of nothing":      usage("--data", "empty", "variable")("doctor", "--data", ""),
		"a file of nothing":    usage("--config", "empty", "variable")("status", "--config", ""),
		"a watch's name":       usage("--name", `"a b.c"`)("watch", "--name", "a b.c"),
		"a goal":               usage("--goal", "ordered")("enqueue", file, "--goal", "nonsense"),
		"a deadline":           usage("--deadline", "24h or 7d")("enqueue", file, "--deadline", "tomorrow"),
		"a tenant":             usage("--tenant", "lower-case")("enqueue", file, "--tenant", "A B"),
		"a tenant's results":   usage("--tenant", "lower-case")("results", "--tenant", "A B"),
		"a state":              usage("--state", "answered")("results", "--state", "nonsense"),
		"republish what":       usage("--republish")("results", "--republish"),
		"cancel what":          usage("one or more ids")("cancel"),
		"a log level":          usage("--log-level", "debug")("work", "--log-level", "loud"),
		"a log level of dev":   usage("--log-level", "debug")("dev", "--log-level", "loud", "--listen", "127.0.0.1:0", "--nats-port", "0"),
		"an unknown batch":     {[]string{"results", "batch_0"}, 1, []string{"batch_0", "not found"}},
		"an unknown request":   {[]string{"results", unknown}, 1, []string{unknown, "not found", "retention"}},
		"no id at all":         {[]string{"results", "nonsense"}, 1, []string{"nonsense"}},
		"cancel a batch":       {[]string{"cancel", "batch_0"}, 1, []string{"batch_0", "not found"}},
		"cancel a request":     {[]string{"cancel", unknown}, 1, []string{unknown, "not found"}},
		"cancel one of two":    {[]string{"cancel", known.ID, "batch_0", "--json"}, 1, []string{"batch_0", "not found", "nothing was cancelled"}},
		"cancel nonsense":      {[]string{"cancel", "nonsense"}, 1, []string{"nonsense"}},
		"cancel one twice":     {[]string{"cancel", "batch_0", "batch_0"}, 1, []string{"batch_0", "not found"}},
		"a dry run of nothing": {[]string{"enqueue", nothing, "--dry-run"}, 1, []string{nothing, "no request in it"}},
		"to no folder":         {[]string{"results", "-o", nowhere}, 1, []string{nowhere + ": no such file", "make its folder first"}},
		"no stream":            {[]string{"watch"}, 1, []string{"no stream", "start a worker"}},
		"no routes":            {[]string{"work"}, 1, []string{"no route", "tidegate init"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.check(t, s.tidegate)
		})
	}
	t.Cleanup(func() { s.checkOnly(3) })
}

// TestURLOfNothing: a variable that is not set must not lead to another database
// than the one that was meant. In the environment, empty is as good as absent.
func TestURLOfNothing(t *testing.T) {
	t.Setenv("DATABASE_URL", "")
	t.Setenv("NATS_URL", "")
	for _, flag := range []string{"--database-url", "--nats-url", "--data", "--config"} {
		for _, verb := range [][]string{{"status"}, {"watch"}, {"circuits", "close", "a"}, {"dev"}} {
			refusalCase{append(verb, flag, ""), 2, []string{flag + ": is empty", "leave it out", "--help"}}.check(t, func(args ...string) said { return tidegate(t, args...) })
		}
	}
	refusalCase{[]string{"status"}, 1, []string{"no Postgres is named and no dev runs in /", "--data"}}.check(t, func(args ...string) said { return tidegate(t, args...) })
}

// TestWrongConfigurationIsSaid: file, line, field and what was meant.
func TestWrongConfigurationIsSaid(t *testing.T) {
	t.Parallel()
	good := newStage(t, staging{}).config.String()
	for name, c := range map[string]struct {
		text string
		says []string
	}{
		"a key":      {"tagrets: []\n" + good, []string{"c.yaml:1:1: tagrets: unknown key", `did you mean "targets"`}},
		"a deep key": {strings.Replace(good, "failures_in_a_row:", "failures_in_row:", 1), []string{"targets[0].circuit.failures_in_row: unknown key", `did you mean "failures_in_a_row"`}},
		"a variable": {"postgres: postgres://me:canary@${NOT_SET_ANYWHERE}/db\n" + good, []string{"c.yaml:1:1: postgres:", "NOT_SET_ANYWHERE is not set"}},
		"a chain":    {strings.Replace(good, "- sim-cheap", "- sim-cheep", 1), []string{"routes[0].chain[0]:", "sim-cheep", "sim-cheap"}},
		"a NATS URL": {"nats: nats://me:canary%ET@127.0.0.1:4222\n" + good, []string{"c.yaml:1:1: nats: cannot be read", "percent-encoded"}},
		"no YAML":    {"targets: [", []string{"c.yaml:1:", "not YAML"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := write(t, "c.yaml", c.text)
			for _, verb := range []string{"work", "serve", "dev", "demo", "status", "migrate"} {
				refusalCase{[]string{verb, "--config", path}, 1, c.says}.check(t, func(args ...string) said { return tidegate(t, args...) })
			}
		})
	}
	refusalCase{[]string{"status", "--config", "/dev/zero"}, 1, []string{"/dev/zero is neither a file nor a pipe"}}.check(t, func(args ...string) said { return tidegate(t, args...) })
	refusalCase{[]string{"status", "--config", write(t, "c.yaml", strings.Repeat("#", 5<<20))}, 1, []string{"c.yaml has more than"}}.check(t, func(args ...string) said { return tidegate(t, args...) })
	refusalCase{[]string{"work", "--config", "nowhere.yaml"}, 1, []string{"nowhere.yaml", "tidegate init"}}.check(t, func(args ...string) said { return tidegate(t, args...) })
}

// TestNobodyListens: Postgres or NATS is away, or none is named.
func TestNobodyListens(t *testing.T) {
	t.Parallel()
	free := freePort(t)
	postgres := fmt.Sprintf("postgres://me:canary@127.0.0.1:%d/db", free)
	nats := fmt.Sprintf("nats://me:canary@127.0.0.1:%d", free)
	for name, c := range map[string]refusalCase{
		"Postgres":            {[]string{"status", "--database-url", postgres}, 1, []string{fmt.Sprintf("127.0.0.1:%d", free), "refused", "start it", "DATABASE_URL"}},
		"Postgres of dev":     {[]string{"dev", "--database-url", postgres, "--listen", "127.0.0.1:0", "--nats-port", "0"}, 1, []string{fmt.Sprintf("127.0.0.1:%d", free), "DATABASE_URL"}},
		"a Postgres URL":      {[]string{"status", "--database-url", "postgres://me:canary@[::1/db"}, 1, []string{"must look like postgres://"}},
		"Postgres, not named": {[]string{"status"}, 1, []string{"tidegate dev", "--database-url", "$DATABASE_URL"}},
		"NATS":                {[]string{"watch", "--nats-url", nats}, 1, []string{fmt.Sprintf("127.0.0.1:%d", free), "nats-server -js", "--nats-url"}},
		"NATS, not named":     {[]string{"watch"}, 1, []string{"tidegate dev", "--nats-url", "$NATS_URL"}},
		"a percent sign":      {[]string{"watch", "--nats-url", "nats://me:canary%ETcanary@127.0.0.1:4222"}, 1, []string{"must look like nats://"}},
		"of dev":              {[]string{"dev", "--nats-url", "nats://me:canary%ETcanary@h", "--database-url", fixture.Database(t), "--listen", "127.0.0.1:0"}, 1, []string{"must look like nats://"}},
		"of the second":       {[]string{"watch", "--nats-url", "nats://127.0.0.1:4222,nats://me:canary%ETcanary@h"}, 1, []string{"must look like nats://"}},
		"a number and slash":  {[]string{"watch", "--nats-url", "nats://me:12/canary@127.0.0.1:4222"}, 1, []string{"must look like nats://"}},
		"two at signs":        {[]string{"status", "--database-url", "postgres://u:canary@canary@127.0.0.1:1/x?sslmode=nope"}, 1, []string{"must look like postgres://", "sslmode"}},
		"a slash and a port":  {[]string{"status", "--database-url", "postgres://u:12/canary@127.0.0.1:1/x"}, 1, []string{"must look like postgres://"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.check(t, func(args ...string) said { return tidegate(t, args...) })
		})
	}
}

// freePort is one on which nobody listens.
func freePort(t *testing.T) int {
	t.Helper()
	listener := takenPort(t)
	check(t, listener.Close())
	return listener.Addr().(*net.TCPAddr).Port
}

// takenPort is one on which this test listens.
func takenPort(t *testing.T) net.Listener {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { _ = listener.Close() }) // may be closed already
	return listener
}

// TestDevRefusesToStart: what is in the way is named, with the flag that leads
// around it, and nothing is left behind.
func TestDevRefusesToStart(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	taken := takenPort(t).Addr().String()
	_, port, err := net.SplitHostPort(taken)
	check(t, err)
	for name, c := range map[string]refusalCase{
		"HTTP port":   {[]string{"dev", "--listen", taken, "--nats-port", "0", "--database-url", s.URL}, 1, []string{taken, "taken", "--listen"}},
		"serve's":     {[]string{"serve", "--listen", taken, "--database-url", s.URL}, 1, []string{taken, "taken", "--listen"}},
		"simulate's":  {[]string{"simulate", "--listen", taken}, 1, []string{taken, "--listen"}},
		"NATS port":   {[]string{"dev", "--listen", "127.0.0.1:0", "--nats-port", port, "--database-url", s.URL}, 1, []string{port, "--nats-port"}},
		"no Postgres": {[]string{"dev", "--listen", "127.0.0.1:0", "--nats-port", "0", "--pg-bin", t.TempDir()}, 1, []string{"initdb", "--pg-bin"}},
		"documents":   {[]string{"demo", "--documents", "nowhere"}, 1, []string{"nowhere", "no such file"}},
		"for a demo":  {[]string{"demo", "--pg-bin", t.TempDir(), "--documents", "testdata"}, 1, []string{"initdb", "--pg-bin"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			c.check(t, func(args ...string) said {
				got := tidegate(t, append(args, "--data", data)...) // the last --data wins
				return got
			})
			if _, err := os.Stat(filepath.Join(data, "listening.json")); err == nil {
				t.Error("it left a note of where it listens")
			}
		})
	}
}

// TestDevMakesNothingThatItMustNot: neither a database where there is no port for
// NATS, nor anything in a folder that is somebody else's.
func TestDevMakesNothingThatItMustNot(t *testing.T) {
	t.Parallel()
	port := fmt.Sprint(takenPort(t).Addr().(*net.TCPAddr).Port)
	run := func(args ...string) said { return tidegate(t, args...) }
	fresh := filepath.Join(t.TempDir(), "data")
	refusalCase{[]string{"dev", "--data", fresh, "--listen", "127.0.0.1:0", "--nats-port", port}, 1, []string{port, "--nats-port"}}.check(t, run)
	if _, err := os.Stat(filepath.Join(fresh, "postgres")); err == nil {
		t.Error("the database is made, for nothing")
	}
	project := filepath.Dir(write(t, "main.go", "package main"))
	refusalCase{[]string{"dev", "--data", project, "--listen", "127.0.0.1:0", "--nats-port", "0"}, 1, []string{project, "not empty (main.go", "--data"}}.check(t, run)
	if entries, err := os.ReadDir(project); err != nil || len(entries) != 1 {
		t.Errorf("it left %v in a folder of others (%v)", entries, err)
	}
}

// TestDoctorSaysWhatIsWrongWithAURL: what cannot be read may be a password, and
// nothing is there that could be started.
func TestDoctorSaysWhatIsWrongWithAURL(t *testing.T) {
	t.Parallel()
	for postgres, fault := range map[string]string{
		"postgres://me:canary@canary@127.0.0.1:1/x?sslmode=nope": "sslmode must be",
		"postgres://me:12/canary@127.0.0.1:1/x":                  "%2F",
		"postgres://me:canary@127.0.0.1:port/x":                  "its port is not a number",
	} {
		got := tidegate(t, "doctor", "--database-url", postgres, "--nats-url", "nats://me:canary%ETcanary@127.0.0.1:4222")
		for _, says := range []string{fault, "must look like postgres://", "--database-url, `postgres:`", "write %25", "must look like nats://", "--nats-url, `nats:`"} {
			if !strings.Contains(got.out, says) {
				t.Errorf("of %s it does not say %q", postgres, says)
			}
		}
		if got.code != 1 || strings.Contains(got.out, "→ start it") || strings.Contains(got.out+got.errors, "canary") {
			t.Errorf("%+v", got)
		}
	}
}
