package app

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
)

// answerText is what an answer says to a person, whatever the endpoint; what is none of
// those that are known stays as it is.
func answerText(body []byte) string {
	var said struct {
		Choices []struct {
			Text    string `json:"text"`
			Message struct {
				Content string `json:"content"`
				Refusal string `json:"refusal"`
			} `json:"message"`
		} `json:"choices"`
		Output []struct {
			Content []struct {
				Text    string `json:"text"`
				Refusal string `json:"refusal"`
			} `json:"content"`
		} `json:"output"`
		Data []struct {
			Embedding json.RawMessage `json:"embedding"`
		} `json:"data"`
	}
	err := json.Unmarshal(body, &said)
	switch {
	case err == nil && len(said.Choices) > 0:
		first := said.Choices[0]
		return cmp.Or(first.Message.Content, first.Message.Refusal, first.Text)
	case err == nil && len(said.Output) > 0:
		var texts []string
		for _, item := range said.Output {
			for _, part := range item.Content {
				texts = append(texts, cmp.Or(part.Text, part.Refusal))
			}
		}
		return strings.Join(texts, "\n")
	case err == nil && len(said.Data) > 0 && said.Data[0].Embedding != nil:
		return vectorsText(len(said.Data), said.Data[0].Embedding)
	default:
		return string(body)
	}
}

// vectorsText counts vectors, since nobody reads them.
func vectorsText(n int, first json.RawMessage) string {
	var numbers []json.RawMessage
	if json.Unmarshal(first, &numbers) != nil { // in base64
		return counted(n, "vector")
	}
	return fmt.Sprintf("%s of %d numbers", counted(n, "vector"), len(numbers))
}
