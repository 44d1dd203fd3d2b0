package jobs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// CheckBody says why body is not a chat-completions body that can wait in a
// queue, or nil: one JSON object with a list of messages, no streaming, at most
// MaxBodyBytes. Fields that it does not know are the provider's business.
func CheckBody(body []byte) error {
	if len(body) == 0 {
		return errors.New("body: is empty; it must be an OpenAI chat-completions object")
	}
	if len(body) > MaxBodyBytes {
		return fmt.Errorf("body: %d bytes, at most %d", len(body), MaxBodyBytes)
	}
	var seen struct {
		Messages []json.RawMessage `json:"messages"`
		Stream   bool              `json:"stream"`
	}
	if err := json.Unmarshal(body, &seen); err != nil {
		return fmt.Errorf("body: %w", explainJSON(err))
	}
	if first := bytes.TrimLeft(body, " \t\r\n"); first[0] != '{' {
		return errors.New("body: must be a JSON object")
	}
	if len(seen.Messages) == 0 {
		return errors.New("body.messages: must be a list with at least one message")
	}
	if seen.Stream {
		return errors.New("body.stream: a background job cannot stream; leave it out")
	}
	return nil
}

// explainJSON puts the field or the position into an error of encoding/json.
func explainJSON(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("not JSON at byte %d: %w", syntax.Offset, err)
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		if kind.Field == "" {
			return fmt.Errorf("must be a JSON object, not a %s", kind.Value)
		}
		return fmt.Errorf("%s: must not be a %s", kind.Field, kind.Value)
	}
	return err
}
