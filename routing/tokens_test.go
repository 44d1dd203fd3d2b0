package routing

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"tidegate/jobs"
)

// chatBody is a body with one message of a user.
func chatBody(t testing.TB, text string) json.RawMessage {
	t.Helper()
	body, err := json.Marshal(map[string]any{"model": "any", "messages": []any{map[string]any{"role": "user", "content": text}}})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestReadPrompt(t *testing.T) {
	t.Parallel()
	picture := "data:image/png;base64," + strings.Repeat("QUJD", 1000)
	for name, c := range map[string]struct {
		body string
		text string // its pieces, each behind a bar
		want prompt
	}{
		"a question": {
			`{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Why?"}],"max_tokens":7,"n":2,"stop":["x"]}`,
			"|Be brief.|Why?",
			prompt{messages: 2, output: 7, choices: 2},
		},
		"blanks and escapes": {
			"\n{ \"messages\" : [ { \"content\" : \"a\\\"b\\\\\" , \"role\" : \"user\" } ] , \"max_completion_tokens\" : 9 }\n",
			`|a"b\`,
			prompt{messages: 1, output: 9},
		},
		"parts": {
			`{"messages":[{"role":"user","content":[{"type":"text","text":"See:"},{"type":"image_url","image_url":{"url":"https://x/y.png","detail":"low"}},{"type":"text","text":"?"}]}]}`,
			"|See:|?",
			prompt{messages: 1, media: 1},
		},
		"data in whatever form": {
			`{"messages":[{"content":[{"image_url":"` + picture + `"},{"input_audio":{"data":"QUJD"}},{"file":{"file_data":"` + picture + `"}},{"anything":"` + picture + `"},{"audio":null}]}]}`,
			"",
			prompt{messages: 1, media: 4},
		},
		"calls of tools": {
			`{"messages":[{"role":"assistant","tool_calls":[{"id":"call_1","type":"function","function":{"name":"look","arguments":"{\"at\":1}"}}]},{"role":"tool","tool_call_id":"call_1","content":"sea"}]}`,
			`|look|{"at":1}|sea`,
			prompt{messages: 2},
		},
		"definitions": {
			`{"tools":[{"type":"function"}], "response_format": {"type":"json_object"} ,"messages":[{"content":"x"}]}`,
			`|[{"type":"function"}]|{"type":"json_object"}|x`,
			prompt{messages: 1, schema: 43},
		},
		"limits that are none": {`{"max_tokens":"many","max_completion_tokens":-3,"n":1.5,"messages":[{"content":""}]}`, "", prompt{messages: 1}},
		"no messages":          {`{"messages":"hello","prompt":"hello"}`, "|hello", prompt{}},
		"a list":               {`["hello"]`, "", prompt{}},
		"no JSON":              {`xxxx`, "", prompt{}},
		"cut off":              {`{"messages":[{"content":"hel`, "|hel", prompt{messages: 1}},
		"nothing":              {``, "", prompt{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var text strings.Builder
			bytes := 0
			got := readPrompt(jobs.EndpointChat, []byte(c.body), func(raw []byte) {
				bytes += len(raw)
				text.WriteString("|" + unescaped(raw))
			})
			if c.want.text = bytes; got != c.want || text.String() != c.text {
				t.Errorf("%+v of %q, want %+v of %q", got, text.String(), c.want, c.text)
			}
		})
	}
}

func TestUnescaped(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "plain", "a\"b\\c/d\n\t\r\b\f", "цвет 潮 🌊", "\u2028 end", "\\u0041"} {
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := unescaped(quoted[1 : len(quoted)-1]); got != text {
			t.Errorf("%s: %q", quoted, got)
		}
	}
	for raw, want := range map[string]string{
		`\ud83c\udf0a!`: "🌊!", `\u6f6e`: "潮", `\/`: "/",
		`\ud83c!`: "\uFFFD!", `\ud83c\u0041`: "\uFFFDA", `\u12`: `\u12`, `\`: `\`, `\x`: `\x`, `a\u00zz`: `a\u00zz`,
	} {
		if got := unescaped([]byte(raw)); got != want {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
	}
}

func TestEncodingOf(t *testing.T) {
	t.Parallel()
	for model, want := range map[string]struct {
		by    encoding
		exact bool
	}{
		"gpt-4o-mini": {o200k, true}, "gpt-4.1": {o200k, true}, "gpt-5-mini": {o200k, true}, "o3-mini": {o200k, true},
		"openai/gpt-4o": {o200k, true}, "ft:gpt-4o-mini:us:x": {o200k, true}, "GPT-4o": {o200k, true}, "gpt-oss-120b": {o200k, true},
		"gpt-4": {cl100k, true}, "gpt-4-turbo": {cl100k, true}, "gpt-3.5-turbo": {cl100k, true}, "gpt-35-turbo": {cl100k, true},
		"deepseek-chat": {o200k, false}, "my-deployment": {o200k, false}, "": {o200k, false},
	} {
		by, exact := encodingOf(&jobs.Target{Dialect: "openai", Model: model})
		if by != want.by || exact != want.exact {
			t.Errorf("%q: %d %t, want %+v", model, by, exact, want)
		}
	}
	if by, exact := encodingOf(&jobs.Target{Dialect: "azure", Model: "gpt-35-turbo"}); by != cl100k || !exact {
		t.Error("it does not know a model at Azure")
	}
	if _, exact := encodingOf(&jobs.Target{Dialect: "anthropic", Model: "gpt-4o"}); exact {
		t.Error("it knows how Anthropic counts")
	}
}

// A request is counted once, however often it asks, and forgotten when it was
// answered.
func TestPromptsAreCountedOnce(t *testing.T) {
	t.Parallel()
	s := chainOf(t, &jobs.Target{Name: "a", Limits: jobs.Limits{TokensPerMinute: 60_000}})
	s.asks(&jobs.Request{ID: "one", Body: chatBody(t, "The tide turns at noon.")})
	pass, _ := s.router.Admit(s.request, nil)
	first := s.router.prompts.known(s.request)
	pass.Release()
	s.passes(s.rests("a"))
	again, _ := s.router.Admit(s.request, nil)
	if got := s.router.prompts.known(s.request); first == nil || got != first {
		t.Errorf("it was counted again: %p and %p", first, got)
	}
	again.Release()
	longer := *s.request
	longer.Body = append(longer.Body, ' ')
	if s.router.prompts.known(&longer) != nil {
		t.Error("another body was counted by that name")
	}
	s.passes(s.rests("a")).tries().to("a")
	if s.router.prompts.known(s.request) != nil {
		t.Error("it is remembered though it was answered")
	}
	for i := range promptsKept + 10 {
		r := &jobs.Request{ID: fmt.Sprint(i)}
		s.router.prompts.keep(r, newCounted(r))
	}
	if got := len(s.router.prompts.byID); got != promptsKept {
		t.Errorf("%d are kept", got)
	}
}

// Where nothing depends on it, nobody counts.
func TestNothingIsCountedForNothing(t *testing.T) {
	t.Parallel()
	s := chainOf(t, &jobs.Target{Name: "a"}, &jobs.Target{Name: "b", ContextTokens: 8000})
	s.asks(&jobs.Request{ID: "one", Body: chatBody(t, "The tide turns at noon.")})
	for _, target := range s.targets {
		if got := s.try().tokens(target); got != 0 {
			t.Errorf("%s: %d tokens", target.Name, got)
		}
	}
	try := s.try()
	for _, target := range s.targets {
		if l := try.length(target); l.over || l.prompt != 0 {
			t.Errorf("%s: %+v", target.Name, l)
		}
	}
	if try.prompt != nil && try.prompt.tokens[o200k].Load() != 0 {
		t.Error("it was counted")
	}
}

// try is one of the request that is told of.
func (s *story) try() *try {
	s.t.Helper()
	made, no := s.router.begin(s.request, s.history)
	if no != nil {
		s.t.Fatal(no)
	}
	return made
}

// The first answers are counted to learn from them, where there is a window, and
// then one now and then.
func TestAnswersTeach(t *testing.T) {
	t.Parallel()
	s := chainOf(t, &jobs.Target{Name: "a"}, &jobs.Target{Name: "b", ContextTokens: 8000})
	s.provider.usage = jobs.Usage{Input: 300, Output: 5}
	s.asks(&jobs.Request{Body: chatBody(t, strings.Repeat("the tide turns. ", 100))})
	for _, name := range []string{"a", "b"} {
		for range 3 * learnFromOneOf {
			s.try().learn(s.targets[name], s.provider.usage)
		}
	}
	if a, b := s.targets["a"].tokens.calls, s.targets["b"].tokens.calls; a != 0 || b < soberAfter || b > soberAfter+3 {
		t.Errorf("they learned from %d and %d prompts", a, b)
	}
	if got := s.targets["b"].tokens.input(400); got.tokens >= 400 || !got.relied() {
		t.Errorf("it learned %+v", got)
	}
}
