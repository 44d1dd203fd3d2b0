package simulator

import (
	"encoding/json"
	"fmt"
	"slices"

	"tidegate/jobs"
)

const (
	mostInputs = 2048 // of one call, as at OpenAI
	leastReply = 16   // tokens that a response may be bounded to, as there
)

// openaiReadAt understands a body of any of OpenAI's endpoints.
func openaiReadAt(path string, body []byte) (question, *refusal) {
	of, _ := jobs.ParseEndpoint(path)
	var q question
	var no *refusal
	switch of {
	case jobs.EndpointEmbeddings:
		q, no = openaiReadInputs(body)
	case jobs.EndpointResponses:
		q, no = openaiReadResponse(body)
	case jobs.EndpointCompletions:
		q, no = openaiReadPrompts(body)
	default:
		return openaiRead(path, body)
	}
	q.of = of
	return q, no
}

// A texts is a text, or a list of them; or one in tokens, or a list of such.
type texts struct {
	said   []string
	tokens [][]int
}

func (t *texts) UnmarshalJSON(data []byte) error {
	var one string
	var flat []int
	if json.Unmarshal(data, &one) == nil {
		t.said = []string{one}
		return nil
	}
	if json.Unmarshal(data, &t.said) == nil {
		return nil
	}
	if t.said = nil; json.Unmarshal(data, &flat) == nil {
		t.tokens = [][]int{flat}
		return nil
	}
	return json.Unmarshal(data, &t.tokens)
}

func (t *texts) len() int { return len(t.said) + len(t.tokens) }

// count is how many tokens they have in all, and the longest of them.
func (t *texts) count() (all, most int) {
	each := func(n int) { all, most = all+n, max(most, n) }
	for _, text := range t.said {
		each(tokens(text))
	}
	for _, text := range t.tokens {
		each(len(text))
	}
	return all, most
}

func openaiReadInputs(body []byte) (question, *refusal) {
	var r struct {
		Model      string `json:"model"`
		Input      *texts `json:"input"`
		Dimensions *int   `json:"dimensions"`
		Format     string `json:"encoding_format"`
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return question{}, openaiNotJSON(err)
	}
	switch {
	case r.Model == "":
		return question{}, openaiWrong("", "", "you must provide a model parameter")
	case r.Input == nil:
		return question{}, openaiWrong("missing_required_parameter", "input", "Missing required parameter: 'input'.")
	case r.Input.len() == 0 || r.Input.len() > mostInputs || slices.Contains(r.Input.said, ""):
		return question{}, openaiWrong("", "", fmt.Sprintf("'$.input' is invalid: it must have 1 to %d texts, and none that is empty.", mostInputs))
	case r.Dimensions != nil && (*r.Dimensions < 1 || *r.Dimensions > maxDimensions):
		return question{}, openaiWrong("invalid_value", "dimensions", fmt.Sprintf("Invalid value for 'dimensions': must be 1 to %d.", maxDimensions))
	case r.Format != "" && r.Format != "float" && r.Format != "base64":
		return question{}, openaiWrong("invalid_value", "encoding_format", fmt.Sprintf("Invalid value: '%s'. Supported values are: 'float' and 'base64'.", r.Format))
	}
	q := question{model: r.Model, request: hashOf(string(body)), inputs: *r.Input, dimensions: usualDimensions, packed: r.Format == "base64"}
	if r.Dimensions != nil {
		q.dimensions = *r.Dimensions
	}
	q.promptTokens, q.longest = r.Input.count()
	return q, nil
}

func openaiReadPrompts(body []byte) (question, *refusal) {
	var r struct {
		Model     string `json:"model"`
		Prompt    *texts `json:"prompt"`
		MaxTokens *int   `json:"max_tokens"`
		Stream    bool   `json:"stream"`
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return question{}, openaiNotJSON(err)
	}
	switch {
	case r.Model == "":
		return question{}, openaiWrong("", "", "you must provide a model parameter")
	case r.Prompt == nil || r.Prompt.len() == 0 || len(r.Prompt.tokens) > 0:
		return question{}, openaiWrong("missing_required_parameter", "prompt", "Missing required parameter: 'prompt'. The simulator reads texts alone.")
	case r.Stream:
		return question{}, openaiNoStream()
	case r.MaxTokens != nil && *r.MaxTokens < 1:
		return question{}, openaiWrong("integer_below_min_value", "max_tokens", fmt.Sprintf("Invalid 'max_tokens': integer below minimum value. Expected a value >= 1, but got %d instead.", *r.MaxTokens))
	}
	q := question{model: r.Model, request: hashOf(string(body)), document: r.Prompt.said[0], inputs: *r.Prompt}
	if r.MaxTokens != nil {
		q.maxTokens = min(*r.MaxTokens, 1<<30)
	}
	q.promptTokens, q.longest = r.Prompt.count()
	return q, nil
}

func openaiNoStream() *refusal {
	return openaiWrong("unsupported_value", "stream", "Unsupported value: 'stream' does not support true here with the simulator.")
}

func openaiReadResponse(body []byte) (question, *refusal) {
	var r struct {
		Model        string          `json:"model"`
		Instructions string          `json:"instructions"`
		Input        json.RawMessage `json:"input"`
		MaxTokens    *int            `json:"max_output_tokens"`
		Stream       bool            `json:"stream"`
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return question{}, openaiNotJSON(err)
	}
	var items []struct {
		Role    string `json:"role"`
		Content any    `json:"content"`
	}
	var text string
	isText := json.Unmarshal(r.Input, &text) == nil
	switch {
	case r.Model == "":
		return question{}, openaiWrong("", "", "you must provide a model parameter")
	case len(r.Input) == 0 || isText && text == "":
		return question{}, openaiWrong("missing_required_parameter", "input", "Missing required parameter: 'input'.")
	case !isText && json.Unmarshal(r.Input, &items) != nil:
		return question{}, openaiWrong("invalid_type", "input", "Invalid type for 'input': expected one of a string or array of input items.")
	case r.Stream:
		return question{}, openaiNoStream()
	case r.MaxTokens != nil && *r.MaxTokens < leastReply:
		return question{}, openaiWrong("integer_below_min_value", "max_output_tokens", fmt.Sprintf("Invalid 'max_output_tokens': integer below minimum value. Expected a value >= %d, but got %d instead.", leastReply, *r.MaxTokens))
	}
	q := question{model: r.Model, instruction: r.Instructions, document: text, promptTokens: 3 + tokens(r.Instructions) + tokens(text)}
	if r.MaxTokens != nil {
		q.maxTokens = min(*r.MaxTokens, 1<<30)
	}
	asked := []string{r.Instructions, text}
	for _, item := range items {
		said := openaiText(item.Content)
		switch item.Role {
		case "user":
			q.document = said
		case "system", "developer":
			q.instruction = said
		}
		q.promptTokens += 4 + tokens(said)
		asked = append(asked, item.Role, said)
	}
	q.request = hashOf(asked...)
	return q, nil
}

// openaiAnswerAt writes what is answered at any of OpenAI's endpoints.
func openaiAnswerAt(a answer) page {
	var out any
	switch a.of {
	case jobs.EndpointEmbeddings:
		out = openaiVectors(a)
	case jobs.EndpointResponses:
		out = openaiResponse(a)
	case jobs.EndpointCompletions:
		out = openaiTexts(a)
	default:
		return openaiAnswer(a)
	}
	return page{"application/json", [][]byte{encode(out)}}
}

func openaiVectors(a answer) any {
	data := make([]map[string]any, len(a.vectors))
	for i, v := range a.vectors {
		data[i] = map[string]any{"object": "embedding", "index": i, "embedding": v}
		if a.packed {
			data[i]["embedding"] = inBase64(v)
		}
	}
	return map[string]any{
		"object": "list", "data": data, "model": a.model,
		"usage": map[string]int{"prompt_tokens": a.usage.prompt, "total_tokens": a.usage.prompt},
	}
}

func openaiTexts(a answer) any {
	finish := openaiFinish[a.finish]
	var choices []map[string]any
	for i, text := range append([]string{a.text}, a.more...) {
		choices = append(choices, map[string]any{"text": text, "index": i, "logprobs": nil, "finish_reason": finish})
	}
	return map[string]any{
		"id": "cmpl-" + a.id, "object": "text_completion", "created": a.created.Unix(), "model": a.model, "choices": choices,
		"usage": map[string]int{"prompt_tokens": a.usage.prompt, "completion_tokens": a.usage.completion, "total_tokens": a.usage.prompt + a.usage.completion},
	}
}

// openaiIncomplete is why a response is not whole.
var openaiIncomplete = map[Mode]string{Cut: "max_output_tokens", Filtered: "content_filter"}

func openaiResponse(a answer) any {
	status, details := "completed", any(nil)
	if why := openaiIncomplete[a.finish]; why != "" {
		status, details = "incomplete", map[string]string{"reason": why}
	}
	output := []any{}
	if a.usage.reasoning > 0 {
		output = append(output, map[string]any{"id": "rs_" + a.id, "type": "reasoning", "summary": []any{}})
	}
	output = append(output, map[string]any{
		"id": "msg_" + a.id, "type": "message", "status": status, "role": "assistant",
		"content": []any{map[string]any{"type": "output_text", "text": a.text, "annotations": []any{}, "logprobs": []any{}}},
	})
	return map[string]any{
		"id": "resp_" + a.id, "object": "response", "created_at": a.created.Unix(), "status": status, "error": nil, "incomplete_details": details,
		"instructions": nil, "metadata": map[string]string{}, "model": a.model, "output": output, "parallel_tool_calls": true, "temperature": 1,
		"tool_choice": "auto", "tools": []any{}, "top_p": 1, "background": false, "service_tier": "default", "truncation": "disabled",
		"usage": map[string]any{
			"input_tokens": a.usage.prompt, "input_tokens_details": map[string]int{"cached_tokens": a.usage.cached},
			"output_tokens": a.usage.completion, "output_tokens_details": map[string]int{"reasoning_tokens": a.usage.reasoning},
			"total_tokens": a.usage.prompt + a.usage.completion,
		},
	}
}
