package provider

import (
	"fmt"

	"tidegate/jobs"
)

// A reply is what is read of the object that /v1/responses answers.
type reply struct {
	id, model []byte
	status    []byte
	why       []byte // it is incomplete
	listed    bool   // there is a list of what came out
	says      bool   // a message of it has a text
	calls     bool   // a tool is called, or something else came out that is no message
	fault     bool   // there is an error object
	usage     jobs.Usage
}

// replyFinish is how chat completions call what an incomplete response is for.
var replyFinish = map[string]string{"max_output_tokens": "length", "content_filter": "content_filter"}

// finish is why the answer ended, in the words of chat completions.
func (seen *reply) finish() string {
	switch {
	case string(seen.status) == "incomplete":
		if known := replyFinish[string(seen.why)]; known != "" {
			return known
		}
		return string(seen.why)
	case seen.calls:
		return "tool_calls"
	default:
		return "stop"
	}
}

func decodeResponse(got response) (*jobs.Answer, *refusal) {
	body := trimKeepAlive(got.body)
	c := cursor{data: body}
	var seen reply
	seen.read(&c)
	if seen.fault {
		why := explainOpenAI(response{status: got.status, header: got.header, body: body})
		why.usage = seen.usage
		return nil, &why
	}
	finish := seen.finish()
	garbled := refusal{status: got.status, class: jobs.Garbled, usage: seen.usage}
	switch ended := string(seen.status); {
	case len(body) == 0:
		garbled.text = "the answer is empty"
	case !c.ended():
		garbled.text = fmt.Sprintf("the answer is not JSON at byte %d of %d", c.at, len(body))
	case body[0] != '{' || !seen.listed:
		garbled.text = "the answer is no response: it has no output"
	case ended != "completed" && ended != "incomplete" && ended != "": // some do not say
		garbled.text = fmt.Sprintf("the response is not over: its status is %q", ended)
	case !seen.says && !seen.calls && finish != "length" && finish != "content_filter":
		garbled.text = fmt.Sprintf("the answer says nothing; its status is %q", ended)
	default:
		return &jobs.Answer{Body: body, Model: string(seen.model), ProviderID: string(seen.id), FinishReason: finish, Usage: seen.usage}, nil
	}
	return nil, &garbled
}

func (seen *reply) read(c *cursor) {
	if !c.into('{') {
		return
	}
	for c.more('}') {
		switch string(c.key()) {
		case "id":
			seen.id = c.text()
		case "model":
			seen.model = c.text()
		case "status":
			seen.status = c.text()
		case "incomplete_details":
			for inside := c.into('{'); inside && c.more('}'); {
				if string(c.key()) == "reason" {
					seen.why = c.text()
				} else {
					c.skip()
				}
			}
		case "output":
			seen.listed, seen.says, seen.calls = c.peek() == '[', false, false
			for inside := c.into('['); inside && c.more(']'); {
				seen.readItem(c)
			}
		case "usage":
			seen.usage = readReplyUsage(c)
		case "error":
			seen.fault = c.filled() || seen.fault
		case "object":
			seen.fault = string(c.text()) == flatError || seen.fault
		default:
			c.skip()
		}
	}
}

// readItem looks whether something that came out says anything. What the model thought
// does not.
func (seen *reply) readItem(c *cursor) {
	var kind []byte
	says := false
	if !c.into('{') {
		return
	}
	for c.more('}') {
		switch string(c.key()) {
		case "type":
			kind = c.text()
		case "content":
			for inside := c.into('['); inside && c.more(']'); {
				says = partSays(c) || says
			}
		default:
			c.skip()
		}
	}
	switch string(kind) {
	case "message":
		seen.says = seen.says || says
	case "reasoning", "":
	default:
		seen.calls = true
	}
}

func partSays(c *cursor) (says bool) {
	for inside := c.into('{'); inside && c.more('}'); {
		switch string(c.key()) {
		case "text", "refusal":
			says = c.filled() || says
		default:
			c.skip()
		}
	}
	return says
}

func readReplyUsage(c *cursor) (u jobs.Usage) {
	for inside := c.into('{'); inside && c.more('}'); {
		switch string(c.key()) {
		case "input_tokens":
			u.Input = c.count()
		case "output_tokens":
			u.Output = c.count()
		case "input_tokens_details":
			u.CachedInput = countOf(c, "cached_tokens")
		case "output_tokens_details":
			u.Reasoning = countOf(c, "reasoning_tokens")
		default:
			c.skip()
		}
	}
	return u
}
