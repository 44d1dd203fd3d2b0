package provider

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"tidegate/jobs"
)

// completed is what a provider of another dialect answered, before it is a
// chat-completion object.
type completed struct {
	id, model, finish string
	date              string // of HTTP; empty, or none: not known
	text              string
	refused           string   // the model's own words why it does not answer
	images            []string // as data URLs
	calls             []toolCall
	usage             jobs.Usage
}

// A count is a number of tokens in a provider's JSON: whole, not negative, and at
// most a billion. What is none is zero.
type count int

const mostTokens = 1_000_000_000

func (n *count) UnmarshalJSON(data []byte) error {
	c := cursor{data: data}
	*n = count(c.count())
	return nil
}

func usageOf(input, cached, output, reasoning count) jobs.Usage {
	return jobs.Usage{Input: int(input), CachedInput: int(cached), Output: int(output), Reasoning: int(reasoning)}
}

// answer writes it as OpenAI does. One that says nothing is GARBLED, unless it was
// cut off by its limit or a filter: then it was given, and billed.
func (c *completed) answer(status int) (*jobs.Answer, *refusal) {
	if c.text == "" && c.refused == "" && len(c.images)+len(c.calls) == 0 && c.finish != "length" && c.finish != "content_filter" {
		return nil, &refusal{status: status, class: jobs.Garbled, text: fmt.Sprintf("the answer says nothing; its finish_reason is %q", c.finish), usage: c.usage}
	}
	body, err := marshal(c.body())
	if err != nil {
		return nil, &refusal{status: status, class: jobs.Garbled, text: "the answer calls a tool with something that is no JSON", usage: c.usage}
	}
	return &jobs.Answer{Body: body, Model: c.model, ProviderID: c.id, FinishReason: c.finish, Usage: c.usage}, nil
}

func (c *completed) body() any {
	message := map[string]any{"role": "assistant", "content": orNull(c.text), "refusal": orNull(c.refused)}
	var calls []any
	for _, call := range c.calls {
		arguments := string(call.arguments)
		if arguments == "" || arguments == "null" {
			arguments = "{}"
		}
		said := map[string]any{"id": call.id, "type": "function", "function": map[string]string{"name": call.name, "arguments": arguments}}
		if call.signature != "" {
			var extra extraContent
			extra.Google.Signature = call.signature
			said["extra_content"] = extra
		}
		calls = append(calls, said)
	}
	if len(c.images) > 0 {
		message["images"] = imagesOf(c.images)
	}
	if len(calls) > 0 {
		message["tool_calls"] = calls
	}
	var created int64
	if at, err := http.ParseTime(c.date); err == nil {
		created = at.Unix()
	}
	return struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Created int64  `json:"created"`
		Model   string `json:"model"`
		Choices []any  `json:"choices"`
		Usage   any    `json:"usage"`
	}{
		c.id, "chat.completion", created, c.model,
		[]any{map[string]any{"index": 0, "message": message, "logprobs": nil, "finish_reason": c.finish}},
		map[string]any{
			"prompt_tokens": c.usage.Input, "completion_tokens": c.usage.Output, "total_tokens": c.usage.Input + c.usage.Output,
			"prompt_tokens_details":     map[string]int{"cached_tokens": c.usage.CachedInput},
			"completion_tokens_details": map[string]int{"reasoning_tokens": c.usage.Reasoning},
		},
	}
}

// imagesOf writes images as others do who speak OpenAI's dialect: it has none of its
// own for those that a model makes in a chat.
func imagesOf(urls []string) (images []any) {
	for _, url := range urls {
		images = append(images, map[string]any{"type": "image_url", "image_url": map[string]string{"url": url}})
	}
	return images
}

func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// marshal writes JSON with <, > and & as they are: they are tokens.
func marshal(value any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// unsaid refuses the first field that is said and has no counterpart.
func unsaid(dialect string, said map[string]bool) error {
	for _, field := range slices.Sorted(maps.Keys(said)) {
		if said[field] {
			return wrong(field, "%s has nothing like it", dialect)
		}
	}
	return nil
}
