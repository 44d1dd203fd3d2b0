package provider

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/shared"

	"tidegate/jobs"
)

// A saying is a field of a body. It must be heard: what goes out differs from what
// goes out without it, and shows what it says, or else the dialect refuses it by
// its name.
type saying struct {
	field         string // its path
	with, without string // two bodies that differ by it
	shows         string // what of its value must be seen, in lower case; empty: a difference is enough
}

// changesNothing are fields that a dialect may leave out: the answer is the same
// without them.
var changesNothing = []string{
	"stream", "stream_options", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "messages.content.file.filename",
	"response_format.json_schema.name", "response_format.json_schema.description", "response_format.json_schema.strict",
	"messages.content.prompt_cache_breakpoint",
}

const (
	hello     = `{"role":"user","content":"Hi"}`
	lookUp    = `{"type":"function","function":{"name":"lookup77"}}`
	called    = `{"role":"assistant","tool_calls":[{"id":"call77","type":"function","function":{"name":"lookup77","arguments":"{\"port\":\"hamburg77\"}"}}]}`
	calledAny = `{"role":"assistant","tool_calls":[{"id":"call1","type":"function","function":{"name":"lookup77","arguments":"{}"}}]}`
)

// sayings are all fields of a body, as the official client knows them.
func sayings() []saying {
	var all []saying
	for field, value := range map[string][2]string{
		"frequency_penalty": {`0.625`, "0.625"}, "presence_penalty": {`0.375`, "0.375"}, "temperature": {`0.625`, "0.625"}, "top_p": {`0.875`, "0.875"},
		"logprobs": {`true`, ""}, "top_logprobs": {`17`, "17"}, "max_completion_tokens": {`4321`, "4321"}, "max_tokens": {`4322`, "4322"},
		"n": {`7`, "7"}, "seed": {`770077`, "770077"}, "stop": {`["halt77"]`, "halt77"}, "user": {`"asker77"`, "asker77"},
		"safety_identifier": {`"asker78"`, "asker78"}, "store": {`true`, ""}, "audio": {`{"voice":"voice77","format":"wav"}`, "voice77"},
		"logit_bias": {`{"50256":-77}`, "50256"}, "metadata": {`{"topic":"tides77"}`, "tides77"}, "modalities": {`["text","audio"]`, "audio"},
		"moderation": {`{"model":"moderate77"}`, "moderate77"}, "prompt_cache_key": {`"cache77"`, ""}, "prompt_cache_retention": {`"24h"`, ""},
		"prompt_cache_options": {`{"mode":"explicit"}`, ""}, "reasoning_effort": {`"low"`, "low"}, "verbosity": {`"high"`, "high"},
		"service_tier": {`"flex"`, "flex"}, "stream": {`true`, ""}, "stream_options": {`{"include_usage":true}`, ""},
		"function_call": {`{"name":"old77"}`, "old77"}, "functions": {`[{"name":"old77"}]`, "old77"},
		"prediction": {`{"type":"content","content":"guess77"}`, "guess77"}, "web_search_options": {`{"search_context_size":"high"}`, "high"},
		"response_format": {`{"type":"json_object"}`, ""}, "tools": {`[` + lookUp + `]`, "lookup77"}, "brand_new": {`"new77"`, "new77"},
	} {
		all = append(all, saying{field, talk(hello, fmt.Sprintf("%q:%s", field, value[0])), talk(hello, ""), value[1]})
	}
	return slices.Concat(all, sayingsOfTools(), sayingsOfMessages(), sayingsOfParts())
}

// talk is a body with messages and further members.
func talk(messages, members string) string {
	return strings.TrimSuffix(`{"model":"any","messages":[`+messages+`],`+members, ",") + `}`
}

func sayingsOfTools() []saying {
	tools := `"tools":[` + lookUp + `]`
	described := func(members string) string {
		return talk(hello, `"tools":[{"type":"function","function":{"name":"lookup77"`+members+`}}]`)
	}
	schema := func(members string) string {
		return talk(hello, `"response_format":{"type":"json_schema","json_schema":{"name":"a"`+members+`}}`)
	}
	const object = `,"schema":{"type":"object","title":"%s77"}`
	return []saying{
		{"tool_choice", talk(hello, tools+`,"tool_choice":"required"`), talk(hello, tools), ""},
		{"tool_choice", talk(hello, tools+`,"tool_choice":"none"`), talk(hello, tools), ""},
		{"tool_choice", talk(hello, tools+`,"tool_choice":{"type":"function","function":{"name":"lookup77"}}`), talk(hello, tools), ""},
		{"parallel_tool_calls", talk(hello, tools+`,"parallel_tool_calls":false`), talk(hello, tools), ""},
		{"tools.function.description", described(`,"description":"tides77"`), described(""), "tides77"},
		{"tools.function.parameters", described(`,"parameters":{"type":"object","title":"port77"}`), described(""), "port77"},
		{"tools.function.strict", described(`,"strict":true`), described(""), ""},
		{"tools.function.brand_new", described(`,"brand_new":"new77"`), described(""), "new77"},
		{"tools.type", talk(hello, `"tools":[{"type":"custom","custom":{"name":"free77"}}]`), talk(hello, ""), "free77"},
		{"response_format.json_schema.schema", schema(fmt.Sprintf(object, "a")), schema(fmt.Sprintf(object, "b")), "a77"},
		{"response_format.json_schema.name", strings.Replace(schema(fmt.Sprintf(object, "a")), `"name":"a"`, `"name":"b"`, 1), schema(fmt.Sprintf(object, "a")), ""},
		{"response_format.json_schema.strict", schema(fmt.Sprintf(object, "a") + `,"strict":true`), schema(fmt.Sprintf(object, "a")), ""},
		{"response_format.json_schema.description", schema(fmt.Sprintf(object, "a") + `,"description":"x"`), schema(fmt.Sprintf(object, "a")), ""},
	}
}

func sayingsOfMessages() []saying {
	after := func(message string) string { return talk(hello+","+message+","+hello, "") }
	result := func(text string) string {
		return talk(hello+","+calledAny+`,{"role":"tool","tool_call_id":"call1","content":"`+text+`"}`, "")
	}
	two := strings.ReplaceAll(calledAny, "]}", `,{"id":"call2","type":"function","function":{"name":"lookup77","arguments":"{}"}}]}`)
	results := func(first, second string) string {
		return talk(hello+","+two+fmt.Sprintf(`,{"role":"tool","tool_call_id":%q,"content":"a"},{"role":"tool","tool_call_id":%q,"content":"b"}`, first, second), "")
	}
	assistant := `{"role":"assistant","content":"Ho"}`
	return []saying{
		{"messages.content", talk(`{"role":"user","content":"words77"}`, ""), talk(hello, ""), "words77"},
		{"messages.content", talk(`{"role":"system","content":"brief77"},`+hello, ""), talk(hello, ""), "brief77"},
		{"messages.content", talk(`{"role":"developer","content":"brief77"},`+hello, ""), talk(hello, ""), "brief77"},
		{"messages.content", talk(`{"role":"system","content":"kind77"},{"role":"system","content":"brief77"},`+hello, ""), talk(`{"role":"system","content":"kind77"},`+hello, ""), "brief77"},
		{"messages.role", after(assistant), after(`{"role":"user","content":"Ho"}`), ""},
		{"messages.name", talk(`{"role":"user","content":"Hi","name":"bob77"}`, ""), talk(hello, ""), "bob77"},
		{"messages.refusal", after(`{"role":"assistant","content":"Ho","refusal":"never77"}`), after(assistant), "never77"},
		{"messages.audio", after(`{"role":"assistant","content":"Ho","audio":{"id":"sound77"}}`), after(assistant), "sound77"},
		{"messages.function_call", after(`{"role":"assistant","content":"Ho","function_call":{"name":"old77","arguments":"{}"}}`), after(assistant), "old77"},
		{"messages.tool_calls", talk(hello+","+called, ""), talk(hello, ""), "hamburg77"},
		{"messages.content", result("high77"), result("low"), "high77"},
		{"messages.tool_call_id", results("call1", "call2"), results("call2", "call1"), ""},
		{"messages.brand_new", talk(`{"role":"user","content":"Hi","brand_new":"new77"}`, ""), talk(hello, ""), "new77"},
	}
}

func sayingsOfParts() []saying {
	parts := func(list string) string {
		return talk(`{"role":"user","content":[{"type":"text","text":"Hi"}`+list+`]}`, "")
	}
	image := func(members string) string { return parts(`,{"type":"image_url","image_url":{` + members + `}}`) }
	pdf := func(members string) string { return parts(`,{"type":"file","file":{` + members + `}}`) }
	const url, data = `"url":"https://example.com/image77.png"`, `"file_data":"data:application/pdf;base64,JVBE7777"`
	return []saying{
		{"messages.content", parts(`,{"type":"text","text":"words77"}`), parts(""), "words77"},
		{"messages.content.image_url", image(url), parts(""), "image77"},
		{"messages.content.image_url", image(`"url":"data:image/png;base64,iVBO7777"`), parts(""), "ivbo7777"},
		{"messages.content.image_url", image(`"url":"data:image/png;base64,iVBO7777"`), image(`"url":"data:image/jpeg;base64,iVBO7777"`), ""},
		{"messages.content.image_url.detail", image(url + `,"detail":"high"`), image(url), "high"},
		{"messages.content.file", pdf(data), parts(""), "jvbe7777"},
		{"messages.content.file.file_id", pdf(`"file_id":"file77"`), parts(""), "file77"},
		{"messages.content.file.filename", pdf(data + `,"filename":"tides77.pdf"`), pdf(data), ""},
		{"messages.content.input_audio", parts(`,{"type":"input_audio","input_audio":{"data":"UklG7777","format":"wav"}}`), parts(""), "uklg7777"},
		{"messages.content.type", parts(`,{"type":"video77"}`), parts(""), "video77"},
		{"messages.content.brand_new", parts(`,{"type":"text","text":"x","brand_new":"new77"}`), parts(`,{"type":"text","text":"x"}`), "new77"},
		{"messages.content.prompt_cache_breakpoint", parts(`,{"type":"text","text":"x","prompt_cache_breakpoint":{"mode":"explicit"}}`), parts(`,{"type":"text","text":"x"}`), ""},
	}
}

// TestNothingIsDroppedSilently says each field to each dialect.
func TestNothingIsDroppedSilently(t *testing.T) {
	t.Parallel()
	for name, d := range dialects {
		for _, s := range sayings() {
			if fault := s.heard(d); fault != "" {
				t.Errorf("dialect %s: %s %s; the body was %s", name, s.field, fault, s.with)
			}
		}
		if fault := modelIsHeard(d); fault != "" {
			t.Errorf("dialect %s: %s", name, fault)
		}
	}
}

// heard is what a dialect does wrong with the field; empty: nothing.
func (s saying) heard(d dialect) string {
	target := &jobs.Target{Model: "m"}
	wire, err := d.encode(target, []byte(s.with))
	without, plainly := d.encode(target, []byte(s.without))
	var refused *fieldError
	switch {
	case err != nil && !errors.As(err, &refused):
		return fmt.Sprintf("is refused by an error that names no field, make it with wrong(…): %v", err)
	case err != nil && !d.translates:
		return "is refused, and `translates` is not set, so that the request ends instead of going on to another target"
	case err != nil && plainly == nil && !related(refused.field, s.field):
		return fmt.Sprintf("is refused under the name of %q: %v", refused.field, err)
	case err != nil || slices.Contains(changesNothing, s.field):
		return ""
	case plainly != nil:
		return fmt.Sprintf("is taken, and %s is not: %v", s.without, plainly)
	case bytes.Equal(wire, without):
		return "is dropped silently: say it in the body that goes out, or refuse it with wrong(…) or unsaid(…)"
	case !strings.Contains(strings.ToLower(string(wire)), s.shows):
		return fmt.Sprintf("is changed: %q is not in the body that goes out, which is %s", s.shows, wire)
	}
	return ""
}

var listIndex = regexp.MustCompile(`\[\d+\]`)

// related tells whether one field is the other, or holds it.
func related(named, field string) bool {
	named = listIndex.ReplaceAllString(named, "")
	return named == field || strings.HasPrefix(field, named+".") || strings.HasPrefix(named, field+".")
}

// modelIsHeard finds a dialect that does not ask for the target's model.
func modelIsHeard(d dialect) string {
	target := &jobs.Target{Model: "model77"}
	wire, err := d.encode(target, []byte(talk(hello, "")))
	if err != nil {
		return fmt.Sprintf("the least body there is cannot be sent: %v", err)
	}
	if !strings.Contains(d.path(target)+string(wire), "model77") || strings.Contains(string(wire), `"any"`) {
		return fmt.Sprintf("the target's model is neither in the path nor in the body, or the request's own is: %s", wire)
	}
	return ""
}

// unspoken are fields without which there is nothing to say.
var unspoken = []string{"messages.content.image_url.url", "messages.content.file.file_data", "tools.function.name"}

// TestSayingsAreAll finds a field that the official client has learned and that
// the test above does not say.
func TestSayingsAreAll(t *testing.T) {
	t.Parallel()
	said := map[string]bool{"model": true, "messages": true}
	for _, s := range sayings() {
		for field := s.field; field != ""; field = field[:max(strings.LastIndexByte(field, '.'), 0)] {
			said[field] = true
		}
	}
	for prefix, params := range map[string][]any{
		"":                             {openai.ChatCompletionNewParams{}},
		"messages.":                    {openai.ChatCompletionUserMessageParam{}, openai.ChatCompletionAssistantMessageParam{}, openai.ChatCompletionToolMessageParam{}},
		"messages.content.":            {openai.ChatCompletionContentPartImageParam{}, openai.ChatCompletionContentPartInputAudioParam{}, openai.ChatCompletionContentPartFileParam{}},
		"messages.content.image_url.":  {openai.ChatCompletionContentPartImageImageURLParam{}},
		"messages.content.file.":       {openai.ChatCompletionContentPartFileFileParam{}},
		"tools.function.":              {shared.FunctionDefinitionParam{}},
		"response_format.json_schema.": {shared.ResponseFormatJSONSchemaJSONSchemaParam{}},
	} {
		for _, param := range params {
			kind := reflect.TypeOf(param)
			for i := range kind.NumField() {
				name, _, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ",")
				if name == "" || name == "-" {
					continue
				}
				if !said[prefix+name] && !slices.Contains(unspoken, prefix+name) {
					t.Errorf("%s%s is a field that no saying says", prefix, name)
				}
			}
		}
	}
}
