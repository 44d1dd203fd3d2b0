package jobs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// CheckBody says why body is none of the endpoint that can wait in a queue, or nil:
// one JSON object that asks for something, no streaming, at most MaxBodyBytes.
// Fields that it does not know are the provider's business.
func (e Endpoint) CheckBody(body []byte) error {
	if len(body) == 0 {
		return fmt.Errorf("body: is empty; it must be an object as OpenAI's %s takes it", e)
	}
	if err := checkSize(body); err != nil {
		return err
	}
	if err := checkJSON(body); err != nil {
		return fmt.Errorf("body: %w", err)
	}
	return e.checkMembers(body)
}

func checkSize(body []byte) error {
	if len(body) > MaxBodyBytes {
		return fmt.Errorf("body: %d bytes, at most %d", len(body), MaxBodyBytes)
	}
	return nil
}

// questions are the members of a body that ask for something, by endpoint: one of
// them has to. The first one is what people forget.
var questions = [EndpointUnknown][]string{
	EndpointChat:        {"messages"},
	EndpointEmbeddings:  {"input"},
	EndpointResponses:   {"input", "prompt", "previous_response_id", "conversation"},
	EndpointCompletions: {"prompt"},
}

// forms say what the first of the questions must be.
var forms = [EndpointUnknown]string{
	EndpointChat:        "must be a list with at least one message",
	EndpointEmbeddings:  "must be a text, or a list with at least one",
	EndpointResponses:   "must be a text, or a list with at least one item",
	EndpointCompletions: "must be a text, or a list with at least one",
}

// checkMembers looks for what CheckBody wants in a body that is valid JSON.
func (e Endpoint) checkMembers(body []byte) error {
	if !e.Known() {
		return fmt.Errorf("endpoint: is not one of %s", strings.Join(EndpointPaths(), ", "))
	}
	if first := bytes.TrimLeft(body, jsonSpace); first[0] != '{' {
		return errors.New("body: must be a JSON object")
	}
	wanted := questions[e]
	asked := make([]bool, len(wanted)) // what stands twice counts as it stands last
	meant, other := "", ""
	for name, value := range members(body) {
		name := string(name)
		at := slices.Index(wanted, name)
		switch {
		case at >= 0:
			asked[at] = e.asks(name, value)
		case name == "stream":
			if value[0] != 'f' && value[0] != 'n' { // false or null
				return errors.New("body.stream: a background job cannot stream; leave it out")
			}
		case name == "background" && e == EndpointResponses && value[0] == 't':
			return errors.New("body.background: the answer would only say that it is to come; leave it out, this waits in a queue as it is")
		case strings.EqualFold(name, wanted[0]):
			meant = name
		case e == EndpointChat && (name == "input" || name == "prompt"):
			other = name
		}
	}
	switch field := "body." + wanted[0]; {
	case slices.Contains(asked, true):
		return nil
	case meant != "":
		return fmt.Errorf("%s: is missing; %q is not the same, write it in small letters", field, meant)
	case other != "":
		return fmt.Errorf("%s: is missing; a body with %q is for another endpoint: say which, as in \"url\": \"/v1/embeddings\"", field, other)
	default:
		return fmt.Errorf("%s: %s", field, forms[e])
	}
}

// asks tells whether the value of a question holds any.
func (e Endpoint) asks(name string, value []byte) bool {
	switch value[0] {
	case '[':
		return bytes.TrimLeft(value[1:], jsonSpace)[0] != ']'
	case '"':
		return e != EndpointChat && len(value) > len(`""`)
	case '{':
		return e == EndpointResponses && name != "input"
	default:
		return false
	}
}

// Inputs counts what a body of embeddings wants a vector for each of: its texts, or
// lists of tokens. The body must be valid JSON.
func Inputs(body []byte) int {
	n := 0
	for name, value := range members(body) {
		if string(name) != "input" {
			continue
		}
		if n = 1; value[0] == '[' {
			n = countInputs(value)
		}
	}
	return n
}

// countInputs counts the elements of a list; one of numbers is a single text in
// tokens.
func countInputs(list []byte) (n int) {
	for one := range elements(list) {
		if one[0] == '-' || one[0] >= '0' && one[0] <= '9' {
			return 1
		}
		n++
	}
	return n
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
