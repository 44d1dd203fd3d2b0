package jobs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// A Streaming is how somebody who waits wants the answer.
type Streaming struct {
	On    bool // in pieces, as they come
	Usage bool // the last piece says what was used
}

// CheckAwaitedBody is CheckBody of a chat completion whose sender waits for the answer, and may
// want it in pieces. It returns the body as it is for somebody who does not: how it
// comes is not the provider's business.
func CheckAwaitedBody(body []byte) (whole json.RawMessage, stream Streaming, err error) {
	if len(body) == 0 {
		return nil, stream, errors.New("body: is empty; it must be an OpenAI chat-completions object")
	}
	if err := checkSize(body); err != nil {
		return nil, stream, err
	}
	if err := checkJSON(body); err != nil {
		return nil, stream, fmt.Errorf("body: %w", err)
	}
	if bytes.TrimLeft(body, jsonSpace)[0] != '{' {
		return nil, stream, errors.New("body: must be a JSON object")
	}
	if whole, err = takeStream(body, &stream); err != nil {
		return nil, stream, err
	}
	return whole, stream, EndpointChat.checkMembers(whole)
}

// takeStream reads how an answer is wanted, and copies the rest of the body.
func takeStream(body []byte, stream *Streaming) (rest []byte, err error) {
	rest = make([]byte, 0, len(body)+1)
	for name, value := range members(body) {
		switch string(name) {
		case "stream":
			if err := json.Unmarshal(value, &stream.On); err != nil {
				return nil, errors.New("stream: must be true or false")
			}
			continue
		case "stream_options":
			var options struct {
				Usage bool `json:"include_usage"`
			}
			if err := json.Unmarshal(value, &options); err != nil {
				return nil, errors.New("stream_options: must be an object like {\"include_usage\": true}")
			}
			stream.Usage = options.Usage
			continue
		}
		quoted, err := json.Marshal(string(name))
		if err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
		rest = append(append(append(append(rest, ','), quoted...), ':'), value...)
	}
	if len(rest) == 0 {
		rest = append(rest, ',')
	}
	rest[0] = '{'
	return append(rest, '}'), nil
}
