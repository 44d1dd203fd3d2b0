package logfile_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"tidegate/jobs"
	"tidegate/routing/replay/logfile"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// names are texts as routes, targets and goals have them, and some that need quotes.
var names = rapid.OneOf(rapid.StringMatching(`[a-z0-9][a-z0-9_-]{0,20}`), rapid.SampledFrom([]string{`say "no"`, "a,b", "naïve", `back\slash`, " spaced ", "two\nlines"}))

func instants(t *rapid.T, label string) time.Time {
	return noon.Add(time.Duration(rapid.Int64Range(-1e12, 1e12).Draw(t, label)) * time.Microsecond)
}

func maybe[T any](t *rapid.T, label string, draw func() T) (value T) {
	if rapid.Bool().Draw(t, label) {
		value = draw()
	}
	return value
}

// loggeds are attempts with anything that a ledger may say of one.
var loggeds = rapid.Custom(func(t *rapid.T) jobs.Logged {
	count := func(label string) int { return rapid.IntRange(0, 1<<31-1).Draw(t, label) }
	name := func(label string) string { return maybe(t, label+"?", func() string { return names.Draw(t, label) }) }
	l := jobs.Logged{
		RequestID: fmt.Sprintf("%08x-0000-7000-8000-%012x", rapid.Uint32().Draw(t, "id"), rapid.Uint32().Draw(t, "id")),
		Route:     names.Draw(t, "route"),
		Attempt: jobs.Attempt{
			At: instants(t, "at"), Target: names.Draw(t, "target"), Class: rapid.SampledFrom(jobs.Classes()).Draw(t, "class"), Status: rapid.IntRange(0, 599).Draw(t, "status"),
			Code: maybe(t, "code?", func() string { return rapid.StringMatching(`[a-zA-Z0-9_.:/-]{1,64}`).Draw(t, "code") }), Latency: time.Duration(count("latency")) * time.Microsecond,
			FirstByte: time.Duration(count("first")) * time.Microsecond, Cost: jobs.MicroUSD(count("cost")),
			Usage:    jobs.Usage{Input: count("input"), CachedInput: count("cached"), Output: count("output"), Reasoning: count("reasoning")},
			Unpriced: rapid.Bool().Draw(t, "unpriced"), Probe: rapid.Bool().Draw(t, "probe"), Blamed: rapid.Bool().Draw(t, "blamed"),
			Propensity: rapid.Float32Range(0, 1).Draw(t, "propensity"), WaitedFor: rapid.SampledFrom([]jobs.WaitedFor{"", jobs.WaitedForGate, jobs.WaitedForPace}).Draw(t, "waited"),
		},
		Asked: jobs.Asked{
			Arrived: maybe(t, "arrived?", func() time.Time { return instants(t, "arrived") }), Deadline: maybe(t, "deadline?", func() time.Time { return instants(t, "deadline") }),
			MaxCost: jobs.MicroUSD(count("max")), BodyBytes: count("body"), Priority: rapid.IntRange(0, 4).Draw(t, "priority"), Awaited: rapid.Bool().Draw(t, "awaited"),
			Tenant: name("tenant"), Goal: name("goal"), Endpoint: rapid.SampledFrom(jobs.Endpoints()).Draw(t, "endpoint"),
		},
	}
	if rapid.Bool().Draw(t, "decided") {
		l.Decision = &jobs.Decision{
			Goal: names.Draw(t, "strategy"), Estimator: "decayed", Explored: rapid.Bool().Draw(t, "explored"), ExtraCost: 3, Worth: 4, Waited: time.Second,
			Candidates: []jobs.Considered{{Target: names.Draw(t, "candidate"), Success: 0.5, Latency: time.Second, Cost: 7, Score: jobs.Score{Total: 0.25}}},
		}
	}
	return l
})

// written is a file of some attempts.
func written(t interface {
	Helper()
	Fatal(args ...any)
}, format string, zipped bool, all ...jobs.Logged,
) []byte {
	t.Helper()
	var file bytes.Buffer
	w, err := logfile.NewWriter(&file, format, zipped)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if err := w.Write(&all[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// read reads all records of a file.
func read(file []byte, o logfile.Options) (all []jobs.Logged, format string, err error) {
	r, err := logfile.NewReader("log", bytes.NewReader(file), o)
	if err != nil {
		return nil, "", err
	}
	for {
		var l jobs.Logged
		if err := r.Next(&l); errors.Is(err, io.EOF) {
			return all, r.Format(), r.Close()
		} else if err != nil {
			return all, r.Format(), errors.Join(err, r.Close())
		}
		all = append(all, l)
	}
}

// What is written is read as it was, whatever the format, and the file tells what it is.
func TestWrittenIsRead(t *testing.T) {
	t.Parallel()
	for _, format := range logfile.Written() {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				want := rapid.SliceOfN(loggeds, 1, 5).Draw(t, "attempts")
				got, found, err := read(written(t, format, rapid.Bool().Draw(t, "zipped"), want...), logfile.Options{})
				if err != nil || found != format {
					t.Fatalf("it was taken for %q: %v", found, err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("(-written +read):\n%s", diff)
				}
			})
		})
	}
}

// What providers say of a refusal may quote a prompt, and so may the reasons of skips.
func TestNothingIsWrittenThatMayQuote(t *testing.T) {
	t.Parallel()
	const canary = "Mrs Miller"
	l := jobs.Logged{RequestID: jobs.NoRequest, Route: "r", Attempt: jobs.Attempt{
		At: noon, Target: "a", Class: jobs.BadRequest, Code: "the prompt of " + canary, Message: "it says " + canary,
		Decision: &jobs.Decision{
			Goal: "cost", Reason: canary, Skipped: []jobs.Skip{{Target: "b", At: noon, Reason: canary}},
			Waits: []jobs.Wait{{Target: "b", Since: noon, Reason: canary}},
		},
	}}
	for _, format := range logfile.Written() {
		file := written(t, format, false, l)
		if bytes.Contains(file, []byte(canary)) {
			t.Errorf("%s quotes: %s", format, file)
		}
		got, _, err := read(file, logfile.Options{})
		if err != nil || len(got) != 1 || got[0].Decision == nil || len(got[0].Decision.Skipped) != 1 || len(got[0].Decision.Waits) != 1 {
			t.Errorf("%s: of it came %+v, %v", format, got, err)
		}
	}
	if l.Decision.Skipped[0].Reason != canary {
		t.Error("writing changes what is written")
	}
}

const ledger = "at,route,target,class,latency_us\n"

// What is wrong is said with the file, the line, the field and what to do.
func TestFaultsArePlaced(t *testing.T) {
	t.Parallel()
	for name, is := range map[string]struct{ file, format, want string }{
		"nothing":              {"", "", "log: the file is empty; `tidegate attempts export"},
		"blank lines":          {"\n \n", "", "log: the file is empty"},
		"a time":               {ledger + "yesterday,r,a,OK,1\n", "", `log:2: at: "yesterday" is not a time; write it as 2026-`},
		"a class":              {ledger + "2026-03-01T12:00:00Z,r,a,FINE,1\n", "", `log:2: class: "FINE" is no class; there are [OK`},
		"a number":             {ledger + "2026-03-01T12:00:00Z,r,a,OK,1\n2026-03-01T12:00:00Z,r,a,OK,fast\n", "", `log:3: latency_us: "fast" is not a whole number from 0`},
		"below zero":           {ledger + "2026-03-01T12:00:00Z,r,a,OK,-1\n", "", `log:2: latency_us: "-1" is not`},
		"a line that ends":     {ledger + "2026-03-01T12:00:00Z,r,a\n", "", "log:2: it has 3 fields, and the first line names 5: the line is cut off"},
		"a quote":              {ledger + "2026-03-01T12:00:00Z,r\"x,a,OK,1\n", "", "log:2: bare \" in non-quoted-field; a field with a quote"},
		"a column twice":       {"at,target,class,at\n", "", "log: at: the column stands twice"},
		"other columns":        {"name,age\nA,3\n", "", "log: its first line names none of the columns that are known; a ledger has at, route"},
		"another format":       {ledger, "azure2023", "log: there is no column TIMESTAMP; there are: at, route"},
		"no JSON":              {ledger, "jsonl", "log: it holds lines of text, and is no jsonl; leave --format out"},
		"JSON":                 {`{"at":1}`, "csv", "log: it holds JSON, and is no csv"},
		"no such format":       {ledger, "excel", `"excel" is not a format; there are csv, jsonl`},
		"no text":              {"\x00\x01\x02", "", "log: it is no text; formats are csv"},
		"JSON that ends":       {"{\"at\":\"2026-03-01T12:00:00Z\",\"target\":\"a\"}\n{\"at\":\"2026-03", "", "log:2: it is no JSON, or is cut off"},
		"JSON of other things": {"{\"at\":\"2026-03-01T12:00:00Z\",\"latency_us\":{}}", "", `log:1: latency_us: "{}" is not a whole number`},
		"two objects":          {"{} {}", "", "log:1: something stands behind the object"},
		"a decision":           {`{"decision":{"g":1}}`, "", "log:1: decision: it is not the JSON of a decision"},
		"a line without end":   {ledger + strings.Repeat("x", 2<<20), "", "log:2: the line is longer than 1048576 bytes"},
		"JSON without end":     {`{"route":"` + strings.Repeat("x", 2<<20), "", "log:1: the line is longer than 1048576 bytes"},
		"Azure":                {"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.97,many,1\n", "", `log:2: ContextTokens: "many" is not`},
		"Mooncake":             {"timestamp_ms,input_length,output_length\n-5,1,1\n", "", `log:2: timestamp_ms: "-5" is no time from the start`},
		"Mooncake's own":       {`{"timestamp": 0, "input_length": "x", "output_length": 5}`, "", `log:1: input_length: "x" is not`},
		"synthetic":            {"t_s,target,in_tokens,out_tokens,latency_s,ok\n1,0,5,5,1,perhaps\n", "", `log:2: ok: "perhaps" is neither`},
		"lengths alone":        {"pool,client,kind,bucket_lo,prob\n", "", "log: it holds the lengths of ServeGen alone"},
		"rates alone":          {"pool,client,t_s,rate,cv,pattern,p1,p2\na,0,0,1,1,Gamma,1,1\n", "", "log: the lengths of ServeGen are missing: put"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := read([]byte(is.file), logfile.Options{Format: is.format})
			if err == nil || !strings.HasPrefix(err.Error(), is.want) {
				t.Errorf("it is said: %v\nand not:    %s…", err, is.want)
			}
		})
	}
}

// A file that was not copied to its end is one that is cut off, wherever that is.
func TestCutFiles(t *testing.T) {
	t.Parallel()
	var all []jobs.Logged
	for i := range 2000 {
		all = append(all, jobs.Logged{RequestID: fmt.Sprint(i), Route: "r", Attempt: jobs.Attempt{At: noon.Add(time.Duration(i*i) * time.Second), Target: "a", Class: jobs.OK}})
	}
	for _, format := range logfile.Written() {
		file := written(t, format, true, all...)
		for _, cut := range []int{1, 2, 8, 9, len(file) / 2, len(file) - 1} {
			if _, _, err := read(file[:cut], logfile.Options{}); err == nil {
				t.Errorf("%s: of %d bytes %d are no reason to complain", format, len(file), cut)
			}
		}
		if _, _, err := read(file[:len(file)-1], logfile.Options{}); !strings.Contains(fmt.Sprint(err), "cut off") {
			t.Errorf("%s: it is said: %v", format, err)
		}
	}
}

// file writes a file and returns its name.
func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Parquet has the columns of the other formats, and OPERATING.md tells of each.
func TestColumnsAreTheSameEverywhere(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/OPERATING.md")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := parquet.OpenFile(bytes.NewReader(written(t, logfile.Parquet, false)), int64(len(written(t, logfile.Parquet, false))))
	if err != nil {
		t.Fatal(err)
	}
	var names, inParquet []string
	for _, c := range logfile.Columns() {
		names = append(names, c.Name)
		if row := "| `" + c.Name + "` | " + c.Says + " |\n"; !bytes.Contains(text, []byte(row)) {
			t.Errorf("docs/OPERATING.md has no line %q", row)
		}
	}
	for _, field := range rows.Schema().Fields() {
		inParquet = append(inParquet, field.Name())
	}
	if diff := cmp.Diff(names, inParquet); diff != "" {
		t.Errorf("columns (-of all +of Parquet):\n%s", diff)
	}
}
