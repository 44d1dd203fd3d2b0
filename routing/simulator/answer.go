package simulator

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tidegate/jobs"
)

// drips is into how many pieces Drip breaks a body.
const drips = 16

// compose finds the words of the answer, counts them, and lets the document go:
// ten thousand calls may wait, and none needs its document any more.
func (c *call) compose() answer {
	q := &c.question
	if q.of == jobs.EndpointEmbeddings {
		return c.embed()
	}
	text, whole := c.words()
	a := answer{id: c.id(), model: q.model, text: text, finish: OK, stream: q.stream, streamUsage: q.streamUsage, of: q.of, more: c.moreWords()}
	switch {
	case c.fault.Mode == Empty:
		a.text, a.more = "", nil
	case c.fault.Mode == Filtered:
		a.text, a.more, a.finish = "", nil, Filtered
	case !whole:
		a.finish = Cut
	}
	c.worsen(&a)
	a.usage = usage{
		prompt:     q.promptTokens,
		cached:     int(float64(q.promptTokens) * c.CachedShare),
		completion: tokens(a.text) + c.ReasoningTokens,
		reasoning:  c.ReasoningTokens,
	}
	for _, text := range a.more {
		a.usage.completion += tokens(text)
	}
	c.settle(a.usage)
	q.letGo()
	return a
}

// letGo forgets what was asked.
func (q *question) letGo() { q.document, q.instruction, q.inputs = "", "", texts{} }

// embed makes a vector of each input. There is no text that a fault could take away or
// worsen: it takes away the vectors, or makes them of something else.
func (c *call) embed() answer {
	q := &c.question
	a := answer{id: c.id(), model: q.model, finish: OK, of: q.of, packed: q.packed, usage: usage{prompt: q.promptTokens}}
	dimensions := q.dimensions
	if c.fault.Mode == Smaller {
		a.model, dimensions = smallModel, (dimensions+1)/2
	}
	for _, text := range q.inputs.said {
		if c.fault.Mode == Garbage {
			text = garbage(text, q.request)
		}
		a.vectors = append(a.vectors, vectorOf(text, dimensions))
	}
	for _, text := range q.inputs.tokens {
		a.vectors = append(a.vectors, vectorOfTokens(text, dimensions))
	}
	if c.fault.Mode == Empty || c.fault.Mode == Filtered {
		a.vectors = nil
	}
	c.settle(a.usage)
	q.letGo()
	return a
}

// moreWords are what is said of the prompts behind the first.
func (c *call) moreWords() (more []string) {
	if len(c.question.inputs.said) < 2 {
		return nil
	}
	for _, prompt := range c.question.inputs.said[1:] {
		next := c.question
		next.document = prompt
		text := echo(prompt)
		if !c.plain {
			text, _ = c.reader.summarise(next)
		}
		more = append(more, text)
	}
	return more
}

// worsen makes an answer one of a target that has changed for the worse, and says so
// by nothing but the answer.
func (c *call) worsen(a *answer) {
	switch c.fault.Mode {
	case Garbage:
		a.text = garbage(a.text, c.question.request)
	case Smaller:
		a.model = smallModel
		words := strings.Fields(a.text)
		a.text = strings.Join(words[:(len(words)+1)/2], " ")
	case Refusing:
		a.text = refusalText
	}
}

// smallModel is who answers in place of the model that was asked for.
const smallModel = "sim-tiny-2026-01-01"

const refusalText = "I'm sorry, but I can't help with that."

// garbage is as many words as there are, of a few that go with no document.
func garbage(text string, request uint64) string {
	known := strings.Fields(garbageWords)
	words := strings.Fields(text)
	for i := range words {
		request = request*6364136223846793005 + 1442695040888963407
		words[i] = known[request>>33%uint64(len(known))]
	}
	return strings.Join(words, " ")
}

const garbageWords = `quantum marmalade drifts beneath seventeen velvet theorems obsidian penguins negotiate lunar spreadsheets umbrella whispers
	binary lullabies porcelain dragons juggle fermented syllables crooked zeppelins polish forgotten icebergs bassoons excavate purple voltage`

func (c *call) words() (text string, whole bool) {
	if c.plain {
		return echo(c.question.document), true
	}
	return c.reader.summarise(c.question)
}

// settle gives back the tokens that admit charged and the answer did not take.
func (c *call) settle(u usage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.throttle.tokens.take(u.prompt + u.completion - c.question.promptTokens - c.question.maxTokens)
}

// write sends the answer, spoiled as the fault wants it.
func (c *call) write(a answer) {
	p := c.dialect.answer(a)
	pause := time.Duration(0)
	if a.stream {
		pause = c.Latency.PerToken * time.Duration(a.usage.completion) / time.Duration(len(p.pieces))
	}
	whole := p.size()
	switch c.fault.Mode {
	case Cut:
		p = p.half()
	case Garbled:
		p = garble(p, c.question.request)
		whole = p.size()
	case Inside:
		p = c.breaks(p, a.stream)
		whole = p.size()
	case Drip:
		p = p.cutInto(drips)
		pause = c.fault.Delay / drips
	}
	c.head(p.contentType, 0)
	if !a.stream {
		c.w.Header().Set("Content-Length", strconv.Itoa(whole))
	}
	if !c.send(p, pause) || c.fault.Mode == Cut {
		c.drop()
	}
}

// send writes the pieces, with a pause before each but the first; it is false
// when the client left or the server stopped.
func (c *call) send(p page, pause time.Duration) bool {
	for i, piece := range p.pieces {
		if i > 0 && !c.wait(pause) {
			return false
		}
		if i == len(p.pieces)-1 {
			c.count(c.fault.Mode)
		}
		if _, err := c.w.Write(piece); err != nil {
			return false
		}
		if len(p.pieces) > 1 || c.fault.Mode == Cut {
			_ = http.NewResponseController(c.w).Flush() // what cannot flush sends it all at the end
		}
	}
	return true
}

// breaks has the vendor find out that it is overloaded when it has begun to answer.
func (c *call) breaks(p page, stream bool) page {
	body := c.dialect.body(c.dialect.refuse(reason{mode: Overloaded, model: c.question.model, keyed: true}))
	switch {
	case !stream:
		return page{p.contentType, [][]byte{body}}
	case c.dialect.broken != nil:
		body = c.dialect.broken(body)
	default:
		body = event(body)
	}
	return page{p.contentType, append(slices.Clone(p.pieces[:len(p.pieces)/2]), body)}
}

// half is the first half of the bytes.
func (p page) half() page {
	left := p.size() / 2
	var pieces [][]byte
	for _, piece := range p.pieces {
		piece = piece[:min(left, len(piece))]
		if left -= len(piece); len(piece) > 0 {
			pieces = append(pieces, piece)
		}
	}
	return page{p.contentType, pieces}
}

// cutInto breaks the body into n pieces of about the same size.
func (p page) cutInto(n int) page {
	body := bytes.Join(p.pieces, nil)
	size := max(1, (len(body)+n-1)/n)
	return page{p.contentType, slices.Collect(slices.Chunk(body, size))}
}

// garble is what a confused provider or a proxy sends in place of an answer:
// half a body as if it were whole, or a page of HTML.
func garble(p page, request uint64) page {
	if request%2 == 0 {
		return p.half()
	}
	return page{p.contentType, [][]byte{[]byte("<html><body><h1>Welcome</h1>\n<p>This is not the page you are looking for.</p></body></html>\n")}}
}
