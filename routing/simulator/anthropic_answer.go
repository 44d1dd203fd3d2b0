package simulator

import "strings"

// anthropicStops are the vendor's words for how an answer ended.
var anthropicStops = map[Mode]string{OK: "end_turn", Cut: "max_tokens", Filtered: "refusal"}

type anthropicMessage struct {
	ID           string           `json:"id"`
	Type         string           `json:"type"`
	Role         string           `json:"role"`
	Model        string           `json:"model"`
	Content      []anthropicBlock `json:"content"`
	StopReason   *string          `json:"stop_reason"`
	StopSequence *string          `json:"stop_sequence"`
	Usage        anthropicUsage   `json:"usage"`
}

type anthropicBlock struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type anthropicUsage struct {
	Input   int    `json:"input_tokens"`
	Written int    `json:"cache_creation_input_tokens"`
	Cached  int    `json:"cache_read_input_tokens"`
	Output  int    `json:"output_tokens"`
	Tier    string `json:"service_tier"`
	Details struct {
		Thinking int `json:"thinking_tokens"`
	} `json:"output_tokens_details"`
}

func anthropicCount(u usage) anthropicUsage {
	out := anthropicUsage{Input: u.prompt - u.cached, Cached: u.cached, Output: u.completion, Tier: "standard"}
	out.Details.Thinking = u.reasoning
	return out
}

func anthropicAnswer(a answer) page {
	stop := anthropicStops[a.finish]
	message := anthropicMessage{
		ID: "msg_" + a.id, Type: "message", Role: "assistant", Model: a.model, Content: []anthropicBlock{}, Usage: anthropicCount(a.usage),
	}
	if a.stream {
		return anthropicStream(a, message, stop)
	}
	if a.text != "" {
		message.Content = []anthropicBlock{{"text", a.text}}
	}
	message.StopReason = &stop
	return page{"application/json", [][]byte{encode(message)}}
}

// anthropicStream writes the answer as server-sent events: the message without
// its text, a word each, and how it ended.
func anthropicStream(a answer, message anthropicMessage, stop string) page {
	message.Usage.Output = 1
	pieces := [][]byte{named("message_start", map[string]any{"message": message})}
	if a.text != "" {
		pieces = append(pieces, named("content_block_start", map[string]any{"index": 0, "content_block": anthropicBlock{"text", ""}}))
		for word := range strings.SplitAfterSeq(a.text, " ") {
			if word != "" {
				pieces = append(pieces, named("content_block_delta", map[string]any{"index": 0, "delta": map[string]string{"type": "text_delta", "text": word}}))
			}
		}
		pieces = append(pieces, named("content_block_stop", map[string]any{"index": 0}))
	}
	pieces = append(pieces,
		named("message_delta", map[string]any{"delta": map[string]any{"stop_reason": stop, "stop_sequence": nil}, "usage": map[string]int{"output_tokens": a.usage.completion}}),
		named("message_stop", map[string]any{}))
	return page{"text/event-stream; charset=utf-8", pieces}
}

// named is a server-sent event with a name, which its data has for a type, too.
func named(name string, data map[string]any) []byte {
	data["type"] = name
	return append([]byte("event: "+name+"\n"), event(encode(data))...)
}
