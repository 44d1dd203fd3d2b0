package provider

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"tidegate/jobs"
)

// anthropic is the Messages API.
var _ = register("anthropic", dialect{
	path:      func(*jobs.Target) string { return "messages" },
	headers:   anthropicHeaders,
	requestID: "Request-Id",
	encode:    encodeAnthropic, translates: true,
	decode:    decodeAnthropic,
	explain:   explainAnthropic,
	rules:     anthropicRules,
	allowance: anthropicAllowance,
	stream:    anthropicStream,
})

const (
	anthropicName    = "Anthropic"
	anthropicVersion = "2023-06-01"
	// anthropicOutput is the longest answer of a request that sets no limit: this
	// API wants one. Every model that is sold gives as much.
	anthropicOutput = 8192
)

func anthropicHeaders(target *jobs.Target) http.Header {
	header := http.Header{"Anthropic-Version": {anthropicVersion}}
	if target.Key != "" {
		header.Set("X-Api-Key", target.Key.Reveal())
	}
	return header
}

type anthropicRequest struct {
	Model         string             `json:"model"`
	MaxTokens     int                `json:"max_tokens"`
	System        []anthropicBlock   `json:"system,omitempty"`
	Messages      []anthropicMessage `json:"messages"`
	Temperature   *float64           `json:"temperature,omitempty"`
	TopP          *float64           `json:"top_p,omitempty"`
	StopSequences []string           `json:"stop_sequences,omitempty"`
	Tools         []anthropicTool    `json:"tools,omitempty"`
	ToolChoice    *anthropicChoice   `json:"tool_choice,omitempty"`
	OutputConfig  *anthropicOutputs  `json:"output_config,omitempty"`
	Metadata      *anthropicMetadata `json:"metadata,omitempty"`
}

type anthropicMessage struct {
	Role    string           `json:"role"`
	Content []anthropicBlock `json:"content"`
}

// A block is a piece of a message. Which members it has depends on its type.
type anthropicBlock struct {
	Type      string           `json:"type"`
	Text      string           `json:"text,omitempty"`
	Source    *anthropicSource `json:"source,omitempty"`
	ID        string           `json:"id,omitempty"`
	Name      string           `json:"name,omitempty"`
	Input     json.RawMessage  `json:"input,omitempty"`
	ToolUseID string           `json:"tool_use_id,omitempty"`
	Content   []anthropicBlock `json:"content,omitempty"`
}

type anthropicSource struct {
	Type      string `json:"type"`
	MediaType string `json:"media_type,omitempty"`
	Data      string `json:"data,omitempty"`
	URL       string `json:"url,omitempty"`
}

type anthropicTool struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	InputSchema json.RawMessage `json:"input_schema"`
	Strict      bool            `json:"strict,omitempty"`
}

type anthropicChoice struct {
	Type   string `json:"type"`
	Name   string `json:"name,omitempty"`
	Single bool   `json:"disable_parallel_tool_use,omitempty"`
}

type anthropicOutputs struct {
	Effort string           `json:"effort,omitempty"`
	Format *anthropicFormat `json:"format,omitempty"`
}

type anthropicFormat struct {
	Type   string          `json:"type"`
	Schema json.RawMessage `json:"schema"`
}

type anthropicMetadata struct {
	UserID string `json:"user_id"`
}

func encodeAnthropic(target *jobs.Target, body []byte) ([]byte, error) {
	c, err := readChat(body)
	if err != nil {
		return nil, err
	}
	err = unsaid(anthropicName, map[string]bool{
		"frequency_penalty": nonzero(c.frequency), "presence_penalty": nonzero(c.presence), "seed": c.seed != nil, "n": c.n > 1,
		"logprobs": c.logprobs, "top_logprobs": c.topLogprobs > 0, "response_format.json_object": c.format.kind == "json_object",
	})
	if err != nil {
		return nil, err
	}
	if c.temperature != nil && *c.temperature > 1 {
		return nil, wrong("temperature", "%g is above 1, which is %s's highest", *c.temperature, anthropicName)
	}
	out := anthropicRequest{
		Model: target.Model, MaxTokens: c.maxTokens, Temperature: c.temperature, TopP: c.topP, StopSequences: c.stop,
	}
	if out.MaxTokens == 0 {
		out.MaxTokens = anthropicOutput
	}
	if c.user != "" {
		out.Metadata = &anthropicMetadata{c.user}
	}
	if out.OutputConfig, err = anthropicOutputOf(c); err != nil {
		return nil, err
	}
	out.Tools, out.ToolChoice = anthropicToolsOf(c)
	if out.System, out.Messages, err = anthropicMessagesOf(c.messages); err != nil {
		return nil, err
	}
	return marshal(out)
}

func nonzero(n *float64) bool { return n != nil && *n != 0 }

func anthropicOutputOf(c *chat) (*anthropicOutputs, error) {
	var out anthropicOutputs
	switch c.effort {
	case "":
	case "low", "medium", "high", "xhigh":
		out.Effort = c.effort
	default:
		return nil, wrong("reasoning_effort", "%s has no %q; use low, medium, high or xhigh", anthropicName, c.effort)
	}
	if c.format.kind == "json_schema" {
		out.Format = &anthropicFormat{c.format.kind, c.format.schema}
	}
	if out == (anthropicOutputs{}) {
		return nil, nil
	}
	return &out, nil
}

func anthropicToolsOf(c *chat) (tools []anthropicTool, chosen *anthropicChoice) {
	for _, t := range c.tools {
		schema := t.schema
		if schema == nil {
			schema = json.RawMessage(`{"type":"object"}`)
		}
		tools = append(tools, anthropicTool{t.name, t.description, schema, t.strict})
	}
	kinds := map[string]string{"": "auto", "auto": "auto", "none": "none", "required": "any", "tool": "tool"}
	single := c.parallel != nil && !*c.parallel && c.choice.mode != "none"
	if c.choice.mode == "" && !single {
		return tools, nil
	}
	return tools, &anthropicChoice{kinds[c.choice.mode], c.choice.name, single}
}

// anthropicMessagesOf puts what the system says at the top, and what the same side
// says, or its tools, into one message.
func anthropicMessagesOf(messages []message) (system []anthropicBlock, out []anthropicMessage, err error) {
	for i, m := range messages {
		path := fmt.Sprintf("messages[%d]", i)
		blocks, err := anthropicBlocks(path, m.parts)
		if err != nil {
			return nil, nil, err
		}
		role := m.role
		switch role {
		case "system":
			if len(out) > 0 {
				return nil, nil, wrong(path+".role", "%s takes what the system says at the beginning alone", anthropicName)
			}
			if slices.ContainsFunc(m.parts, func(p part) bool { return !p.isText() }) {
				return nil, nil, wrong(path+".content", "%s takes text alone from the system", anthropicName)
			}
			system = append(system, blocks...)
			continue
		case "tool":
			role, blocks = "user", []anthropicBlock{{Type: "tool_result", ToolUseID: anthropicID(m.call), Content: blocks}}
		}
		for _, call := range m.calls {
			blocks = append(blocks, anthropicBlock{Type: "tool_use", ID: anthropicID(call.id), Name: call.name, Input: call.arguments})
		}
		if len(blocks) == 0 {
			return nil, nil, wrong(path+".content", "is empty, which %s does not take", anthropicName)
		}
		if last := len(out) - 1; last >= 0 && out[last].Role == role {
			out[last].Content = append(out[last].Content, blocks...)
			continue
		}
		out = append(out, anthropicMessage{role, blocks})
	}
	if len(out) == 0 {
		return nil, nil, wrong("messages", "there is none of a user, which %s wants", anthropicName)
	}
	return system, out, nil
}

var notInAnthropicID = regexp.MustCompile(`[^A-Za-z0-9_-]`)

// anthropicID is a call's id as it takes it. Others have more letters in theirs, as in
// "functions.tides:0": what takes their place tells two such ids apart.
func anthropicID(id string) string {
	fit := notInAnthropicID.ReplaceAllString(id, "_")
	if fit == id {
		return id
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(id)) // it never fails
	return fmt.Sprintf("%s_%08x", fit, hash.Sum32())
}

// anthropicImages are the media types of images that it takes.
var anthropicImages = []string{"image/jpeg", "image/png", "image/gif", "image/webp"}

func anthropicBlocks(path string, parts []part) (blocks []anthropicBlock, err error) {
	for _, p := range parts {
		kind := "image"
		switch {
		case p.isText():
			blocks = append(blocks, anthropicBlock{Type: "text", Text: p.text})
			continue
		case p.media == "application/pdf":
			kind = "document"
		case p.data != "" && !slices.Contains(anthropicImages, p.media):
			return nil, wrong(path+".content", "%s takes no %s", anthropicName, p.media)
		}
		source := &anthropicSource{Type: "base64", MediaType: p.media, Data: p.data}
		if p.url != "" {
			source = &anthropicSource{Type: "url", URL: p.url}
		}
		blocks = append(blocks, anthropicBlock{Type: kind, Source: source})
	}
	return blocks, nil
}

// anthropicAnswer is what is read of a message.
type anthropicAnswer struct {
	Type       string           `json:"type"`
	ID         string           `json:"id"`
	Model      string           `json:"model"`
	Content    []anthropicBlock `json:"content"`
	StopReason string           `json:"stop_reason"`
	Usage      struct {
		Input   count `json:"input_tokens"`
		Written count `json:"cache_creation_input_tokens"`
		Cached  count `json:"cache_read_input_tokens"`
		Output  count `json:"output_tokens"`
		Details struct {
			Thinking count `json:"thinking_tokens"`
		} `json:"output_tokens_details"`
	} `json:"usage"`
}

// anthropicFinish is how it says why an answer ended. What is not here is taken
// as it is.
var anthropicFinish = map[string]string{
	"end_turn": "stop", "stop_sequence": "stop", "pause_turn": "stop", "max_tokens": "length", "model_context_window_exceeded": "length",
	"tool_use": "tool_calls", "refusal": "content_filter",
}

func decodeAnthropic(got response) (*jobs.Answer, *refusal) {
	var a anthropicAnswer
	body := trimKeepAlive(got.body)
	if err := json.Unmarshal(body, &a); err != nil || len(body) == 0 {
		return nil, &refusal{status: got.status, class: jobs.Garbled, text: "the answer is no JSON of a message"}
	}
	if a.Type == "error" {
		why := explainAnthropic(response{got.status, got.header, body})
		return nil, &why
	}
	said := completed{id: a.ID, model: a.Model, finish: a.StopReason, date: got.header.Get("Date")}
	if finish := anthropicFinish[a.StopReason]; finish != "" {
		said.finish = finish
	}
	u := a.Usage
	said.usage = usageOf(u.Input+u.Written+u.Cached, u.Cached, u.Output, u.Details.Thinking)
	var text strings.Builder
	for _, block := range a.Content {
		switch block.Type {
		case "text":
			text.WriteString(block.Text)
		case "tool_use":
			input := block.Input
			var partial string
			if json.Unmarshal(input, &partial) == nil { // of a stream, and no JSON since it was cut off by the limit
				input = json.RawMessage(partial)
			}
			said.calls = append(said.calls, toolCall{id: block.ID, name: block.Name, arguments: input})
		}
	}
	said.text = text.String()
	return said.answer(got.status)
}

// anthropicFault is an error body.
type anthropicFault struct {
	Error struct {
		Type    loose `json:"type"`
		Message loose `json:"message"`
		Details struct {
			Code loose `json:"error_code"`
		} `json:"details"`
	} `json:"error"`
}

func explainAnthropic(got response) refusal {
	body := trimKeepAlive(got.body)
	var fault anthropicFault
	_ = json.Unmarshal(body, &fault) // a member of another kind is left empty
	why := refusal{status: got.status, kind: string(fault.Error.Type), code: string(fault.Error.Details.Code), text: string(fault.Error.Message)}
	if why.kind == "" && why.text == "" {
		return explainOpenAI(got) // of a proxy, or one who is only compatible
	}
	if why.code == "enforced_spend_limit_reached" {
		why.resetsIn = untilReset(got.header, newMonth)
	}
	return why
}

// anthropicRules is the table of its refusals: see openAIRules.
var anthropicRules = slices.Concat([]rule{
	{class: jobs.Quota, words: []string{"billing_error", "enforced_spend_limit_reached"}},
	{class: jobs.Quota, status: span{400, 403}, texts: []string{"credit balance is too low", "specified api usage limits", "spend limit"}},
	{class: jobs.Overload, words: []string{"overloaded_error"}},
	{class: jobs.Rate, words: []string{"rate_limit_error"}},
	{class: jobs.Timeout, words: []string{"timeout_error"}},
	{class: jobs.Timeout, status: span{504, 504}},
	{class: jobs.Context, words: []string{"request_too_large"}},
	{class: jobs.Context, status: span{400, 400}, texts: []string{"prompt is too long", "exceed context limit"}},
	{class: jobs.Content, status: span{400, 403}, texts: []string{"content filtering policy", "usage policy"}},
	{class: jobs.Auth, words: []string{"authentication_error", "permission_error", "not_found_error"}},
	{class: jobs.Transient, words: []string{"api_error"}},
}, openAIRules)

// anthropicAllowance reads its limits. Of those of tokens the first is the
// strictest that is in force.
func anthropicAllowance(header http.Header) jobs.Allowance {
	limit := func(what string) int {
		n := wholeNumber(header.Get("Anthropic-Ratelimit-" + what + "-Limit"))
		if n <= 0 || n > maxAllowance {
			return 0
		}
		return int(n)
	}
	allowance := jobs.Allowance{RequestsPerMinute: limit("Requests"), TokensPerMinute: limit("Tokens")}
	if allowance.TokensPerMinute == 0 {
		allowance.TokensPerMinute = limit("Input-Tokens")
	}
	return allowance
}
