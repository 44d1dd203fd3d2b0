package provider

import (
	"encoding/json"
	"errors"
	"fmt"
)

// splice returns body, one JSON object, with model as its top-level `model` and
// without a top-level `stream` and `stream_options`. Every other byte stays as
// it is: unknown fields, spacing, the spelling of numbers, members that come
// twice. It does not touch body.
func splice(body []byte, model string) ([]byte, error) {
	c := cursor{data: body}
	if c.peek() != '{' {
		return nil, errors.New("body: must be a JSON object")
	}
	out := make([]byte, 0, len(body)+len(model)+len(`,"model":""`))
	var (
		copied       int  // body up to here is in out, or left out of it
		kept         bool // a member is in out, so that the next one needs its comma
		named        bool // there is a model
		swallowComma bool // the first members were left out: the comma after them goes too
	)
	for c.into('{'); ; {
		before := c.at // the comma, if one is due
		if !c.more('}') {
			break
		}
		from := c.at
		if swallowComma {
			copied, swallowComma = from, false
		}
		name := string(c.key())
		value := c.at
		c.skip()
		switch name {
		case "model":
			out = appendString(append(out, body[copied:value]...), model)
			copied, kept, named = c.at, true, true
		case "stream", "stream_options":
			if kept {
				from = before
			}
			out = append(out, body[copied:from]...)
			copied, swallowComma = c.at, !kept
		default:
			kept = true
		}
	}
	if !c.ended() {
		return nil, fmt.Errorf("body: not JSON at byte %d", c.at)
	}
	if !named {
		closing := lastBrace(body)
		out = append(out, body[copied:closing]...)
		if kept {
			out = append(out, ',')
		}
		out = appendString(append(out, `"model":`...), model)
		copied = closing
	}
	return append(out, body[copied:]...), nil
}

// lastBrace is the place of the brace that closes the object: nothing but space
// comes after it.
func lastBrace(body []byte) int {
	for i := len(body) - 1; i > 0; i-- {
		if body[i] == '}' {
			return i
		}
	}
	return 0
}

// appendString appends text as a JSON string.
func appendString(out []byte, text string) []byte {
	for i := range len(text) {
		if b := text[i]; b < ' ' || b == '"' || b == '\\' || b >= 0x7f {
			quoted, _ := json.Marshal(text) // a string cannot fail
			return append(out, quoted...)
		}
	}
	out = append(out, '"')
	out = append(out, text...)
	return append(out, '"')
}
