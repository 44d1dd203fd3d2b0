package provider

import (
	"encoding/json"
	"net/url"
	"strings"

	"tidegate/jobs"
)

// geminiStream is how the Gemini API sends an answer in pieces: by another method.
var geminiStream = &streaming{
	address: func(u *url.URL) {
		u.Path = strings.Replace(u.Path, ":generateContent", ":streamGenerateContent", 1)
		u.RawPath = strings.Replace(u.RawPath, ":generateContent", ":streamGenerateContent", 1)
		query := u.Query()
		query.Set("alt", "sse")
		u.RawQuery = query.Encode()
	},
	gather: func(int) gatherer { return &geminiPieces{} },
}

// geminiPieces puts pieces of generated content together. Each is one in itself.
type geminiPieces struct {
	answer geminiAnswer
	parts  []geminiPart
	texts  [][]byte // of the parts, which grow
	told   []int    // of each of them, how much was handed on
	finish string
	began  bool
	held   int
}

func (g *geminiPieces) size() int { return g.held }

func (g *geminiPieces) news(take func(jobs.Piece)) {
	for i, text := range g.texts {
		if !g.parts[i].Thought && len(text) > g.told[i] {
			take(jobs.Piece{Text: string(text[g.told[i]:])})
			g.told[i] = len(text)
		}
	}
}

func (g *geminiPieces) take(got response, next event) (step, *refusal) {
	var a geminiAnswer
	if err := json.Unmarshal(next.data, &a); err != nil {
		return along, &refusal{status: got.status, class: jobs.Garbled, text: "an event of the stream is no JSON of generated content"}
	}
	if len(a.Error) > 0 && string(a.Error) != "null" {
		why := explainGemini(response{got.status, got.header, next.data})
		return along, &why
	}
	g.began = true
	whole := &g.answer
	whole.ResponseID, whole.ModelVersion = latest(whole.ResponseID, a.ResponseID), latest(whole.ModelVersion, a.ModelVersion)
	whole.PromptFeedback.BlockReason = latest(whole.PromptFeedback.BlockReason, a.PromptFeedback.BlockReason)
	whole.UsageMetadata.grow(a.UsageMetadata)
	if len(a.Candidates) == 0 {
		return along, nil
	}
	if whole.Candidates == nil {
		whole.Candidates = a.Candidates[:1:1]
	}
	first := a.Candidates[0]
	g.finish = latest(g.finish, first.FinishReason)
	did := along
	for _, part := range first.Content.Parts {
		if part.Text != "" || !part.isText() {
			did = token
		}
		g.add(part)
	}
	return did, nil
}

// grow takes what was used so far: it never shrinks, and not every piece says all.
func (u *geminiUsage) grow(said geminiUsage) {
	u.Prompt, u.ToolUse, u.Cached = max(u.Prompt, said.Prompt), max(u.ToolUse, said.ToolUse), max(u.Cached, said.Cached)
	u.Answer, u.Thoughts = max(u.Answer, said.Answer), max(u.Thoughts, said.Thoughts)
}

func latest(old, said string) string {
	if said == "" {
		return old
	}
	return said
}

// add puts a part at the end, or its text at the end of a text before it.
func (g *geminiPieces) add(part geminiPart) {
	end := len(g.parts) - 1
	if end >= 0 && part.isText() && g.parts[end].isText() && g.parts[end].Thought == part.Thought {
		g.texts[end] = append(g.texts[end], part.Text...)
		g.held += len(part.Text)
		return
	}
	g.held += frame + len(part.Text) + len(part.Signature)
	if image := part.InlineData; image != nil {
		g.held += len(image.MimeType) + len(image.Data)
	}
	if call := part.FunctionCall; call != nil {
		g.held += len(call.ID) + len(call.Name) + len(call.Args)
	}
	g.parts = append(g.parts, geminiPart{
		Thought: part.Thought, Signature: part.Signature, InlineData: part.InlineData, FunctionCall: part.FunctionCall,
	})
	g.texts = append(g.texts, []byte(part.Text))
	g.told = append(g.told, 0)
}

// whole writes the content. It ended where a reason for that was given.
func (g *geminiPieces) whole() (body []byte, ended bool) {
	if !g.began {
		return nil, false
	}
	answer := g.answer
	for i := range g.parts {
		g.parts[i].Text = string(g.texts[i])
	}
	if len(answer.Candidates) > 0 {
		answer.Candidates[0].Content.Parts = g.parts
		answer.Candidates[0].FinishReason = g.finish
	}
	return jsonOf(answer), g.finish != "" || answer.PromptFeedback.BlockReason != ""
}
