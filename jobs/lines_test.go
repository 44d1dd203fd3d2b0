package jobs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var lineNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// lineOptions know two routes: summaries, which claims the model small and gives
// a day, and labels.
var lineOptions = LineOptions{
	DefaultRoute: "labels",
	Routes:       func(model string) (string, bool) { return "summaries", model == "small" },
	KnownRoute:   func(route string) bool { return route == "summaries" || route == "labels" },
	KnownGoal:    func(goal string) bool { return goal == "ordered" },
	Deadline: func(route string) time.Duration {
		if route == "summaries" {
			return 24 * time.Hour
		}
		return 0
	},
	Now: func() time.Time { return lineNow },
}

const smallBody = `{"model":"small","messages":[{"role":"user","content":"hi"}]}`

// read collects everything that ReadLines yields.
func read(r io.Reader, opts LineOptions) (got []Request, bad []*LineError) {
	return collect(ReadLines(r, opts))
}

func collect(lines iter.Seq2[Request, error]) (got []Request, bad []*LineError) {
	for request, err := range lines {
		var line *LineError
		switch {
		case err == nil:
			got = append(got, request)
		case errors.As(err, &line):
			bad = append(bad, line)
		default:
			panic(fmt.Sprintf("not a *LineError: %v", err))
		}
	}
	return got, bad
}

func TestReadLines(t *testing.T) {
	t.Parallel()
	oddBody := `{ "x": 1.0 , "messages":[ {"role":"user","content":"é\u0000"} ],"model":"big"}`
	cases := map[string]struct {
		line string
		want Request
	}{
		"a bare body":                     {smallBody, Request{Route: "summaries", Deadline: lineNow.Add(24 * time.Hour), Body: []byte(smallBody)}},
		"a bare body of no route's model": {oddBody, Request{Route: "labels", Body: []byte(oddBody)}},
		"a batch line": {
			`{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":` + oddBody + `}`,
			Request{Route: "labels", CustomID: "a", Body: []byte(oddBody)},
		},
		"a batch line with all of ours": {
			`{"custom_id":"a","route":"summaries","optimization_goal":"ordered","deadline":"2026-03-01T15:00:00+02:00",` +
				`"max_cost_usd":0.25,"priority":1,"metadata":{"k":"v"},"tenant":"acme","body":` + oddBody + `}`,
			Request{
				CustomID: "a", Route: "summaries", Goal: "ordered", Deadline: lineNow.Add(time.Hour), MaxCost: 250_000, Priority: 1,
				Metadata: map[string]string{"k": "v"}, Tenant: "acme", Body: []byte(oddBody),
			},
		},
		"a short goal and a deadline in days": {
			`{"goal":"ordered","deadline":"7d","body":` + oddBody + `}`,
			Request{Route: "labels", Goal: "ordered", Deadline: lineNow.Add(7 * 24 * time.Hour), Body: []byte(oddBody)},
		},
		"a bare body's unknown fields are the provider's": {
			`{"messages":[{}],"extra":[1],"Body":{},"custom-id":"a"}`,
			Request{Route: "labels", Body: []byte(`{"messages":[{}],"extra":[1],"Body":{},"custom-id":"a"}`)},
		},
		"a field whose name has escapes": {
			`{"custom\u005fid":"a","b\u006fdy":` + oddBody + `}`,
			Request{Route: "labels", CustomID: "a", Body: []byte(oddBody)},
		},
		"a bare body's own metadata is the provider's": {
			`{"metadata":{"n":1},"messages":[{}]}`,
			Request{Route: "labels", Body: []byte(`{"metadata":{"n":1},"messages":[{}]}`)},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, bad := read(strings.NewReader("\ufeff\r\n \n\ufeff"+c.line+" \r\n\n"), lineOptions)
			if len(bad) > 0 {
				t.Fatal(bad[0])
			}
			for i := range got {
				got[i].Deadline = got[i].Deadline.UTC()
			}
			if diff := cmp.Diff([]Request{c.want}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReadLinesSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	with := func(field string) string { return "{" + field + `,"body":` + smallBody + "}" }
	cases := map[string]struct{ line, field, says string }{
		"over several lines":    {`{`, "", "goes on in the next line: write each on one line, as `jq -c .` does"},
		"not JSON":              {`{"custom_id":`, "", "not JSON at byte 13"},
		"not an object":         {`"text"`, "", "must be a JSON object"},
		"an array":              {`[` + smallBody + `]`, "", "one object per line"},
		"not UTF-8":             {"{\"messages\":[\"\xff\"]}", "", "not UTF-8"},
		"nothing":               {`{"custom_id":"a"}`, "body", "is missing"},
		"two bodies":            {`{"messages":[{}],"body":{}}`, "messages", "beside body"},
		"null for a body":       {`{"body":null}`, "body", "must be a JSON object"},
		"a body of text":        {`{"body":"x"}`, "body", "must be a JSON object"},
		"no messages":           {`{"body":{"model":"m"}}`, "body.messages", "at least one"},
		"null for messages":     {`{"messages":null}`, "body.messages", "at least one"},
		"streaming":             {`{"body":{"messages":[{}],"stream":true}}`, "body.stream", "cannot stream"},
		"a model of numbers":    {`{"body":{"messages":[{}],"model":1}}`, "body.model", "must be a string"},
		"a name of numbers":     {with(`"custom_id":7`), "custom_id", "must not be a number"},
		"a long name":           {with(`"custom_id":"` + strings.Repeat("x", 513) + `"`), "custom_id", "at most 512"},
		"another method":        {with(`"method":"GET"`), "method", `only "POST"`},
		"another url":           {with(`"url":"/v1/moderations"`), "url", `there are: /v1/chat/completions, /v1/embeddings, /v1/responses, /v1/completions`},
		"an unknown route":      {with(`"route":"nope"`), "route", `no route "nope"`},
		"an unknown goal":       {with(`"goal":"nope"`), "optimization_goal", `no goal "nope"`},
		"two goals":             {with(`"goal":"ordered","optimization_goal":"ordered"`), "goal", "one of them"},
		"no deadline at all":    {with(`"deadline":"soon"`), "deadline", "24h or 7d"},
		"a deadline that was":   {with(`"deadline":"2020-01-01T00:00:00Z"`), "deadline", "has passed"},
		"a deadline of nothing": {with(`"deadline":"0s"`), "deadline", "has passed"},
		"a limit of nothing":    {with(`"max_cost_usd":0`), "max_cost_usd", "leave it out for no limit"},
		"a limit below zero":    {with(`"max_cost_usd":-1`), "max_cost_usd", "leave it out"},
		"a limit beyond sense":  {with(`"max_cost_usd":1e300`), "max_cost_usd", "between"},
		"a limit of text":       {with(`"max_cost_usd":"1"`), "max_cost_usd", "must not be a string"},
		"a priority of nothing": {with(`"priority":0`), "priority", "leave it out for 2"},
		"a priority too far":    {with(`"priority":5`), "priority", "from 1 (first) to 4 (last)"},
		"half a priority":       {with(`"priority":1.5`), "priority", "must not be a number"},
		"metadata of numbers":   {with(`"metadata":{"n":1}`), "metadata", "values are strings"},
		"metadata with a NUL":   {with(`"metadata":{"n":"\u0000"}`), "metadata", "NUL"},
		"a tenant of two words": {with(`"tenant":"a b"`), "tenant", "is not a name"},
		"an unknown field":      {with(`"extra":1`), "extra", "unknown field; a line has custom_id, method, url, body, route, "},
		"a typing error":        {with(`"dead_line":"7d"`), "dead_line", `did you mean "deadline"?`},
		"another case":          {with(`"Custom_ID":"a"`), "", `"Custom_ID": unknown field; did you mean "custom_id"?`},
		"a name of nothing":     {with(`"":1`), "", `"": unknown field`},
		"the provider's field":  {with(`"temperature":0`), "temperature", "belongs into its body"},
		"a misspelt body":       {`{"custom_id":"a","Body":` + smallBody + `}`, "", `"Body": unknown field; did you mean "body"?`},
		"misspelt messages":     {`{"model":"small","mesages":[{}]}`, "mesages", `did you mean "messages"?`},
		"a field twice":         {with(`"custom_id":"a","custom_id":"b"`), "custom_id", "stands twice"},
		"two bodies in a line":  {with(`"body":{}`), "body", "stands twice"},
		"ours in a bare body":   {`{"custom_id":"a","messages":[{}]}`, "custom_id", `write {"custom_id": …, "body": {…}}`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, bad := read(strings.NewReader(smallBody+"\n\n"+c.line+"\n"+smallBody), lineOptions)
			if len(got) != 2 || len(bad) != 1 {
				t.Fatalf("%d requests and %d errors, want 2 and 1", len(got), len(bad))
			}
			if bad[0].Line != 3 || bad[0].Field != c.field || bad[0].Fatal {
				t.Errorf("line %d, field %q, fatal %v; want line 3, field %q", bad[0].Line, bad[0].Field, bad[0].Fatal, c.field)
			}
			if !strings.Contains(bad[0].Err.Error(), c.says) {
				t.Errorf("%v\ndoes not say %q", bad[0], c.says)
			}
		})
	}
}

func TestReadLinesWithoutOptions(t *testing.T) {
	t.Parallel()
	got, bad := read(strings.NewReader(smallBody+"\n"+`{"route":"any","tenant":"me","goal":"x","body":`+smallBody+`}`), LineOptions{})
	if len(bad) != 1 || bad[0].Field != "route" || !strings.Contains(bad[0].Error(), `line 1: route: none is named and none claims the model "small"`) {
		t.Errorf("a line without a route: %v", bad)
	}
	if len(got) != 1 || got[0].Route != "any" || got[0].Tenant != "me" || got[0].Goal != "x" {
		t.Errorf("a line with everything: %+v", got)
	}
}

func TestReadLinesOfOneTenant(t *testing.T) {
	t.Parallel()
	opts := lineOptions
	opts.Tenant = "acme"
	got, bad := read(strings.NewReader(smallBody+"\n"+
		`{"tenant":"acme","body":`+smallBody+"}\n"+
		`{"tenant":"other","body":`+smallBody+"}"), opts)
	if len(got) != 2 || got[0].Tenant != "acme" || got[1].Tenant != "acme" {
		t.Errorf("its own: %+v", got)
	}
	if len(bad) != 1 || bad[0].Line != 3 || bad[0].Field != "tenant" {
		t.Errorf("another's: %v", bad)
	}
}

// A name is used up by the line that was taken with it, not by one that failed.
func TestReadLinesNamesBothLinesOfADuplicate(t *testing.T) {
	t.Parallel()
	named := func(id, rest string) string {
		return `{"custom_id":"` + id + `"` + rest + `,"body":` + smallBody + "}\n"
	}
	got, bad := read(strings.NewReader(named("a", `,"route":"nope"`)+named("a", "")+named("b", "")+"\n"+named("a", "")), lineOptions)
	if len(got) != 2 || len(bad) != 2 {
		t.Fatalf("%d requests and %d errors, want 2 and 2", len(got), len(bad))
	}
	if bad[1].Line != 5 || bad[1].Field != "custom_id" || !strings.Contains(bad[1].Error(), `"a" was used on line 2 already`) {
		t.Error(bad[1])
	}
}

func TestReadLinesGoesOnBehindALineThatIsTooLong(t *testing.T) {
	t.Parallel()
	const limit = 200 << 10 // more than one buffer
	fits := `{"messages":["` + strings.Repeat("x", limit-len(`{"messages":[""]}`)) + `"]}`
	long := strings.Repeat("x", limit+3)
	in := strings.NewReader(long + "\n" + fits + "\r\n" + fits + "xyz\n" + long)
	got, bad := collect(readLines(newLineSplitter(in, limit), lineOptions))
	if len(got) != 1 || len(got[0].Body) != limit {
		t.Errorf("the line that just fits did not arrive: %d requests", len(got))
	}
	var said []string
	for _, err := range bad {
		said = append(said, fmt.Sprintf("%d %s", err.Line, err.Field))
	}
	if diff := cmp.Diff([]string{"1 ", "3 ", "4 "}, said); diff != "" {
		t.Error(diff, bad)
	}
}

// The reader's memory is bounded by a line, however long the line is.
func TestLineSplitterHoldsOneLine(t *testing.T) {
	t.Parallel()
	const limit = 200 << 10
	lines := newLineSplitter(io.LimitReader(endless{}, 20*limit), limit)
	if _, err := lines.next(); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%d bytes, at most %d", 20*limit, limit)) {
		t.Fatal(err)
	}
	if cap(lines.line) > 2*limit {
		t.Errorf("holds %d bytes of a line of at most %d", cap(lines.line), limit)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// An input that breaks off is never taken for one that ended.
func TestReadLinesTellsAnInputThatBroke(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is gone")
	in := io.MultiReader(strings.NewReader(smallBody+"\n"+smallBody[:20]), iotest.ErrReader(broken))
	got, bad := read(in, lineOptions)
	if len(got) != 1 || len(bad) != 1 || !bad[0].Fatal || bad[0].Line != 2 || !errors.Is(bad[0], broken) {
		t.Errorf("%d requests, %v", len(got), bad)
	}
}

func TestReadLinesKnowsOtherFormats(t *testing.T) {
	t.Parallel()
	for magic, says := range map[string]string{
		"\xff\xfe{\x00\"\x00\n\x00":          "UTF-16",
		"\x1f\x8b\x08\x00\n\n\n":             "gzip -dc",
		"\x28\xb5\x2f\xfd":                   "zstd -dc",
		"PK\x03\x04 and so on\nand so forth": "zip",
	} {
		_, bad := read(strings.NewReader(magic), lineOptions)
		if len(bad) != 1 || !bad[0].Fatal || bad[0].Line != 1 || !strings.Contains(bad[0].Error(), says) {
			t.Errorf("%q: %v, want one error that says %q", magic, bad, says)
		}
	}
}

func TestReadLinesStopsWhenItsReaderDoes(t *testing.T) {
	t.Parallel()
	count := 0
	for _, err := range ReadLines(strings.NewReader(strings.Repeat(smallBody+"\n", 9)), lineOptions) {
		if count++; count == 3 || err != nil {
			break
		}
	}
	for _, err := range ReadLines(strings.NewReader("x\nx\nx\n"), lineOptions) {
		if count++; count == 5 || err == nil {
			break
		}
	}
	if count != 5 {
		t.Errorf("%d rounds, want 5", count)
	}
}

// What is written as a line is read as the same request.
func TestLinesRoundTrip(t *testing.T) {
	t.Parallel()
	word := rapid.StringMatching(`[a-z0-9]{1,8}`)
	rapid.Check(t, func(t *rapid.T) {
		content, _ := json.Marshal(rapid.String().Draw(t, "content"))
		want := Request{
			CustomID: strings.ReplaceAll(rapid.StringN(1, 30, 120).Draw(t, "custom_id"), "\x00", ""),
			Route:    word.Draw(t, "route"),
			Goal:     word.Draw(t, "goal"),
			Tenant:   word.Draw(t, "tenant"),
			Deadline: lineNow.Add(time.Duration(rapid.IntRange(1, 1e6).Draw(t, "deadline")) * time.Second),
			MaxCost:  MicroUSD(rapid.IntRange(1, 1e12).Draw(t, "max_cost")),
			Priority: rapid.IntRange(1, 4).Draw(t, "priority"),
			Metadata: rapid.MapOfN(word, word, 1, 5).Draw(t, "metadata"),
			Body:     json.RawMessage(`{"messages":[{"content":` + string(content) + `}]}`),
		}
		raw, err := json.Marshal(map[string]any{
			"custom_id": want.CustomID, "route": want.Route, "goal": want.Goal, "tenant": want.Tenant, "body": want.Body,
			"deadline": want.Deadline.Format(time.RFC3339), "max_cost_usd": want.MaxCost.Dollars(), "priority": want.Priority, "metadata": want.Metadata,
		})
		if err != nil {
			t.Fatal(err)
		}
		// A JSON encoder may escape the body anew; what it wrote is what must arrive.
		var sent struct{ Body json.RawMessage }
		if err := json.Unmarshal(raw, &sent); err != nil {
			t.Fatal(err)
		}
		want.Body = sent.Body
		got, bad := read(bytes.NewReader(raw), LineOptions{Now: func() time.Time { return lineNow }})
		if len(bad) > 0 {
			t.Fatal(bad[0])
		}
		if diff := cmp.Diff([]Request{want}, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

// FuzzReadLines: no input panics, and every line that is not blank comes out as
// a valid request or as an error, in order.
func FuzzReadLines(f *testing.F) {
	f.Add([]byte(smallBody + "\n\r\n" + `{"custom_id":"a","body":` + smallBody + "}\n"))
	f.Add([]byte(`{"custom_id":"a","deadline":"7d","max_cost_usd":1,"metadata":{"k":"v"},"body":` + smallBody + "}"))
	f.Add([]byte("\ufeff{}\n[]\nnull\n\xff\n{\"body\":{\"messages\":[{}],\"model\":{}}}"))
	f.Add([]byte("\x1f\x8b\n\n"))
	f.Fuzz(func(t *testing.T, input []byte) {
		want := 0
		for line := range bytes.SplitSeq(input, []byte("\n")) {
			if len(bytes.Trim(bytes.TrimPrefix(line, byteOrderMark), " \t\r\n")) > 0 {
				want++
			}
		}
		out, last := 0, 0
		for request, err := range ReadLines(bytes.NewReader(input), lineOptions) {
			out++
			if err == nil {
				if err := request.Validate(); err != nil {
					t.Fatalf("an invalid request came through: %v", err)
				}
				if !bytes.Contains(input, request.Body) {
					t.Fatalf("the body %q is not that of the input", request.Body)
				}
				continue
			}
			var bad *LineError
			if !errors.As(err, &bad) || bad.Line <= last {
				t.Fatalf("after line %d: %v", last, err)
			}
			if last = bad.Line; bad.Fatal {
				return
			}
		}
		if out != want {
			t.Fatalf("%d lines in, %d out", want, out)
		}
	})
}

func BenchmarkReadLines(b *testing.B) {
	content := strings.Repeat("A document of some length, as they are. ", 50)
	var input bytes.Buffer
	for i := range 1000 {
		fmt.Fprintf(&input, `{"custom_id":"doc-%d","method":"POST","url":"/v1/chat/completions","body":{"model":"small","messages":[{"role":"user","content":%q}]}}`+"\n", i, content)
	}
	b.SetBytes(int64(input.Len()))
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range ReadLines(bytes.NewReader(input.Bytes()), lineOptions) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

// A line may be longer than a body, which has a limit of its own.
func TestCheckBodyOfTooManyBytes(t *testing.T) {
	t.Parallel()
	if err := EndpointChat.CheckBody(make([]byte, MaxBodyBytes+1)); err == nil || !strings.Contains(err.Error(), "at most 8388608") {
		t.Error(err)
	}
}
