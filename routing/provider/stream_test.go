package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
)

// gathered is what becomes of the bytes of a stream, without HTTP.
func gathered(d dialect, from io.Reader, limit int) (got exchanged, err error) {
	end := &endpoint{dialect: d, stream: d.stream}
	watch := newWatch(jobs.Timeouts{}, func(error) {})
	defer watch.end()
	got.status, got.header = http.StatusOK, http.Header{}
	err = end.readStream(from, limit, watch, &got, nil)
	return got, err
}

// streams are the recorded ones of a dialect.
func streams(t testing.TB, dialect string) (files []string) {
	for _, file := range recordings(t, dialect) {
		if isStream(file) {
			files = append(files, file)
		}
	}
	return files
}

// TestStreamsAreRecorded: a dialect that streams has at least an answer, one that is
// cut off, and one that ends in an error.
func TestStreamsAreRecorded(t *testing.T) {
	t.Parallel()
	for name, d := range dialects {
		met := map[string]bool{}
		for _, file := range streams(t, name) {
			_, want := readRecorded(t, file)
			met[strings.Fields(want)[0]] = true
		}
		base := name
		if d.stream == openAI.stream {
			base = "openai"
		}
		if d.stream != nil && !met["OK"] || d.stream != nil && base == name && (!met["GARBLED"] || !met["OVERLOAD"]) {
			t.Errorf("dialect %s: record streams of an answer, of a cut (GARBLED) and of an error within (OVERLOAD) in testdata/%s/*_stream.http; there are %v", name, name, met)
		}
	}
}

// TestStreamsAreWholeOrNothing cuts each recorded answer around the ends of its lines,
// and in between: what is left is refused, or says all that the answer says.
func TestStreamsAreWholeOrNothing(t *testing.T) {
	t.Parallel()
	for name, d := range dialects {
		for _, file := range streams(t, name) {
			recorded, want := readRecorded(t, file)
			if !strings.HasPrefix(want, "OK") || recorded.body[0] != 'd' && recorded.body[0] != 'e' && recorded.body[0] != ':' {
				continue
			}
			t.Run(name+"/"+filepath.Base(file), func(t *testing.T) {
				t.Parallel()
				end := &endpoint{dialect: d, stream: d.stream}
				said := func(reader io.Reader) (any, jobs.Usage) {
					got, err := gathered(d, reader, defaultMaxAnswerBytes)
					answer, why := end.read(got)
					if err != nil || (answer == nil) == (why == nil) {
						t.Fatalf("%v: %v, %v", err, answer, why)
					}
					if why != nil {
						return nil, why.usage
					}
					whole, _ := tree(t, string(answer.Body)).(map[string]any)
					return whole["choices"], answer.Usage
				}
				whole, usage := said(bytes.NewReader(recorded.body))
				if slow, _ := said(iotest.OneByteReader(bytes.NewReader(recorded.body))); whole == nil || !cmp.Equal(whole, slow) {
					t.Errorf("byte by byte it is\n%s", cmp.Diff(whole, slow))
				}
				for i := range recorded.body {
					if near := recorded.body[max(i-2, 0):min(i+3, len(recorded.body))]; i%11 > 0 && !bytes.Contains(near, []byte("\n")) {
						continue
					}
					left, billed := said(bytes.NewReader(recorded.body[:i]))
					if left != nil && !cmp.Equal(whole, left) {
						t.Errorf("the first %d bytes are an answer:\n%s", i, cmp.Diff(whole, left))
					}
					if billed.Input > usage.Input || billed.Output > usage.Output {
						t.Errorf("the first %d bytes are billed as %+v, the whole as %+v", i, billed, usage)
					}
				}
			})
		}
	}
}

// TestOpenAIStreamComesToTheSame compares what is put together with what OpenAI would
// have sent whole.
func TestOpenAIStreamComesToTheSame(t *testing.T) {
	t.Parallel()
	chunk := func(choice string) string {
		return `data: {"id":"c","object":"chat.completion.chunk","created":7,"model":"m",` + choice + "}\n\n"
	}
	delta := func(members string) string {
		return chunk(`"choices":[{"index":0,"delta":{` + members + `},"finish_reason":null}]`)
	}
	const stop = `"choices":[{"delta":{},"finish_reason":"stop","index":0}]`
	for name, c := range map[string]struct{ stream, message, rest string }{
		"text": {
			delta(`"role":"assistant","content":"<a>\n"`) + delta(`"role":"assistant","content":"\ud83c\udf0a\""`) + chunk(stop),
			`{"role":"assistant","content":"<a>\n🌊\""}`, "",
		},
		"nothing said of the role": {delta(`"content":"a"`) + chunk(stop), `{"role":"assistant","content":"a"}`, ""},
		"members that nobody knows": {
			delta(`"content":"a","thoughts":"b","parts":[{"index":0,"text":"c"}]`) + delta(`"thoughts":"d","parts":[{"index":0,"text":"e"},{"index":1,"text":"f"}],"n":1`) +
				chunk(stop+`,"x_groq":{"id":"g"}`),
			`{"role":"assistant","content":"a","thoughts":"bd","parts":[{"index":0,"text":"ce"},{"index":1,"text":"f"}],"n":1}`, `"x_groq":{"id":"g"}`,
		},
		"calls without an index": {
			delta(`"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":"}}]`) +
				delta(`"tool_calls":[{"function":{"name":"f","arguments":"1}"}}]`) + delta(`"tool_calls":[{"id":"2","type":"function","function":{"name":"g","arguments":"{}"}}]`) + chunk(stop),
			`{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},{"id":"2","type":"function","function":{"name":"g","arguments":"{}"}}]}`, "",
		},
		"calls that are mixed": {
			delta(`"tool_calls":[{"index":1,"id":"2","type":"function","function":{"name":"g","arguments":""}},{"index":0,"id":"1","type":"function","function":{"name":"f","arguments":"{"}}]`) +
				delta(`"tool_calls":[{"index":0,"function":{"arguments":"}"}},{"index":1,"function":{"arguments":"{}"}}]`) + chunk(stop),
			`{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"2","type":"function","function":{"name":"g","arguments":"{}"}}]}`, "",
		},
		"a function of old": {
			delta(`"function_call":{"name":"f","arguments":"{"}`) + delta(`"function_call":{"arguments":"}"}`) + chunk(stop),
			`{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}}`, "",
		},
		"the last is what counts": {
			chunk(`"choices":[],"usage":null,"service_tier":null`) + delta(`"content":"a"`) + chunk(stop+`,"usage":{"prompt_tokens":1},"service_tier":"auto"`) +
				chunk(`"choices":[],"usage":{"prompt_tokens":2},"service_tier":"default"`),
			`{"role":"assistant","content":"a"}`, `"usage":{"prompt_tokens":2},"service_tier":"default"`,
		},
	} {
		want := `{"id":"c","object":"chat.completion","created":7,"model":"m","choices":[{"index":0,"message":` + c.message + `,"logprobs":null,"finish_reason":"stop"}]`
		if c.rest != "" {
			want += "," + c.rest
		}
		got, err := gathered(openAI, strings.NewReader(c.stream+"data: [DONE]\n\n"), defaultMaxAnswerBytes)
		if err != nil || got.cut != nil {
			t.Errorf("%s: %v, %v", name, err, got.cut)
			continue
		}
		if diff := cmp.Diff(tree(t, want+"}"), tree(t, string(got.body))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestOpenAIStreamOfSeveralChoices: they come in any order, each with what the model
// weighed.
func TestOpenAIStreamOfSeveralChoices(t *testing.T) {
	t.Parallel()
	chunk := func(index int, text, finish string) string {
		return fmt.Sprintf(`data: {"id":"c","model":"m","choices":[{"index":%d,"delta":{"content":%q},"logprobs":{"content":[{"token":%q,"logprob":-0.10}],"refusal":null},"finish_reason":%s}]}`+"\n\n", index, text, text, finish)
	}
	stream := chunk(1, "b", "null") + chunk(0, "a", "null") + chunk(1, "B", `"length"`)
	weighed := func(texts ...string) string {
		for i, text := range texts {
			texts[i] = fmt.Sprintf(`{"token":%q,"logprob":-0.10}`, text)
		}
		return `{"content":[` + strings.Join(texts, ",") + `],"refusal":null}`
	}
	if got, err := gathered(openAI, strings.NewReader(stream), defaultMaxAnswerBytes); err != nil || got.cut == nil {
		t.Errorf("one of two choices is not at its end: %v, %s", err, got.body)
	}
	got, err := gathered(openAI, strings.NewReader(stream+chunk(0, "A", `"stop"`)), defaultMaxAnswerBytes)
	if err != nil || got.cut != nil {
		t.Fatalf("%v, %v", err, got.cut)
	}
	want := `{"object":"chat.completion","id":"c","model":"m","choices":[
		{"index":0,"message":{"role":"assistant","content":"aA"},"logprobs":` + weighed("a", "A") + `,"finish_reason":"stop"},
		{"index":1,"message":{"role":"assistant","content":"bB"},"logprobs":` + weighed("b", "B") + `,"finish_reason":"length"}]}`
	if diff := cmp.Diff(tree(t, want), tree(t, string(got.body))); diff != "" {
		t.Error(diff)
	}
}

// TestStreamsAreBounded: neither a long answer, nor a long event, nor a flood of
// little things is kept beyond the limit.
func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	const limit = 20_000
	endless := func(begin, piece string) io.Reader {
		return io.MultiReader(strings.NewReader(begin), repeat(piece))
	}
	const start = `data: {"type":"message_start","message":{"id":"m"}}` + "\n\n" + `data: {"type":"content_block_start","index":0,"content_block":{"type":"text"}}` + "\n\n"
	for name, stream := range map[string]struct {
		dialect string
		from    io.Reader
	}{
		"text":                {"openai", endless("", `data: {"choices":[{"delta":{"content":"abcdef"}}]}`+"\n\n")},
		"choices":             {"openai", numbered(`data: {"choices":[{"index":%d,"delta":{}}]}` + "\n\n")},
		"members":             {"openai", numbered(`data: {"m%d":1}` + "\n\n")},
		"parts":               {"openai", numbered(`data: {"choices":[{"delta":{"m%d":"a"}}]}` + "\n\n")},
		"calls":               {"openai", numbered(`data: {"choices":[{"delta":{"tool_calls":[{"index":%d}]}}]}` + "\n\n")},
		"a line":              {"openai", endless("data: ", "a")},
		"a line of a comment": {"openai", endless("data: 1\n:", "a")},
		"lines":               {"openai", endless("", "data: abc\n")},
		"blocks":              {"anthropic", endless(start, `data: {"type":"content_block_start","index":1,"content_block":{"type":"text"}}`+"\n\n")},
		"a block":             {"anthropic", endless(start, `data: {"type":"content_block_delta","index":0,"delta":{"text":"abcdef"}}`+"\n\n")},
		"pieces":              {"gemini", endless("", `data: {"candidates":[{"content":{"parts":[{"text":"abcdef"}]}}]}`+"\n\n")},
		"functions":           {"gemini", endless("", `data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}}]}}]}`+"\n\n")},
	} {
		got, err := gathered(dialects[stream.dialect], stream.from, limit)
		if !errors.Is(err, errTooLong) || len(got.body) > 2*limit {
			t.Errorf("%s: %v, with %d bytes", name, err, len(got.body))
		}
	}
}

// repeat is a text again and again.
func repeat(text string) io.Reader { return &source{func(int) string { return text }, 0, nil} }

// numbered is a text again and again, with a number in it that rises.
func numbered(form string) io.Reader {
	return &source{func(i int) string { return fmt.Sprintf(form, i) }, 0, nil}
}

type source struct {
	text func(int) string
	i    int
	left []byte
}

func (s *source) Read(into []byte) (int, error) {
	for len(s.left) < len(into) {
		s.left = append(s.left, s.text(s.i)...)
		s.i++
	}
	n := copy(into, s.left)
	s.left = s.left[n:]
	return n, nil
}

// FuzzStream gives any bytes to every dialect that streams.
func FuzzStream(f *testing.F) {
	for name := range dialects {
		for _, file := range streams(f, name) {
			got, _ := readRecorded(f, file)
			f.Add(got.body)
			f.Add(got.body[:len(got.body)*2/3])
		}
	}
	f.Add([]byte("\ufeffevent: error\r\ndata: {}\r\n\r\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		for name, d := range dialects {
			if d.stream == nil {
				continue
			}
			end := &endpoint{dialect: d, stream: d.stream}
			got, err := gathered(d, bytes.NewReader(body), 1<<20)
			slowly, _ := gathered(d, iotest.HalfReader(bytes.NewReader(body)), 1<<20)
			if string(got.body) != string(slowly.body) || (got.cut == nil) != (slowly.cut == nil) {
				t.Fatalf("%s: in other pieces it is another answer: %q, %q", name, got.body, slowly.body)
			}
			if err != nil {
				continue
			}
			answer, why := end.read(got)
			if (answer == nil) == (why == nil) {
				t.Fatalf("%s: %v and %v; exactly one must be nil", name, answer, why)
			}
			if why != nil {
				checkRefused(t, name, d, got.response, *why)
				continue
			}
			checkAnswer(t, name, answer)
			if !json.Valid(got.body) {
				t.Fatalf("%s: put together it is no JSON: %q", name, got.body)
			}
		}
	})
}
