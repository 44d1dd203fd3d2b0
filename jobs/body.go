package jobs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// CheckBody says why body is not a chat-completions body that can wait in a
// queue, or nil: one JSON object with a list of messages, no streaming, at most
// MaxBodyBytes. Fields that it does not know are the provider's business.
func CheckBody(body []byte) error {
	if len(body) == 0 {
		return errors.New("body: is empty; it must be an OpenAI chat-completions object")
	}
	if err := checkSize(body); err != nil {
		return err
	}
	if err := checkJSON(body); err != nil {
		return fmt.Errorf("body: %w", err)
	}
	return checkMembers(body)
}

func checkSize(body []byte) error {
	if len(body) > MaxBodyBytes {
		return fmt.Errorf("body: %d bytes, at most %d", len(body), MaxBodyBytes)
	}
	return nil
}

// checkMembers looks for what CheckBody wants in a body that is valid JSON.
func checkMembers(body []byte) error {
	if first := bytes.TrimLeft(body, jsonSpace); first[0] != '{' {
		return errors.New("body: must be a JSON object")
	}
	asked, meant := false, ""
	for name, value := range members(body) {
		switch string(name) {
		case "messages":
			asked = value[0] == '[' && bytes.TrimLeft(value[1:], jsonSpace)[0] != ']'
		case "stream":
			if value[0] != 'f' && value[0] != 'n' { // false or null
				return errors.New("body.stream: a background job cannot stream; leave it out")
			}
		default:
			if strings.EqualFold(string(name), "messages") {
				meant = string(name)
			}
		}
	}
	if !asked && meant != "" {
		return fmt.Errorf("body.messages: is missing; %q is not the same, write it in small letters", meant)
	}
	if !asked {
		return errors.New("body.messages: must be a list with at least one message")
	}
	return nil
}

// checkJSON says where text stops being JSON, or nil.
func checkJSON(text []byte) error {
	if json.Valid(text) {
		return nil
	}
	err := json.Unmarshal(text, new(json.RawMessage))
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("not JSON at byte %d: %w", syntax.Offset, err)
	}
	return err
}
