package provider

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
)

// translated are bodies, and what becomes of them in the dialects that say them in
// other words.
var translated = map[string]struct{ body, anthropic, gemini string }{
	"the least": {
		`{"model":"any","messages":[{"role":"user","content":"Why <b> & why?"}]}`,
		`{"model":"m","max_tokens":8192,"messages":[{"role":"user","content":[{"type":"text","text":"Why <b> & why?"}]}]}`,
		`{"contents":[{"role":"user","parts":[{"text":"Why <b> & why?"}]}],"generationConfig":{}}`,
	},
	"settings": {
		`{"messages":[{"role":"developer","content":"Be brief."},{"role":"system","content":[{"type":"text","text":"Be kind."}]},{"role":"user","content":"Hi"}],
			"max_tokens":5,"max_completion_tokens":7,"temperature":0.5,"top_p":0.9,"stop":"END","reasoning_effort":"low","stream":true,"stream_options":{"include_usage":true},
			"n":1,"logprobs":null,"presence_penalty":0,"store":false,"modalities":["text"],"service_tier":"auto","prompt_cache_key":"k","response_format":{"type":"text"}}`,
		`{"model":"m","max_tokens":7,"system":[{"type":"text","text":"Be brief."},{"type":"text","text":"Be kind."}],
			"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}],"temperature":0.5,"top_p":0.9,"stop_sequences":["END"],"output_config":{"effort":"low"}}`,
		`{"systemInstruction":{"parts":[{"text":"Be brief."},{"text":"Be kind."}]},"contents":[{"role":"user","parts":[{"text":"Hi"}]}],
			"generationConfig":{"maxOutputTokens":7,"temperature":0.5,"topP":0.9,"presencePenalty":0,"stopSequences":["END"],"thinkingConfig":{"thinkingLevel":"LOW"}}}`,
	},
	"files": {
		`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO","detail":"auto"}},
			{"type":"image_url","image_url":{"url":"https://example.com/a.JPG?x=1"}},
			{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBE"}},{"type":"text","text":"What is this?"}]}]}`,
		`{"model":"m","max_tokens":8192,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBO"}},
			{"type":"image","source":{"type":"url","url":"https://example.com/a.JPG?x=1"}},
			{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBE"}},{"type":"text","text":"What is this?"}]}]}`,
		`{"contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"image/png","data":"iVBO"}},
			{"fileData":{"mimeType":"image/jpeg","fileUri":"https://example.com/a.JPG?x=1"}},
			{"inlineData":{"mimeType":"application/pdf","data":"JVBE"}},{"text":"What is this?"}]}],"generationConfig":{}}`,
	},
	"tools": {
		`{"messages":[{"role":"user","content":"Tides?"},
			{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"tides","arguments":"{\"port\":\"Hamburg\"}"}},
				{"id":"c2","type":"function","function":{"name":"now","arguments":""}}]},
			{"role":"tool","tool_call_id":"c1","content":"{\"high\":12.50}"},{"role":"tool","tool_call_id":"c2","content":"noon"},{"role":"user","content":"So?"}],
			"tools":[{"type":"function","function":{"name":"tides","description":"When it is high.","parameters":{"type":"object","properties":{"port":{"type":"string"}}}}},
				{"type":"function","function":{"name":"now"}}],"tool_choice":"required"}`,
		`{"model":"m","max_tokens":8192,"messages":[{"role":"user","content":[{"type":"text","text":"Tides?"}]},
			{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"tides","input":{"port":"Hamburg"}},{"type":"tool_use","id":"c2","name":"now","input":{}}]},
			{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":[{"type":"text","text":"{\"high\":12.50}"}]},
				{"type":"tool_result","tool_use_id":"c2","content":[{"type":"text","text":"noon"}]},{"type":"text","text":"So?"}]}],
			"tools":[{"name":"tides","description":"When it is high.","input_schema":{"type":"object","properties":{"port":{"type":"string"}}}},
				{"name":"now","input_schema":{"type":"object"}}],"tool_choice":{"type":"any"}}`,
		`{"contents":[{"role":"user","parts":[{"text":"Tides?"}]},
			{"role":"model","parts":[{"functionCall":{"id":"c1","name":"tides","args":{"port":"Hamburg"}}},{"functionCall":{"id":"c2","name":"now","args":{}}}]},
			{"role":"user","parts":[{"functionResponse":{"id":"c1","name":"tides","response":{"high":12.50}}},
				{"functionResponse":{"id":"c2","name":"now","response":{"output":"noon"}}},{"text":"So?"}]}],
			"tools":[{"functionDeclarations":[{"name":"tides","description":"When it is high.","parametersJsonSchema":{"type":"object","properties":{"port":{"type":"string"}}}},{"name":"now"}]}],
			"toolConfig":{"functionCallingConfig":{"mode":"ANY"}},"generationConfig":{}}`,
	},
	"a schema": {
		`{"messages":[{"role":"user","content":"Hi"}],"response_format":{"type":"json_schema","json_schema":{"name":"a","strict":true,"schema":{"type":"object"}}},
			"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"function","function":{"name":"f"}}}`,
		`{"model":"m","max_tokens":8192,"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}],
			"output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}},
			"tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"tool","name":"f"}}`,
		`{"contents":[{"role":"user","parts":[{"text":"Hi"}]}],"tools":[{"functionDeclarations":[{"name":"f"}]}],
			"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f"]}},
			"generationConfig":{"responseMimeType":"application/json","responseJsonSchema":{"type":"object"}}}`,
	},
	"one dialect's alone": {
		`{"messages":[{"role":"user","content":"Hi"}],"seed":7,"frequency_penalty":0.5,"response_format":{"type":"json_object"}}`,
		"",
		`{"contents":[{"role":"user","parts":[{"text":"Hi"}]}],"generationConfig":{"frequencyPenalty":0.5,"seed":7,"responseMimeType":"application/json"}}`,
	},
	"the other's alone": {
		`{"messages":[{"role":"user","content":"Hi"}],"user":"u","safety_identifier":"s","parallel_tool_calls":false,
			"tools":[{"type":"function","function":{"name":"f","strict":true}}]}`,
		`{"model":"m","max_tokens":8192,"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}],"metadata":{"user_id":"s"},
			"tools":[{"name":"f","input_schema":{"type":"object"},"strict":true}],"tool_choice":{"type":"auto","disable_parallel_tool_use":true}}`,
		"",
	},
}

func TestEncode(t *testing.T) {
	t.Parallel()
	for name, c := range translated {
		for dialect, want := range map[string]string{"anthropic": c.anthropic, "gemini": c.gemini} {
			t.Run(name+"/"+dialect, func(t *testing.T) {
				t.Parallel()
				wire, err := dialects[dialect].encode(&jobs.Target{Model: "m"}, []byte(c.body))
				if want == "" {
					if err == nil {
						t.Errorf("it was sent as %s", wire)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tree(t, want), tree(t, string(wire))); diff != "" {
					t.Errorf("body (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// tree reads JSON, and keeps the spelling of its numbers.
func tree(t *testing.T, text string) (value any) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return value
}

// TestWhatCannotBeSaidIsNamed: what neither Anthropic nor Gemini can say is refused
// by its name.
func TestWhatCannotBeSaidIsNamed(t *testing.T) {
	t.Parallel()
	const hi = `{"role":"user","content":"Hi"}`
	with := func(members string) string { return `{"messages":[` + hi + `],` + members + `}` }
	message := func(m string) string { return `{"messages":[` + hi + `,` + m + `]}` }
	for _, c := range []struct{ body, field string }{
		{with(`"brand_new":1`), "brand_new"},
		{with(`"n":2`), "n"},
		{with(`"logprobs":true`), "logprobs"},
		{with(`"top_logprobs":3`), "top_logprobs"},
		{with(`"logit_bias":{"50256":-100}`), "logit_bias"},
		{with(`"metadata":{"a":"b"}`), "metadata"},
		{with(`"store":true`), "store"},
		{with(`"modalities":["text","audio"]`), "modalities"},
		{with(`"audio":{"voice":"a"}`), "audio"},
		{with(`"service_tier":"flex"`), "service_tier"},
		{with(`"verbosity":"low"`), "verbosity"},
		{with(`"functions":[{"name":"f"}]`), "functions"},
		{with(`"web_search_options":{}`), "web_search_options"},
		{with(`"prediction":{"type":"content"}`), "prediction"},
		{with(`"temperature":"hot"`), "temperature"},
		{with(`"stop":7`), "stop"},
		{with(`"reasoning_effort":"none"`), "reasoning_effort"},
		{with(`"response_format":{"type":"grammar"}`), "response_format.type"},
		{with(`"response_format":{"type":"json_schema","json_schema":{"name":"a"}}`), "response_format.json_schema.schema"},
		{with(`"tools":[{"type":"custom"}]`), "tools[0].type"},
		{with(`"tools":[{"type":"function","function":{"name":"f","brand_new":1}}]`), "tools[0].function.brand_new"},
		{with(`"tool_choice":"maybe"`), "tool_choice"},
		{with(`"tool_choice":{"type":"allowed_tools"}`), "tool_choice.type"},
		{message(`{"role":"system","content":"late"}`), "messages[1].role"},
		{message(`{"role":"narrator","content":"x"}`), "messages[1].role"},
		{message(`{"role":"user","content":"x","name":"bob"}`), "messages[1].name"},
		{message(`{"role":"assistant","content":""}`), "messages[1].content"},
		{message(`{"role":"assistant","content":"x","audio":{"id":"a"}}`), "messages[1].audio"},
		{message(`{"role":"assistant","function_call":{"name":"f"}}`), "messages[1].function_call"},
		{message(`{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"[1]"}}]}`), "messages[1].tool_calls[0].function.arguments"},
		{message(`{"role":"tool","content":"x"}`), "messages[1].tool_call_id"},
		{message(`{"role":"user","content":[{"type":"video"}]}`), "messages[1].content[0].type"},
		{message(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"ftp://x"}}]}`), "messages[1].content[0].image_url.url"},
		{message(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/a.png","detail":"low"}}]}`), "messages[1].content[0].image_url.detail"},
		{message(`{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}`), "messages[1].content[0].file.file_id"},
		{message(`{"role":"user","content":[{"type":"text","text":"x","brand_new":1}]}`), "messages[1].content[0].brand_new"},
		{`{"messages":[]}`, "messages"},
		{`{"messages":[{"role":"system","content":"x"}]}`, "messages"},
		{`[]`, "body"},
		{`{"messages":`, "body"},
	} {
		for _, dialect := range []string{"anthropic", "gemini"} {
			wire, err := dialects[dialect].encode(&jobs.Target{Model: "m"}, []byte(c.body))
			var said *fieldError
			if !errors.As(err, &said) || said.field != c.field {
				t.Errorf("%s: %s\ngot  %v, %s\nwant %s named", dialect, c.body, err, wire, c.field)
			}
		}
	}
}
