package simulator

import (
	"strings"
)

// geminiFinish are the vendor's words for how an answer ended.
var geminiFinish = map[Mode]string{OK: "STOP", Cut: "MAX_TOKENS", Filtered: "SAFETY"}

type geminiGenerated struct {
	Candidates    []geminiCandidate `json:"candidates"`
	UsageMetadata map[string]int    `json:"usageMetadata,omitempty"`
	ModelVersion  string            `json:"modelVersion"`
	ResponseID    string            `json:"responseId"`
}

type geminiCandidate struct {
	Content      geminiContent `json:"content"`
	FinishReason string        `json:"finishReason,omitempty"`
	Index        int           `json:"index"`
}

func geminiAnswer(a answer) page {
	if !a.stream {
		return page{"application/json; charset=UTF-8", [][]byte{encode(geminiPiece(a, a.text, true))}}
	}
	var pieces [][]byte
	for word := range strings.SplitAfterSeq(a.text, " ") {
		if word != "" {
			pieces = append(pieces, event(encode(geminiPiece(a, word, false))))
		}
	}
	return page{"text/event-stream", append(pieces, event(encode(geminiPiece(a, "", true))))}
}

// geminiPiece is an answer, or a part of it; last says how it ended.
func geminiPiece(a answer, text string, last bool) geminiGenerated {
	candidate := geminiCandidate{Content: geminiContent{Role: "model"}}
	if text != "" {
		candidate.Content.Parts = []geminiPart{{text}}
	}
	out := geminiGenerated{ModelVersion: a.model, ResponseID: a.id}
	if last {
		candidate.FinishReason = geminiFinish[a.finish]
		out.UsageMetadata = map[string]int{
			"promptTokenCount": a.usage.prompt, "cachedContentTokenCount": a.usage.cached,
			"candidatesTokenCount": a.usage.completion - a.usage.reasoning, "thoughtsTokenCount": a.usage.reasoning,
			"totalTokenCount": a.usage.prompt + a.usage.completion,
		}
	}
	out.Candidates = []geminiCandidate{candidate}
	return out
}
