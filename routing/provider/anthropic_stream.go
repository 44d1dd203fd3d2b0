package provider

import (
	"encoding/json"
	"fmt"

	"tidegate/jobs"
)

// anthropicStream is how the Messages API sends an answer in pieces.
var anthropicStream = &streaming{
	members: `"stream":true`,
	gather:  func(int) gatherer { return &anthropicPieces{usage: map[string]json.RawMessage{}} },
}

// anthropicPieces puts the events of a message together.
type anthropicPieces struct {
	id, model, stop string
	usage           map[string]json.RawMessage
	blocks          []anthropicPiece
	began, done     bool
	held            int
}

// A piece is a block of the message that grows.
type anthropicPiece struct {
	index  int
	block  anthropicBlock
	text   []byte // of a text
	inputs []byte // of a call: JSON in the end
	told   int    // of its text, how much was handed on
}

type anthropicEvent struct {
	Type    string `json:"type"`
	Index   int    `json:"index"`
	Message struct {
		ID    string                     `json:"id"`
		Model string                     `json:"model"`
		Usage map[string]json.RawMessage `json:"usage"`
	} `json:"message"`
	Block anthropicBlock `json:"content_block"`
	Delta struct {
		Text     string `json:"text"`
		Inputs   string `json:"partial_json"`
		Thinking string `json:"thinking"`
		Stop     string `json:"stop_reason"`
	} `json:"delta"`
	Usage map[string]json.RawMessage `json:"usage"`
}

func (a *anthropicPieces) size() int { return a.held }

func (a *anthropicPieces) news(take func(jobs.Piece)) {
	for i := range a.blocks {
		if b := &a.blocks[i]; b.block.Type == "text" && len(b.text) > b.told {
			take(jobs.Piece{Text: string(b.text[b.told:])})
			b.told = len(b.text)
		}
	}
}

func (a *anthropicPieces) take(got response, next event) (step, *refusal) {
	var e anthropicEvent
	if err := json.Unmarshal(next.data, &e); err != nil {
		return along, &refusal{status: got.status, class: jobs.Garbled, text: "an event of the stream is no JSON of a message"}
	}
	switch e.Type {
	case "error":
		why := explainAnthropic(response{got.status, got.header, next.data})
		return along, &why
	case "message_start":
		a.began, a.id, a.model = true, e.Message.ID, e.Message.Model
		a.bill(e.Message.Usage)
	case "content_block_start":
		return a.begin(e)
	case "content_block_delta":
		return a.grow(got, e)
	case "message_delta":
		if e.Delta.Stop != "" {
			a.stop = e.Delta.Stop
		}
		a.bill(e.Usage)
	case "message_stop":
		a.done = true
		return last, nil
	}
	return along, nil // a ping, the end of a block, or what is to come
}

// bill notes what was used so far. It never shrinks: null, and a zero after a number,
// say nothing.
func (a *anthropicPieces) bill(usage map[string]json.RawMessage) {
	for name, value := range usage {
		before, known := a.usage[name]
		if string(value) == "null" || known && string(value) == "0" {
			continue
		}
		if !known {
			a.held += frame + len(name)
		}
		a.held += max(len(value)-len(before), 0)
		a.usage[name] = value
	}
}

func (a *anthropicPieces) begin(e anthropicEvent) (step, *refusal) {
	block := anthropicBlock{Type: e.Block.Type, ID: e.Block.ID, Name: e.Block.Name, Input: e.Block.Input}
	a.held += frame + len(e.Block.Text) + len(block.Type) + len(block.ID) + len(block.Name) + len(block.Input)
	a.blocks = append(a.blocks, anthropicPiece{index: e.Index, block: block, text: []byte(e.Block.Text)})
	if e.Block.Type == "text" && e.Block.Text == "" || e.Block.Type == "thinking" {
		return along, nil
	}
	return token, nil
}

// grow adds a delta to its block, which is mostly the last one. What the model
// thinks is no part of the answer, but a sign that it works.
func (a *anthropicPieces) grow(got response, e anthropicEvent) (step, *refusal) {
	for i := len(a.blocks) - 1; i >= 0; i-- {
		block := &a.blocks[i]
		if block.index != e.Index {
			continue
		}
		block.text = append(block.text, e.Delta.Text...)
		block.inputs = append(block.inputs, e.Delta.Inputs...)
		a.held += len(e.Delta.Text) + len(e.Delta.Inputs)
		if e.Delta.Text+e.Delta.Inputs+e.Delta.Thinking == "" {
			return along, nil
		}
		return token, nil
	}
	return along, &refusal{status: got.status, class: jobs.Garbled, text: fmt.Sprintf("the stream goes on with block %d, which never began", e.Index)}
}

// whole writes the message. The input of a call that was cut off by the limit is no
// JSON: it becomes a text, as decodeAnthropic knows.
func (a *anthropicPieces) whole() (body []byte, ended bool) {
	if !a.began {
		return nil, false
	}
	content := []anthropicBlock{}
	for _, piece := range a.blocks {
		block := anthropicBlock{Type: piece.block.Type, ID: piece.block.ID, Name: piece.block.Name, Text: string(piece.text), Input: piece.block.Input}
		if len(piece.inputs) > 0 {
			block.Input = piece.inputs
		}
		if len(block.Input) > 0 && !json.Valid(block.Input) {
			block.Input = jsonOf(string(block.Input))
		}
		content = append(content, block)
	}
	return jsonOf(map[string]any{
		"type": "message", "id": a.id, "model": a.model, "content": content, "stop_reason": a.stop, "usage": a.usage,
	}), a.done
}
