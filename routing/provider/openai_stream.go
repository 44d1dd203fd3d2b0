package provider

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"tidegate/jobs"
)

// openAIStream is how the chat-completions API sends an answer in pieces.
var openAIStream = &streaming{
	members: `"stream":true,"stream_options":{"include_usage":true}`,
	gather:  func(limit int) gatherer { return &openAIChunks{limit: limit} },
}

// openAIChunks puts chat-completion chunks together. Members that it does not know
// are kept: what is a delta grows, what is beside it is as it was said last.
type openAIChunks struct {
	members []member // of the completion, but for its choices
	choices []*openAIChoice
	done    bool
	held    int
	limit   int // of held: members and choices are looked for one by one
}

// A member of an object is its name and its value in JSON.
type member struct {
	name  string
	value []byte
}

type openAIChoice struct {
	index   int
	members []member // but for its message and its logprobs
	message []*grown
	beside  any // logprobs, which grow
	finish  bool
	told    int // of its content, how much was handed on
}

// grown is a member of a message that grows by deltas: a text, or anything else.
type grown struct {
	name string
	text []byte
	half []byte // of a character whose other half is in the next piece, as an escape
	tree any    // nil: it is a text
}

// frame is what a choice, a member or an element costs beside its text. It is a
// generous guess: what has thousands of them is no answer.
const frame = 512

func (o *openAIChunks) size() int { return o.held }

func (o *openAIChunks) news(take func(jobs.Piece)) {
	for _, choice := range o.choices {
		for _, part := range choice.message {
			if part.name == "content" && part.tree == nil && len(part.text) > choice.told {
				take(jobs.Piece{Choice: choice.index, Text: string(part.text[choice.told:])})
				choice.told = len(part.text)
			}
		}
	}
}

func (o *openAIChunks) full() bool { return o.held > o.limit }

func (o *openAIChunks) take(got response, next event) (step, *refusal) {
	data := bytes.TrimSpace(next.data)
	if string(data) == "[DONE]" {
		o.done = true
		return last, nil
	}
	c := cursor{data: data}
	did, fault := along, next.name == "error"
	for inside := c.into('{'); inside && !o.full() && c.more('}'); {
		name := c.key()
		switch string(name) {
		case "choices":
			for inside := c.into('['); inside && !o.full() && c.more(']'); {
				did = max(did, o.takeChoice(&c))
			}
		case "error":
			fault = c.filled() || fault
		case "object": // ours
			fault = string(c.text()) == flatError || fault
		case "obfuscation": // padding
			c.skip()
		default:
			o.held += keep(&o.members, name, &c)
		}
	}
	if fault {
		why := explainOpenAI(response{got.status, got.header, data})
		return along, &why
	}
	if !c.ended() && !o.full() {
		return along, &refusal{status: got.status, class: jobs.Garbled, text: fmt.Sprintf("an event of the stream is not JSON at byte %d of %d", c.at, len(data))}
	}
	return did, nil
}

// keep takes a member in the place of what was there, unless it says nothing, and
// returns by how much that grew.
func keep(members *[]member, name []byte, c *cursor) int {
	c.peek()
	from := c.at
	if filled := c.filled(); !filled || c.bad {
		return 0
	}
	value := c.data[from:c.at]
	for i := range *members {
		m := &(*members)[i]
		if m.name != string(name) {
			continue
		}
		grew := len(value) - len(m.value)
		if !bytes.Equal(m.value, value) && string(value) != "0" { // an empty first chunk says 0
			m.value = append(m.value[:0], value...)
		}
		return max(grew, 0)
	}
	*members = append(*members, member{string(name), bytes.Clone(value)})
	return frame + len(name) + len(value)
}

// takeChoice reads the choice of a chunk. Its index may come after its delta.
func (o *openAIChunks) takeChoice(c *cursor) step {
	var delta, message, beside []byte
	var members []member
	index := 0
	for inside := c.into('{'); inside && !o.full() && c.more('}'); {
		name := c.key()
		from := c.at
		switch string(name) {
		case "index":
			index = c.count()
		case "delta":
			if c.filled() {
				delta = c.data[from:c.at]
			}
		case "message":
			if messageSays(c) {
				message = c.data[from:c.at]
			}
		case "logprobs":
			if c.filled() {
				beside = c.data[from:c.at]
			}
		default:
			o.held += keep(&members, name, c)
		}
	}
	if c.bad || o.full() {
		return along
	}
	choice := o.choice(index)
	for _, m := range members {
		choice.finish = choice.finish || m.name == "finish_reason"
		keep(&choice.members, []byte(m.name), &cursor{data: m.value})
	}
	if beside != nil {
		choice.beside = grow(choice.beside, treeOf(beside), false)
		o.held += len(beside)
	}
	if delta == nil && message != nil {
		// Some send the message so far beside each delta, or the whole in the end.
		choice.message, delta = nil, message
	}
	return o.takeDelta(choice, delta)
}

func (o *openAIChunks) choice(index int) *openAIChoice {
	for _, choice := range o.choices {
		if choice.index == index {
			return choice
		}
	}
	o.held += frame
	o.choices = append(o.choices, &openAIChoice{index: index})
	return o.choices[len(o.choices)-1]
}

func (o *openAIChunks) takeDelta(choice *openAIChoice, delta []byte) step {
	did := along
	c := cursor{data: delta}
	for inside := c.into('{'); inside && !o.full() && c.more('}'); {
		name := c.key()
		from := c.at
		if c.peek() == '"' {
			part := o.part(choice, name)
			text := part.piece(c.quoted())
			if list, ok := part.tree.([]any); ok && part.name == "content" && len(text) > 0 {
				part.tree = addText(list, text)
				o.held += frame
			} else if part.tree == nil {
				part.text = joined(part.text, text, saidOnce[string(name)])
			}
			o.held += len(text)
			if len(text) > 0 && !saidOnce[string(name)] {
				did = token
			}
			continue
		}
		if filled := c.filled(); !filled || c.bad {
			continue
		}
		value := c.data[from:c.at]
		part := o.part(choice, name)
		if part.name == "content" && value[0] == '[' && len(part.text) > 0 {
			part.tree, part.text = addText(nil, part.text), nil
		}
		before, _ := part.tree.([]any)
		part.tree = grow(part.tree, treeOf(value), string(name) == "tool_calls")
		after, _ := part.tree.([]any)
		o.held += len(value) + frame*(len(after)-len(before))
		did = token
	}
	return did
}

// piece is the text of a piece from between its quotes. Some servers cut texts within
// a character that JSON writes in two escapes.
func (g *grown) piece(raw []byte) []byte {
	if len(g.half) > 0 {
		raw, g.half = append(g.half, raw...), nil
	}
	if half := halfAtEnd(raw); half > 0 {
		raw, g.half = raw[:len(raw)-half], bytes.Clone(raw[len(raw)-half:])
	}
	return unescape(raw)
}

func (o *openAIChunks) part(c *openAIChoice, name []byte) *grown {
	for _, part := range c.message {
		if part.name == string(name) {
			return part
		}
	}
	o.held += frame + len(name)
	c.message = append(c.message, &grown{name: string(name)})
	return c.message[len(c.message)-1]
}

// whole writes the chat completion. It ended where the stream says so, or where
// every choice did: some providers leave out the [DONE].
func (o *openAIChunks) whole() (body []byte, ended bool) {
	if len(o.members) == 0 && len(o.choices) == 0 {
		return nil, false
	}
	ended = o.done || len(o.choices) > 0
	slices.SortStableFunc(o.choices, func(a, b *openAIChoice) int { return cmp.Compare(a.index, b.index) })
	out := []byte(`{"object":"chat.completion"`)
	for _, m := range o.members {
		out = appendMember(out, m)
	}
	out = append(out, `,"choices":[`...)
	for i, choice := range o.choices {
		ended = ended && (o.done || choice.finish)
		if i > 0 {
			out = append(out, ',')
		}
		out = choice.appendTo(out)
	}
	return append(out, "]}"...), ended
}

func appendMember(out []byte, m member) []byte {
	out = appendString(append(out, ','), m.name)
	return append(append(out, ':'), m.value...)
}

func (c *openAIChoice) appendTo(out []byte) []byte {
	out = append(out, `{"index":`...)
	out = strconv.AppendInt(out, int64(c.index), 10)
	out = append(out, `,"message":{"role":`...)
	role, content := "assistant", []byte("null")
	var others []member
	for _, part := range c.message {
		switch value := part.json(); {
		case part.name == "role" && part.tree == nil && len(part.text) > 0:
			role = string(part.text)
		case part.name == "content" && (part.tree != nil || len(part.text) > 0):
			content = value
		case part.name != "role" && part.name != "content":
			others = append(others, member{part.name, value})
		}
	}
	out = appendString(out, role)
	out = appendMember(out, member{"content", content})
	for _, m := range others {
		out = appendMember(out, m)
	}
	out = append(out, '}')
	logprobs, finish := []byte("null"), []byte("null")
	if c.beside != nil {
		logprobs = jsonOf(c.beside)
	}
	for _, m := range c.members {
		if m.name == "finish_reason" {
			finish = m.value
		} else {
			out = appendMember(out, m)
		}
	}
	out = appendMember(out, member{"logprobs", logprobs})
	return append(appendMember(out, member{"finish_reason", finish}), '}')
}

func (g *grown) json() []byte {
	if calls, ok := g.tree.([]any); ok && g.name == "tool_calls" {
		return jsonOf(inOrder(calls))
	}
	if g.tree != nil {
		return jsonOf(g.tree)
	}
	return jsonOf(string(g.text))
}

func jsonOf(value any) []byte {
	out, err := marshal(value)
	if err != nil {
		return json.RawMessage("null") // cannot be: it was read from JSON
	}
	return out
}
