package batchapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"tidegate/jobs"
)

// streamCompletion hands an answer on as it comes. Until its first piece is there all
// is as for one that comes whole: other targets are asked, and what goes wrong has a
// status of its own. After that nobody else can go on with it.
func (s *Server) streamCompletion(w http.ResponseWriter, r *http.Request, request *jobs.Request, stream jobs.Streaming) error {
	out := &chunks{w: w, control: http.NewResponseController(w), request: request.ID, model: jobs.BodyModel(request.Body), created: request.CreatedAt.Unix(), usage: stream.Usage}
	result, err := s.config.Desk.Answer(jobs.WithPieces(r.Context(), out.take), request)
	if err == nil {
		err = faultOf(result)
	}
	if err == nil && !out.begun {
		sayOf(w, result)
	}
	if err == nil {
		err = out.finish(result.Body)
	}
	switch err = notAnswered(w, err); {
	case err == nil:
		return nil
	case !out.begun:
		return err
	case out.failed != nil: // who asked has gone
		panic(http.ErrAbortHandler)
	}
	out.fault(asAPIError(err))
	return nil
}

// chunks writes an answer as the chat-completions API sends it in pieces.
type chunks struct {
	w       http.ResponseWriter
	control *http.ResponseController
	request string
	model   string
	created int64
	usage   bool

	begun  bool
	failed error
	told   []strings.Builder // by choice: the text that went out
}

// chunk is one event.
type chunk struct {
	ID      string          `json:"id"`
	Object  string          `json:"object"`
	Created int64           `json:"created"`
	Model   string          `json:"model"`
	Choices []chunkChoice   `json:"choices"`
	Usage   json.RawMessage `json:"usage,omitempty"`
}

type chunkChoice struct {
	Index        int                        `json:"index"`
	Delta        map[string]json.RawMessage `json:"delta"`
	Logprobs     json.RawMessage            `json:"logprobs,omitempty"`
	FinishReason json.RawMessage            `json:"finish_reason"`
}

var null = json.RawMessage("null")

// mostChoices bounds what a provider can make us keep.
const mostChoices = 128

// take sends a piece of a text.
func (c *chunks) take(piece jobs.Piece) {
	if c.failed != nil || piece.Choice < 0 || piece.Choice >= mostChoices || piece.Text == "" {
		return
	}
	c.begin(piece.Choice + 1)
	c.told[piece.Choice].WriteString(piece.Text)
	c.send(chunkChoice{Index: piece.Choice, Delta: map[string]json.RawMessage{"content": jsonText(piece.Text)}, FinishReason: null})
}

// begin sends what is before the first piece, and what is before the first of a choice.
func (c *chunks) begin(choices int) {
	if !c.begun {
		c.begun = true
		header := c.w.Header()
		header.Set("Content-Type", "text/event-stream; charset=utf-8")
		header.Set("Cache-Control", "no-cache")
		header.Set("X-Accel-Buffering", "no")
		header.Set(headerRequest, c.request)
		c.w.WriteHeader(http.StatusOK)
	}
	for len(c.told) < choices {
		c.told = append(c.told, strings.Builder{})
		c.send(chunkChoice{
			Index: len(c.told) - 1, FinishReason: null,
			Delta: map[string]json.RawMessage{"role": jsonText("assistant"), "content": jsonText("")},
		})
	}
}

// finish sends what of the whole answer did not go out in pieces, and how it ended.
func (c *chunks) finish(body []byte) error {
	var whole struct {
		Choices []struct {
			Index        int                        `json:"index"`
			Message      map[string]json.RawMessage `json:"message"`
			Logprobs     json.RawMessage            `json:"logprobs"`
			FinishReason json.RawMessage            `json:"finish_reason"`
		} `json:"choices"`
		Usage json.RawMessage `json:"usage"`
	}
	if err := json.Unmarshal(body, &whole); err != nil {
		return fmt.Errorf("reading an answer that is to be sent in pieces: %w", err)
	}
	for _, choice := range whole.Choices {
		if choice.Index < 0 || choice.Index >= mostChoices {
			continue
		}
		c.begin(choice.Index + 1)
		rest, err := c.rest(choice.Index, choice.Message)
		if err != nil {
			return err
		}
		if len(rest) > 0 {
			c.send(chunkChoice{Index: choice.Index, Delta: rest, Logprobs: choice.Logprobs, FinishReason: null})
		}
		c.send(chunkChoice{Index: choice.Index, Delta: map[string]json.RawMessage{}, FinishReason: choice.FinishReason})
	}
	if c.usage {
		c.write(chunk{Choices: []chunkChoice{}, Usage: whole.Usage})
	}
	c.line([]byte("[DONE]"))
	return c.failed
}

// rest is what of a message has not gone out yet.
func (c *chunks) rest(at int, message map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	rest := map[string]json.RawMessage{}
	for name, value := range message {
		if name != "role" && !bytes.Equal(value, null) {
			rest[name] = value
		}
	}
	if calls, ok := rest["tool_calls"]; ok {
		rest["tool_calls"] = numbered(calls)
	}
	content, told := rest["content"], c.told[at].String()
	var text string
	if content == nil || json.Unmarshal(content, &text) != nil {
		return rest, nil // none, or in parts, which no pieces were handed on of
	}
	delete(rest, "content")
	left, goesOn := strings.CutPrefix(text, told)
	if !goesOn {
		return nil, fmt.Errorf("the answer does not begin with the pieces that were handed on of it")
	}
	if left != "" {
		rest["content"] = jsonText(left)
	}
	return rest, nil
}

// numbered gives tool calls the index that they have in pieces.
func numbered(calls json.RawMessage) json.RawMessage {
	var list []map[string]json.RawMessage
	if json.Unmarshal(calls, &list) != nil {
		return calls
	}
	for i, call := range list {
		if call != nil && call["index"] == nil {
			call["index"] = json.RawMessage(fmt.Sprint(i))
		}
	}
	out, err := json.Marshal(list)
	if err != nil {
		return calls
	}
	return out
}

// fault sends why the answer does not go on.
func (c *chunks) fault(e *apiError) {
	body, err := json.Marshal(map[string]errorBody{"error": {Message: e.message, Type: e.kind, Param: orNull(e.param), Code: orNull(e.code)}})
	if err == nil {
		c.line(body)
	}
}

func (c *chunks) send(choice chunkChoice) { c.write(chunk{Choices: []chunkChoice{choice}}) }

func (c *chunks) write(next chunk) {
	next.ID, next.Object, next.Created, next.Model = "chatcmpl-"+c.request, "chat.completion.chunk", c.created, c.model
	body, err := json.Marshal(next)
	if err != nil {
		c.failed = err
		return
	}
	c.line(body)
}

// line sends an event at once.
func (c *chunks) line(data []byte) {
	if c.failed != nil {
		return
	}
	if _, c.failed = fmt.Fprintf(c.w, "data: %s\n\n", data); c.failed == nil {
		c.failed = c.control.Flush()
	}
}

func jsonText(text string) json.RawMessage {
	out, err := json.Marshal(text)
	if err != nil {
		return null // which no text is
	}
	return out
}
