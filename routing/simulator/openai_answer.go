package simulator

import (
	"bytes"
	"strings"
)

// openaiFinish are the vendor's words for how an answer ended.
var openaiFinish = map[Mode]string{OK: "stop", Cut: "length", Filtered: "content_filter"}

type openaiCompletion struct {
	ID                string         `json:"id"`
	Object            string         `json:"object"`
	Created           int64          `json:"created"`
	Model             string         `json:"model"`
	Choices           []openaiChoice `json:"choices"`
	Usage             *openaiUsage   `json:"usage,omitempty"`
	ServiceTier       string         `json:"service_tier"`
	SystemFingerprint string         `json:"system_fingerprint"`
}

type openaiChoice struct {
	Index        int            `json:"index"`
	Message      *openaiMessage `json:"message,omitempty"`
	Delta        *openaiDelta   `json:"delta,omitempty"`
	Logprobs     *struct{}      `json:"logprobs"`
	FinishReason *string        `json:"finish_reason"`
}

type openaiMessage struct {
	Role        string  `json:"role"`
	Content     string  `json:"content"`
	Refusal     *string `json:"refusal"`
	Annotations []int   `json:"annotations"`
}

type openaiDelta struct {
	Role    string  `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
}

type openaiUsage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
	PromptDetails    struct {
		CachedTokens int `json:"cached_tokens"`
		AudioTokens  int `json:"audio_tokens"`
	} `json:"prompt_tokens_details"`
	CompletionDetails struct {
		ReasoningTokens          int `json:"reasoning_tokens"`
		AudioTokens              int `json:"audio_tokens"`
		AcceptedPredictionTokens int `json:"accepted_prediction_tokens"`
		RejectedPredictionTokens int `json:"rejected_prediction_tokens"`
	} `json:"completion_tokens_details"`
}

func openaiAnswer(a answer) page {
	if a.stream {
		return openaiStream(a)
	}
	out := openaiShell(a, "chat.completion")
	finish := openaiFinish[a.finish]
	out.Choices = []openaiChoice{{
		Message:      &openaiMessage{Role: "assistant", Content: a.text, Annotations: []int{}},
		FinishReason: &finish,
	}}
	out.Usage = openaiCount(a.usage)
	return page{"application/json", [][]byte{encode(out)}}
}

func openaiShell(a answer, object string) openaiCompletion {
	return openaiCompletion{
		ID: "chatcmpl-" + a.id, Object: object, Created: a.created.Unix(), Model: a.model,
		ServiceTier: "default", SystemFingerprint: "fp_simulated",
	}
}

func openaiCount(u usage) *openaiUsage {
	out := &openaiUsage{PromptTokens: u.prompt, CompletionTokens: u.completion, TotalTokens: u.prompt + u.completion}
	out.PromptDetails.CachedTokens = u.cached
	out.CompletionDetails.ReasoningTokens = u.reasoning
	return out
}

// openaiStream writes the answer as server-sent events: the role, a word each,
// the end, the usage if it was asked for, and [DONE].
func openaiStream(a answer) page {
	empty := ""
	pieces := [][]byte{openaiChunk(a, openaiDelta{Role: "assistant", Content: &empty}, nil)}
	for word := range strings.SplitAfterSeq(a.text, " ") {
		if word != "" {
			pieces = append(pieces, openaiChunk(a, openaiDelta{Content: &word}, nil))
		}
	}
	finish := openaiFinish[a.finish]
	pieces = append(pieces, openaiChunk(a, openaiDelta{}, &finish))
	if a.streamUsage {
		last := openaiShell(a, "chat.completion.chunk")
		last.Choices = []openaiChoice{}
		last.Usage = openaiCount(a.usage)
		pieces = append(pieces, event(encode(last)))
	}
	return page{"text/event-stream; charset=utf-8", append(pieces, []byte("data: [DONE]\n\n"))}
}

func openaiChunk(a answer, delta openaiDelta, finish *string) []byte {
	chunk := openaiShell(a, "chat.completion.chunk")
	chunk.Choices = []openaiChoice{{Delta: &delta, FinishReason: finish}}
	return event(encode(chunk))
}

func event(data []byte) []byte {
	return bytes.Join([][]byte{[]byte("data: "), bytes.TrimRight(data, "\n"), []byte("\n\n")}, nil)
}
