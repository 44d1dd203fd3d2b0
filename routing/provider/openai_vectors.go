package provider

import (
	"fmt"
	"net/http"

	"tidegate/jobs"
)

// vectors is what is read of the answer of /v1/embeddings.
type vectors struct {
	id, model []byte
	listed    bool // there is a list of them
	all, good int  // of these, those that are vectors
	fault     bool // there is an error object
	usage     jobs.Usage
}

func decodeVectors(got response) (*jobs.Answer, *refusal) {
	body := trimKeepAlive(got.body)
	c := cursor{data: body}
	var seen vectors
	seen.read(&c)
	if seen.fault {
		why := explainOpenAI(response{status: got.status, header: got.header, body: body})
		why.usage = seen.usage
		return nil, &why
	}
	garbled := refusal{status: got.status, class: jobs.Garbled, usage: seen.usage}
	switch {
	case len(body) == 0:
		garbled.text = "the answer is empty"
	case !c.ended():
		garbled.text = fmt.Sprintf("the answer is not JSON at byte %d of %d", c.at, len(body))
	case body[0] != '{' || !seen.listed:
		garbled.text = "the answer is no list of embeddings: it has no data"
	case seen.all == 0:
		garbled.text = "the answer has no embedding"
	case seen.good < seen.all:
		garbled.text = fmt.Sprintf("%d of %d embeddings are no vectors of numbers", seen.all-seen.good, seen.all)
	default:
		return &jobs.Answer{Body: body, Model: string(seen.model), ProviderID: string(seen.id), Vectors: seen.all, Usage: seen.usage}, nil
	}
	return nil, &garbled
}

// miscounted makes a refusal of an answer that has not a vector for each input.
func miscounted(of jobs.Endpoint, asked []byte, answer *jobs.Answer) *refusal {
	if of != jobs.EndpointEmbeddings {
		return nil
	}
	if n := jobs.Inputs(asked); n > 0 && n != answer.Vectors {
		return &refusal{
			status: http.StatusOK, class: jobs.Garbled, usage: answer.Usage,
			text: fmt.Sprintf("the answer has %d embeddings for %d inputs", answer.Vectors, n),
		}
	}
	return nil
}

func (seen *vectors) read(c *cursor) {
	if !c.into('{') {
		return
	}
	for c.more('}') {
		switch string(c.key()) {
		case "id":
			seen.id = c.text()
		case "model":
			seen.model = c.text()
		case "data":
			seen.listed, seen.all, seen.good = c.peek() == '[', 0, 0
			for inside := c.into('['); inside && c.more(']'); {
				if seen.all++; isEmbedding(c) {
					seen.good++
				}
			}
		case "usage":
			seen.usage = readInputUsage(c)
		case "error":
			seen.fault = c.filled() || seen.fault
		case "object":
			seen.fault = string(c.text()) == flatError || seen.fault
		default:
			c.skip()
		}
	}
}

// isEmbedding steps over an element, and tells whether it has a vector: a list of
// numbers, or base64.
func isEmbedding(c *cursor) (is bool) {
	for inside := c.into('{'); inside && c.more('}'); {
		if string(c.key()) != "embedding" {
			c.skip()
			continue
		}
		if c.peek() == '"' {
			is = len(c.text()) > 0
			continue
		}
		numbers, others := 0, 0
		for inside := c.into('['); inside && c.more(']'); c.skip() {
			if next := c.peek(); next == '-' || next >= '0' && next <= '9' {
				numbers++
			} else {
				others++
			}
		}
		is = numbers > 0 && others == 0
	}
	return is
}

// readInputUsage reads what was used where there is no answer of tokens. Some say only
// the total.
func readInputUsage(c *cursor) jobs.Usage {
	input, total := 0, 0
	for inside := c.into('{'); inside && c.more('}'); {
		switch string(c.key()) {
		case "prompt_tokens":
			input = c.count()
		case "total_tokens":
			total = c.count()
		default:
			c.skip()
		}
	}
	if input == 0 {
		input = total
	}
	return jobs.Usage{Input: input}
}
