package provider

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"tidegate/jobs"
)

// gemini is the generateContent method of the Gemini API.
var _ = register("gemini", dialect{
	path:      func(target *jobs.Target) string { return "models/" + target.Model + ":generateContent" },
	headers:   geminiHeaders,
	requestID: "X-Request-Id",
	encode:    encodeGemini, translates: true,
	decode:    decodeGemini,
	explain:   explainGemini,
	rules:     geminiRules,
	allowance: func(http.Header) jobs.Allowance { return jobs.Allowance{} }, // it announces none
	stream:    geminiStream,
})

const (
	geminiName = "Gemini"
	// geminiStops is how many stop sequences it takes.
	geminiStops = 5
)

func geminiHeaders(target *jobs.Target) http.Header {
	header := http.Header{}
	if target.Key != "" {
		header.Set("X-Goog-Api-Key", target.Key.Reveal())
	}
	return header
}

type geminiRequest struct {
	SystemInstruction *geminiContent   `json:"systemInstruction,omitempty"`
	Contents          []geminiContent  `json:"contents"`
	Tools             []geminiTools    `json:"tools,omitempty"`
	ToolConfig        *geminiToolUse   `json:"toolConfig,omitempty"`
	GenerationConfig  geminiGeneration `json:"generationConfig"`
}

type geminiContent struct {
	Role  string       `json:"role,omitempty"`
	Parts []geminiPart `json:"parts"`
}

type geminiPart struct {
	Text             string          `json:"text,omitempty"`
	Thought          bool            `json:"thought,omitempty"`
	Signature        string          `json:"thoughtSignature,omitempty"`
	InlineData       *geminiData     `json:"inlineData,omitempty"`
	FileData         *geminiFile     `json:"fileData,omitempty"`
	FunctionCall     *geminiCall     `json:"functionCall,omitempty"`
	FunctionResponse *geminiResponse `json:"functionResponse,omitempty"`
}

func (p geminiPart) isText() bool { return p.FunctionCall == nil && p.InlineData == nil }

type geminiData struct {
	MimeType string `json:"mimeType"`
	Data     string `json:"data"`
}

type geminiFile struct {
	MimeType string `json:"mimeType"`
	FileURI  string `json:"fileUri"`
}

type geminiCall struct {
	ID   string          `json:"id,omitempty"`
	Name string          `json:"name"`
	Args json.RawMessage `json:"args,omitempty"`
}

type geminiResponse struct {
	ID       string         `json:"id,omitempty"`
	Name     string         `json:"name"`
	Response map[string]any `json:"response"`
}

type geminiTools struct {
	Functions []geminiFunction `json:"functionDeclarations"`
}

type geminiFunction struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parametersJsonSchema,omitempty"`
}

type geminiToolUse struct {
	Calling struct {
		Mode    string   `json:"mode"`
		Allowed []string `json:"allowedFunctionNames,omitempty"`
	} `json:"functionCallingConfig"`
}

type geminiGeneration struct {
	MaxOutputTokens  int             `json:"maxOutputTokens,omitempty"`
	Temperature      *float64        `json:"temperature,omitempty"`
	TopP             *float64        `json:"topP,omitempty"`
	PresencePenalty  *float64        `json:"presencePenalty,omitempty"`
	FrequencyPenalty *float64        `json:"frequencyPenalty,omitempty"`
	StopSequences    []string        `json:"stopSequences,omitempty"`
	Seed             *int64          `json:"seed,omitempty"`
	ResponseMimeType string          `json:"responseMimeType,omitempty"`
	ResponseSchema   json.RawMessage `json:"responseJsonSchema,omitempty"`
	Thinking         *geminiThinking `json:"thinkingConfig,omitempty"`
}

type geminiThinking struct {
	Level string `json:"thinkingLevel"`
}

func encodeGemini(target *jobs.Target, body []byte) ([]byte, error) {
	c, err := readChat(body)
	if err != nil {
		return nil, err
	}
	err = unsaid(geminiName, map[string]bool{
		"n": c.n > 1, "logprobs": c.logprobs, "top_logprobs": c.topLogprobs > 0, c.userField: c.user != "",
		"parallel_tool_calls": c.parallel != nil && !*c.parallel,
	})
	if err != nil {
		return nil, err
	}
	if c.seed != nil && int64(int32(*c.seed)) != *c.seed {
		return nil, wrong("seed", "%d is more than 32 bits, which is all that %s takes", *c.seed, geminiName)
	}
	if len(c.stop) > geminiStops {
		return nil, wrong("stop", "%d sequences are more than %s's %d", len(c.stop), geminiName, geminiStops)
	}
	out := geminiRequest{GenerationConfig: geminiGeneration{
		MaxOutputTokens: c.maxTokens, Temperature: c.temperature, TopP: c.topP, PresencePenalty: c.presence, FrequencyPenalty: c.frequency,
		StopSequences: c.stop, Seed: c.seed,
	}}
	if c.format.kind != "" {
		out.GenerationConfig.ResponseMimeType, out.GenerationConfig.ResponseSchema = "application/json", c.format.schema
	}
	switch c.effort {
	case "":
	case "minimal", "low", "medium", "high":
		out.GenerationConfig.Thinking = &geminiThinking{strings.ToUpper(c.effort)}
	default:
		return nil, wrong("reasoning_effort", "%s has no %q; use minimal, low, medium or high", geminiName, c.effort)
	}
	if out.Tools, err = geminiToolsOf(c.tools); err != nil {
		return nil, err
	}
	out.ToolConfig = geminiChoice(c.choice)
	if err := out.converse(c.messages); err != nil {
		return nil, err
	}
	if signs(target.Model) {
		out.sign()
	}
	return marshal(out)
}

func geminiToolsOf(tools []tool) ([]geminiTools, error) {
	if len(tools) == 0 {
		return nil, nil
	}
	var all []geminiFunction
	for i, t := range tools {
		if t.strict {
			return nil, wrong(fmt.Sprintf("tools[%d].function.strict", i), "%s has nothing like it", geminiName)
		}
		all = append(all, geminiFunction{t.name, t.description, t.schema})
	}
	return []geminiTools{{all}}, nil
}

func geminiChoice(c choice) *geminiToolUse {
	if c.mode == "" {
		return nil
	}
	var use geminiToolUse
	use.Calling.Mode = map[string]string{"auto": "AUTO", "none": "NONE", "required": "ANY", "tool": "ANY"}[c.mode]
	if c.name != "" {
		use.Calling.Allowed = []string{c.name}
	}
	return &use
}

// converse puts what the system says at the top, and what the same side says, or
// its tools, into one content.
func (r *geminiRequest) converse(messages []message) error {
	called := map[string]string{} // the name of the tool, by the id of its call
	for i, m := range messages {
		path := fmt.Sprintf("messages[%d]", i)
		parts, err := geminiParts(path, m.parts)
		if err != nil {
			return err
		}
		role := map[string]string{"user": "user", "assistant": "model", "tool": "user"}[m.role]
		switch m.role {
		case "system":
			if len(r.Contents) > 0 {
				return wrong(path+".role", "%s takes what the system says at the beginning alone", geminiName)
			}
			if r.SystemInstruction == nil {
				r.SystemInstruction = &geminiContent{}
			}
			r.SystemInstruction.Parts = append(r.SystemInstruction.Parts, parts...)
			continue
		case "tool":
			name := called[m.call]
			if name == "" {
				return wrong(path+".tool_call_id", "no message before calls a tool with the id %q", m.call)
			}
			if parts, err = geminiResult(path, m, name); err != nil {
				return err
			}
		}
		for _, call := range m.calls {
			called[call.id] = call.name
			parts = append(parts, geminiPart{Signature: call.signature, FunctionCall: &geminiCall{call.id, call.name, call.arguments}})
		}
		if len(parts) == 0 {
			return wrong(path+".content", "is empty, which %s does not take", geminiName)
		}
		if last := len(r.Contents) - 1; last >= 0 && r.Contents[last].Role == role {
			r.Contents[last].Parts = append(r.Contents[last].Parts, parts...)
			continue
		}
		r.Contents = append(r.Contents, geminiContent{role, parts})
	}
	if len(r.Contents) == 0 {
		return wrong("messages", "there is none of a user, which %s wants", geminiName)
	}
	return nil
}

// geminiResult is what a tool said: an object as it is, anything else as its output.
func geminiResult(path string, m message, name string) ([]geminiPart, error) {
	var text strings.Builder
	for _, p := range m.parts {
		if !p.isText() {
			return nil, wrong(path+".content", "%s takes text alone from a tool", geminiName)
		}
		text.WriteString(p.text)
	}
	var said map[string]any
	decoder := json.NewDecoder(strings.NewReader(text.String()))
	decoder.UseNumber() // a long number stays what it is
	if err := decoder.Decode(&said); err != nil || decoder.More() {
		said = map[string]any{"output": text.String()}
	}
	return []geminiPart{{FunctionResponse: &geminiResponse{m.call, name, said}}}, nil
}

func geminiParts(path string, parts []part) (out []geminiPart, err error) {
	for _, p := range parts {
		switch {
		case p.isText():
			out = append(out, geminiPart{Text: p.text})
		case p.data != "":
			out = append(out, geminiPart{InlineData: &geminiData{p.media, p.data}})
		case p.media == "":
			return nil, wrong(path+".content", "%s wants to know the media type of what is at a URL: let it end like a file, as .png, or send the file itself in a data URL", geminiName)
		default:
			out = append(out, geminiPart{FileData: &geminiFile{p.media, p.url}})
		}
	}
	return out, nil
}

// geminiAnswer is what is read of an answer.
type geminiAnswer struct {
	ResponseID   string `json:"responseId"`
	ModelVersion string `json:"modelVersion"`
	Candidates   []struct {
		Content      geminiContent `json:"content"`
		FinishReason string        `json:"finishReason"`
	} `json:"candidates"`
	PromptFeedback struct {
		BlockReason string `json:"blockReason"`
	} `json:"promptFeedback"`
	UsageMetadata geminiUsage     `json:"usageMetadata"`
	Error         json.RawMessage `json:"error"`
}

type geminiUsage struct {
	Prompt   count `json:"promptTokenCount"`
	ToolUse  count `json:"toolUsePromptTokenCount"`
	Cached   count `json:"cachedContentTokenCount"`
	Answer   count `json:"candidatesTokenCount"`
	Thoughts count `json:"thoughtsTokenCount"`
}

// geminiFinish is how it says why an answer ended. What is not here is no end of a
// good one: GARBLED. FUNCTION_CALL is no word of the vendor, but of some who speak
// like it.
var geminiFinish = map[string]string{
	"STOP": "stop", "FUNCTION_CALL": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter", "RECITATION": "content_filter", "BLOCKLIST": "content_filter",
	"PROHIBITED_CONTENT": "content_filter", "SPII": "content_filter", "LANGUAGE": "content_filter",
	"IMAGE_SAFETY": "content_filter", "IMAGE_PROHIBITED_CONTENT": "content_filter", "IMAGE_RECITATION": "content_filter",
}

func decodeGemini(got response) (*jobs.Answer, *refusal) {
	var a geminiAnswer
	body := trimKeepAlive(got.body)
	if err := json.Unmarshal(body, &a); err != nil || len(body) == 0 {
		return nil, &refusal{status: got.status, class: jobs.Garbled, text: "the answer is no JSON of generated content"}
	}
	if len(a.Error) > 0 && string(a.Error) != "null" {
		why := explainGemini(response{got.status, got.header, body})
		return nil, &why
	}
	u := a.UsageMetadata
	usage := usageOf(u.Prompt+u.ToolUse, u.Cached, u.Answer+u.Thoughts, u.Thoughts)
	if len(a.Candidates) == 0 {
		if why := a.PromptFeedback.BlockReason; why != "" {
			return nil, &refusal{status: got.status, class: jobs.Content, code: why, text: "the prompt was blocked: " + why, usage: usage}
		}
		return nil, &refusal{status: got.status, class: jobs.Garbled, text: "the answer has no candidates", usage: usage}
	}
	first := a.Candidates[0]
	finish := geminiFinish[first.FinishReason]
	if finish == "" {
		return nil, &refusal{status: got.status, class: jobs.Garbled, code: first.FinishReason, text: fmt.Sprintf("the answer did not end well: %q", first.FinishReason), usage: usage}
	}
	said := completed{id: a.ResponseID, model: a.ModelVersion, finish: finish, date: got.header.Get("Date"), usage: usage}
	said.readParts(first.Content.Parts)
	return said.answer(got.status)
}

func (c *completed) readParts(parts []geminiPart) {
	var text strings.Builder
	for i, p := range parts {
		if p.Text != "" && !p.Thought {
			text.WriteString(p.Text)
		}
		if image := p.InlineData; image != nil && !p.Thought {
			c.images = append(c.images, "data:"+image.MimeType+";base64,"+image.Data)
		}
		if call := p.FunctionCall; call != nil {
			id := call.ID
			if id == "" {
				id = fmt.Sprintf("call_%s_%d", c.id, i)
			}
			c.calls = append(c.calls, toolCall{id, call.Name, call.Args, p.Signature})
		}
	}
	c.text = text.String()
	if len(c.calls) > 0 && c.finish == "stop" {
		c.finish = "tool_calls"
	}
}
