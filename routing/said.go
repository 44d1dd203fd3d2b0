package routing

import (
	"encoding/json"
	"slices"

	"tidegate/jobs"
	"tidegate/jobs/expect"
)

// An utterance is what the first choice of an answer says, as it stands in its body:
// escapes and all. It copies nothing, unless a text comes in pieces.
type utterance struct {
	text    []byte // between its quotes
	refusal bool   // the model says itself that it refuses
	calls   bool   // it calls tools
}

// listen reads what completions, of chats too, and responses answer. Of what is none of
// these, it makes what it can.
func listen(body []byte) (said utterance) {
	r := promptReader{data: body}
	r.members(func(name string) {
		if name == "output" && r.peek() == '[' {
			r.items(&said)
			return
		}
		if name != "choices" || r.peek() != '[' {
			r.skip()
			return
		}
		from := r.at
		r.at++
		if r.peek() == '{' {
			r.members(func(name string) {
				switch kind := r.peek(); {
				case name == "message" && kind == '{':
					r.message(&said)
				case name == "text" && kind == '"':
					said.text = r.quoted()
				default:
					r.skip()
				}
			})
		}
		r.at = from
		r.skip() // the other choices
	})
	return said
}

func (r *promptReader) message(said *utterance) {
	r.members(func(name string) {
		kind := r.peek()
		switch {
		case name == "content" && kind == '"':
			said.text = r.quoted()
		case name == "refusal" && kind == '"':
			refused := r.quoted()
			if said.refusal = len(refused) > 0; said.refusal && len(said.text) == 0 {
				said.text = refused
			}
		case name == "tool_calls" && kind == '[':
			from := r.at
			r.at++
			said.calls = r.peek() == '{'
			r.at = from
			r.skip()
		default:
			r.skip()
		}
	})
}

// items reads what came out of a response: what is neither said nor thought is
// the call of a tool.
func (r *promptReader) items(said *utterance) {
	r.elements(func() {
		message, other := false, false
		r.members(func(name string) {
			switch kind := r.peek(); {
			case name == "type" && kind == '"':
				what := string(r.quoted())
				message = what == "message"
				other = !message && what != "reasoning"
			case name == "content" && kind == '[' && !other:
				r.elements(func() { r.part(said) })
			default:
				r.skip()
			}
		})
		said.calls = said.calls || other
	})
}

// part reads a piece of a message of a response.
func (r *promptReader) part(said *utterance) {
	var text, refused []byte
	thought := false
	r.members(func(name string) {
		switch kind := r.peek(); {
		case name == "type" && kind == '"':
			thought = string(r.quoted()) == "reasoning_text"
		case name == "text" && kind == '"':
			text = r.quoted()
		case name == "refusal" && kind == '"':
			refused = r.quoted()
		default:
			r.skip()
		}
	})
	switch {
	case thought:
	case len(refused) > 0:
		if said.refusal = true; len(said.text) == 0 {
			said.text = refused
		}
	case len(said.text) > 0 && !said.refusal:
		said.text = slices.Concat(said.text, text)
	case len(text) > 0:
		said.text = text
	}
}

// elements hands each element of a list to take, which must step over it.
func (r *promptReader) elements(take func()) {
	for r.at++; r.peek() != ']' && r.peek() != 0; {
		before := r.at
		take()
		if r.peek() == ',' {
			r.at++
		}
		if r.at == before { // what is no JSON
			r.at++
		}
	}
	if r.peek() == ']' {
		r.at++
	}
}

// members hands each name of an object to take, which must step over the value.
func (r *promptReader) members(take func(name string)) {
	if r.peek() != '{' {
		return
	}
	for r.at++; r.peek() == '"'; r.at++ { // behind a brace or a comma
		name := r.quoted()
		if r.peek() != ':' {
			return
		}
		r.at++
		r.peek()
		take(string(name))
		if next := r.peek(); next != ',' {
			if next == '}' {
				r.at++
			}
			return
		}
	}
}

// plain is the text as it is meant. What cannot be read is left as it stands.
func (u *utterance) plain() string {
	quoted := make([]byte, 0, len(u.text)+2)
	quoted = append(append(append(quoted, '"'), u.text...), '"')
	var text string
	if json.Unmarshal(quoted, &text) != nil {
		return string(u.text)
	}
	return text
}

// saidBy is what rules are to know of an answer.
func saidBy(target *jobs.Target, answer *jobs.Answer) expect.Said {
	u := listen(answer.Body)
	said := expect.Said{
		Text: u.plain(), Calls: u.calls, Finish: answer.FinishReason, Model: answer.Model, Expected: target.Model,
		Tokens: answered(answer.Usage),
	}
	if target.Dialect == "azure" { // the model is the name that somebody gave to a deployment
		said.Expected = ""
	}
	return said
}

// answered counts the tokens of the answer itself.
func answered(u jobs.Usage) int { return max(u.Output-u.Reasoning, 0) }
