package expect

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidegate/jobs"
)

func rulesOf(t *testing.T, text string) *Rules {
	t.Helper()
	e, err := jobs.ParseExpect([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Compile(e, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const person = `{"json_schema": {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}}, "required": ["name"], "additionalProperties": false}}`

func TestJudge(t *testing.T) {
	t.Parallel()
	text := func(s string) Said { return Said{Text: s, Finish: "stop", Tokens: 10} }
	for name, c := range map[string]struct {
		expect string
		said   Said
		unmet  string // its beginning; empty: none
	}{
		"json":               {`{"json_schema": true}`, text(` [1] `), ""},
		"no json":            {`{"json_schema": true}`, text(`see: [1]`), "json_schema: it is no JSON"},
		"json and more":      {`{"json_schema": true}`, text(`[1] that is it`), "json_schema: there is more than JSON"},
		"fence":              {`{"json_schema": true}`, text("```json\n[1]\n```"), "json_schema: it is no JSON"},
		"fence allowed":      {`{"json_schema": true, "fenced": true}`, text("```json\n[1]\n```"), ""},
		"fence not needed":   {`{"json_schema": true, "fenced": true}`, text("[1]"), ""},
		"fence of python":    {`{"json_schema": true, "fenced": true}`, text("```python\n[1]\n```"), "json_schema"},
		"schema kept":        {person, text(`{"name": "Ada", "age": 36}`), ""},
		"schema broken":      {person, text(`{"name": "Ada", "age": -1}`), "json_schema: it does not keep #/properties/age/minimum"},
		"schema, no secrets": {person, text(`{"name": "Ada", "s3cret": 1}`), "json_schema: it does not keep #/additionalProperties"},
		"empty":              {person, text(``), "json_schema: it is no JSON"},
		"regex":              {`{"regex": "^(yes|no)$"}`, text(" yes\n"), ""},
		"regex not found":    {`{"regex": "^(yes|no)$"}`, text("yes, I think"), "regex"},
		"short":              {`{"min_characters": 4}`, text(" äöü "), "min_characters: it has 3 characters, less than 4"},
		"long":               {`{"max_characters": 3}`, text("äöüß"), "max_characters"},
		"few tokens":         {`{"min_tokens": 11}`, text("x"), "min_tokens: it has 10 tokens, less than 11"},
		"many tokens":        {`{"max_tokens": 9}`, text("x"), "max_tokens"},
		"finish":             {`{"finish_reasons": ["stop"]}`, text("x"), ""},
		"cut off":            {`{"finish_reasons": ["stop"]}`, Said{Text: "x", Finish: "length"}, "finish_reasons"},
		"family":             {`{"same_model_family": true}`, Said{Model: "gpt-4o-2024-08-06", Expected: "gpt-4o"}, ""},
		"other family":       {`{"same_model_family": true}`, Said{Model: "gpt-4o-mini", Expected: "gpt-4o"}, "same_model_family"},
		"family not known":   {`{"same_model_family": true}`, Said{Expected: "gpt-4o"}, ""},
		"tools":              {person, Said{Calls: true, Finish: "tool_calls"}, ""},
		"tools unwanted":     {`{"finish_reasons": ["stop"]}`, Said{Calls: true, Finish: "tool_calls"}, "finish_reasons"},
		"huge exponent":      {`{"json_schema": {"type": "integer"}}`, text(`1e999999999`), "json_schema: a number in it is out of all bounds"},
		"deep":               {`{"json_schema": true}`, text(strings.Repeat("[", 1<<20)), "json_schema: it is no JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if unmet := rulesOf(t, c.expect).Judge(&c.said); unmet != nil {
				got = unmet.String()
			}
			if c.unmet == "" && got != "" || !strings.HasPrefix(got, c.unmet) {
				t.Errorf("got %q, want %q", got, c.unmet)
			}
			if strings.Contains(got, "s3cret") {
				t.Errorf("%q holds a piece of the answer", got)
			}
		})
	}
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	for expect, want := range map[string]string{
		`{"json_schema": {"type": "strin"}}`:                                                         "json_schema: is no JSON schema",
		`{"json_schema": {"$ref": "https://example.com/s.json"}}`:                                    "nothing is loaded",
		`{"json_schema": {"$ref": "file:///etc/passwd"}}`:                                            "nothing is loaded",
		`{"json_schema": {"$schema": "http://example.com/draft"}}`:                                   "nothing is loaded",
		`{"json_schema": {"$ref": "#/$defs/none"}}`:                                                  "json_schema: is no JSON schema",
		`{"json_schema": {"pattern": "(?=x)"}}`:                                                      "json_schema: is no JSON schema",
		`{"json_schema": {"$dynamicRef": "#x"}}`:                                                     "$dynamicRef is not supported",
		`{"json_schema": {"maximum": 1e99999999}}`:                                                   "json_schema: a number",
		`{"json_schema": {"properties": {"a": {"maxLength": "many"}}}}`:                              "json_schema: is no JSON schema",
		`{"json_schema": false}`:                                                                     "json_schema: must be an object",
		`{"regex": "(?<=x)y"}`:                                                                       "regex: ",
		`{"regex": "` + strings.Repeat(".{0,999}", 120) + `x"}`:                                      "regex: it is too large",
		`{"json_schema": {"pattern": "` + strings.Repeat(".{0,999}", 120) + `x"}}`:                   "is no JSON schema",
		`{"json_schema": {"allOf": [` + strings.Repeat(`{"pattern": ".{0,999}x"}, `, 30) + `true]}}`: "too large together",
		`{"json_schema": {"patternProperties": {"` + strings.Repeat(".{0,999}", 120) + `x": true}}}`: "is no JSON schema",
		`{"regx": "a"}`:                      `did you mean "regex"?`,
		`{"min_tokens": 9, "max_tokens": 8}`: "min_tokens: 9 is more than max_tokens",
		`{"min_tokens": "9"}`:                "min_tokens: must not be a string",
		`{}`:                                 `says nothing: write what the answer must be like, as in {"finish_reasons": ["stop"]}, or leave it out`,
		`{"tries": null, "regex": ""}`:       "says nothing",
		`{"regex": "a", "tries": 0}`:         "tries: must be from 1 to 10; leave it out for 2",
		`{"tries": 11}`:                      "tries: must be from 1 to 10",
		`{"otherwise": "keep it"}`:           "otherwise: ",
		`{"fenced": true}`:                   "fenced: ",
		`{"finish_reasons": [""]}`:           "finish_reasons: ",
		`[]`:                                 "must be an object",
		`{"json_schema": {"description": "` + strings.Repeat("x", 50_000) + `"}}`: "at most 49152",
	} {
		e, err := jobs.ParseExpect([]byte(expect))
		if err == nil {
			_, err = Compile(e, nil)
		}
		if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 600 {
			t.Errorf("%.80s: got %v, want %q", expect, err, want)
		}
	}
}

// What a request says of tries alone holds for the rules of its route; and what was
// stored before it was refused to say nothing is worked as it was.
func TestExpectWithoutRules(t *testing.T) {
	t.Parallel()
	if e, err := jobs.ParseExpect([]byte(`{"tries": 3, "otherwise": "keep"}`)); err != nil || e.Judges() {
		t.Errorf("got %+v, %v", e, err)
	}
	if _, err := Compile(&jobs.Expect{}, nil); err != nil {
		t.Errorf("one that is stored: %v", err)
	}
	request := jobs.Request{Route: "r", Body: []byte(`{"messages": [{"role": "user", "content": "x"}]}`), Expect: &jobs.Expect{}}
	if err := request.Validate(); err == nil || !strings.HasPrefix(err.Error(), "expect: says nothing") {
		t.Errorf("one of a producer: got %v", err)
	}
}

func TestResponseFormat(t *testing.T) {
	t.Parallel()
	e := &jobs.Expect{ResponseFormat: true}
	for body, c := range map[string]struct{ text, unmet, err string }{
		`{"messages": []}`:                             {"anything", "", ""},
		`{"response_format": {"type": "text"}}`:        {"anything", "", ""},
		`{"response_format": {"type": "json_object"}}`: {"anything", "response_format: it is no JSON", ""},
		`{"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "array"}}}}`:             {"{}", "response_format: it does not keep #/type", ""},
		`{"input": "x", "text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "array"}}}}`:  {"{}", "response_format: it does not keep #/type", ""},
		`{"input": "x", "text": {"format": {"type": "json_object"}}}`:                                            {"anything", "response_format: it is no JSON", ""},
		`{"input": "x", "text": {"format": {"type": "json_schema", "name": "x"}}}`:                               {"", "", "has no schema"},
		`{"input": "x", "text": {"format": {"type": "text"}}}`:                                                   {"anything", "", ""},
		`{"messages": [], "text": "a \"format\" of no meaning"}`:                                                 {"anything", "", ""},
		`{"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}`:                             {"", "", "has no schema"},
		`{"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "arr"}}}}`:               {"", "", "response_format: is no JSON schema"},
		`{"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": ["array", "object"]}}}}`: {"{}", "", ""},
	} {
		r, err := new(Cache).Compile(e, []byte(body))
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, want %q", body, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		got := ""
		if unmet := r.Judge(&Said{Text: c.text}); unmet != nil {
			got = unmet.String()
		}
		if got != c.unmet {
			t.Errorf("%s: %q, want %q", body, got, c.unmet)
		}
	}
}

// doubling is a schema each of whose parts asks the next one twice: a judgement
// would take 2 to the power of 60 steps.
func doubling(keyword string) string {
	defs := map[string]any{"d60": map[string]any{"type": "string"}}
	names := make([]string, 61)
	for i := range names {
		names[i] = "d" + string(rune('0'+i/10)) + string(rune('0'+i%10))
	}
	defs[names[60]] = map[string]any{"type": "string"}
	for i := range 60 {
		next := map[string]any{"$ref": "#/$defs/" + names[i+1]}
		defs[names[i]] = map[string]any{keyword: []any{next, next}}
	}
	out, _ := json.Marshal(map[string]any{"$ref": "#/$defs/" + names[0], "$defs": defs})
	return string(out)
}

// A schema and an answer that mean harm cost little, and are refused.
func TestHostileSchemas(t *testing.T) {
	t.Parallel()
	twice := `{"json_schema": {"$defs": {"a": {"anyOf": [{"properties": {"x": {"$ref": "#/$defs/a"}}, "required": ["y"]}, {"properties": {"x": {"$ref": "#/$defs/a"}}, "required": ["z"]}]}}, "$ref": "#/$defs/a"}}`
	nested := strings.Repeat(`{"x":`, 60) + "1" + strings.Repeat("}", 60)
	for name, c := range map[string]struct{ expect, text string }{
		"anyOf":   {`{"json_schema": ` + doubling("anyOf") + `}`, "1"},
		"allOf":   {`{"json_schema": ` + doubling("allOf") + `}`, `"x"`},
		"oneOf":   {`{"json_schema": ` + doubling("oneOf") + `}`, "1"},
		"nesting": {twice, nested},
		"itself":  {`{"json_schema": {"$ref": "#"}}`, "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			done := make(chan *Unmet, 1)
			rules := rulesOf(t, c.expect)
			go func() { done <- rules.Judge(&Said{Text: c.text}) }()
			select {
			case unmet := <-done:
				if unmet == nil {
					t.Error("it was taken for kept")
				}
			case <-time.After(20 * time.Second):
				t.Fatal("the judgement does not end")
			}
			if unmet := rules.Judge(&Said{Text: `no JSON`}); unmet == nil || unmet.Why != "it is no JSON" {
				t.Errorf("the next judgement says %v", unmet)
			}
		})
	}
}

// An expression that is asked for a text that is long for it costs nothing more.
func TestHostilePatterns(t *testing.T) {
	t.Parallel()
	long, slow := strings.Repeat("a ", 1<<20), "(x|.{0,999})ZQ"
	for name, c := range map[string]struct{ expect, text string }{
		"regex":   {`{"regex": "` + slow + `"}`, long},
		"pattern": {`{"json_schema": {"pattern": "` + slow + `"}}`, `"` + long[:1<<20] + `"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			unmet := rulesOf(t, c.expect).Judge(&Said{Text: c.text})
			if unmet == nil || !strings.Contains(unmet.Why, "too many steps") {
				t.Errorf("it says %v", unmet)
			}
		})
	}
}

// What the drafts say of themselves is built in, and each compilation has its own.
func TestDraftsAreBuiltIn(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			r := rulesOf(t, `{"json_schema": {"$ref": "https://json-schema.org/draft/2020-12/schema"}}`)
			for range 20 {
				if unmet := r.Judge(&Said{Text: `{"type": "string"}`}); unmet != nil {
					t.Error(unmet)
				}
				if unmet := r.Judge(&Said{Text: `{"type": "strin"}`}); unmet == nil {
					t.Error("what is no schema was taken for one")
				}
			}
		})
	}
	all.Wait()
}

func TestFamily(t *testing.T) {
	t.Parallel()
	for model, want := range map[string]string{
		"gpt-4o": "gpt-4o", "gpt-4o-2024-08-06": "gpt-4o", "openai/gpt-4o": "gpt-4o", "gpt-4o-mini": "gpt-4o-mini", "GPT-4-0613": "gpt-4",
		"gpt-4o-latest": "gpt-4o", "claude-3-5-sonnet-20241022": "claude-3-5-sonnet", "claude-3-5-sonnet@20241022": "claude-3-5-sonnet",
		"claude-haiku-4-5": "claude-haiku-4-5", "claude-haiku-4-5-20251001": "claude-haiku-4-5", "models/gemini-1.5-pro-002": "gemini-1.5-pro",
		"gemini-2.5-flash-preview-05-20": "gemini-2.5-flash", "gemini-2.5-flash": "gemini-2.5-flash", "deepseek/deepseek-chat:free": "deepseek-chat",
		"anthropic.claude-3-haiku-20240307-v1:0": "anthropic.claude-3-haiku", "mistral-small-2503": "mistral-small", "mistral-small-latest": "mistral-small",
		"llama-3.1-8b": "llama-3.1-8b", "o3": "o3", "": "", "2024": "2024",
	} {
		if got := Family(model); got != want {
			t.Errorf("%q is of the family %q, want %q", model, got, want)
		}
	}
}

// The family of a family is itself, and a judgement ends for any text.
func TestJudgeAnything(t *testing.T) {
	t.Parallel()
	r := rulesOf(t, person)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		if unmet := r.Judge(&Said{Text: text}); unmet == nil && !json.Valid([]byte(text)) {
			t.Errorf("%q was taken for JSON", text)
		}
		if family := Family(text); len(family) > 0 && Family(family) != family && strings.Count(text, "-")+strings.Count(text, ":") < 4 {
			t.Errorf("%q: %q is of the family %q", text, family, Family(family))
		}
	})
}

// The cache holds so much and no more, and says the same again.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	var cache Cache
	for i := range 2 * cachedAtMost {
		e := &jobs.Expect{MinTokens: i + 1}
		first, err := cache.Compile(e, nil)
		again, _ := cache.Compile(&jobs.Expect{MinTokens: i + 1}, nil)
		if err != nil || first != again {
			t.Fatalf("%d: %v, %p and %p", i, err, first, again)
		}
	}
	if len(cache.known) > cachedAtMost {
		t.Errorf("%d are kept", len(cache.known))
	}
	for range 100 {
		e := &jobs.Expect{JSONSchema: json.RawMessage(`{"description": "` + strings.Repeat("x", 40_000) + `"}`), MinTokens: len(cache.known)}
		if _, err := cache.Compile(e, nil); err != nil {
			t.Fatal(err)
		}
	}
	if cache.bytes > cachedBytes {
		t.Errorf("%d bytes are kept", cache.bytes)
	}
}

func BenchmarkJudge(b *testing.B) {
	e, _ := jobs.ParseExpect([]byte(person))
	r, err := Compile(e, nil)
	if err != nil {
		b.Fatal(err)
	}
	said := Said{Text: `{"name": "Ada Lovelace", "age": 36}`}
	b.ReportAllocs()
	for b.Loop() {
		if r.Judge(&said) != nil {
			b.Fatal("it is not kept")
		}
	}
}
