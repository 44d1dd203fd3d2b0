package routing

import (
	"math"
	"sync"
	"sync/atomic"

	"tidegate/jobs"
)

const (
	perMessage  = 4    // tokens that part messages from each other
	perPrompt   = 3    // tokens that begin the answer
	perMedium   = 1000 // tokens of an image, a sound or a file: providers count them each in its own way
	mostChoices = 128

	expectedOutput = 500 // tokens of an answer, where the request sets no limit and none came yet
	sanestOutput   = 1 << 30
	mostUse        = 4 << 20 // tokens of one call that a target's tokens a minute pay for: of a number that cannot be, it must not be left alone for days
)

// A counted is the prompt of a request, and its tokens once something depends on
// them. Safe for concurrent use.
type counted struct {
	prompt
	size   int                     // of the body, in bytes
	tokens [encodings]atomic.Int64 // of the text, and one more; zero: not counted yet
	off    [encodings]atomic.Int64 // by how many thousandths these may be wrong, where samples were counted; set before tokens

	mu   sync.Mutex
	mute map[*jobs.Target]string // why a target's dialect cannot say what is asked; empty: it can. Of those that were asked
}

// once asks what a target's dialect says, unless it was asked before. One that is
// configured anew is another one.
func (c *counted) once(target *jobs.Target, ask func() string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	why, asked := c.mute[target]
	if asked {
		return why
	}
	why = ask()
	if c.mute == nil {
		c.mute = map[*jobs.Target]string{}
	}
	c.mute[target] = why
	return why
}

func newCounted(r *jobs.Request) *counted {
	if r.Recorded != nil {
		return countedOf(r.Endpoint, r.Recorded)
	}
	return &counted{prompt: readPrompt(r.Endpoint, r.Body, nil), size: len(r.Body)}
}

// countedOf is the prompt of a request of which only the record is there. Where that
// says no tokens, it has as many as prose of its length.
func countedOf(of jobs.Endpoint, r *jobs.Recorded) *counted {
	tokens := r.Input
	if tokens == 0 {
		tokens = r.Body / bytesPerToken
	}
	c := &counted{prompt: prompt{of: of, text: max(r.Body, tokens)}, size: r.Body}
	for by := range c.tokens {
		c.tokens[by].Store(int64(max(tokens-c.frame(), 0)) + 1)
	}
	return c
}

// input is what the encoding says of the prompt of r, without its media.
func (c *counted) input(r *jobs.Request, by encoding) int {
	n := c.tokens[by].Load()
	if n == 0 {
		tokens, off := countText(r.Body, c.prompt, by)
		n = int64(tokens) + 1
		c.off[by].Store(int64(math.Ceil(1000 * off)))
		c.tokens[by].Store(n)
	}
	return int(n) - 1 + c.given + c.frame()
}

// frame is what stands around the text. Around plain texts there is nothing.
func (c *counted) frame() int {
	if c.of == jobs.EndpointEmbeddings || c.of == jobs.EndpointCompletions {
		return 0
	}
	return perMessage*c.messages + perPrompt
}

// known tells whether the encoding has counted the prompt.
func (c *counted) known(by encoding) bool { return c.tokens[by].Load() > 0 }

// atMost is more than any encoding says: a token has a byte at least.
func (c *counted) atMost() int { return c.text + c.given + c.frame() }

// answers is how many tokens all answers have when each has so many. Vectors have none.
func (c *counted) answers(each int) int {
	if !c.of.Speaks() {
		return 0
	}
	return min(each*min(max(c.choices, 1), mostChoices), sanestOutput) * min(max(c.questions, 1), mostChoices)
}

// counted is the prompt of the request, read when it is first asked for.
func (t *try) counted() *counted {
	if t.prompt == nil {
		t.prompt = t.router.prompts.of(t.request)
	}
	return t.prompt
}

// input estimates the prompt at a target, without its media, and says what was
// counted and whether the model counts in the same way.
func (t *try) input(target *target) (is estimate, tokens int, exact bool) {
	by, exact := encodingOf(target.Target)
	c := t.counted()
	fresh := !c.known(by)
	tokens = c.input(t.request, by)
	if fresh {
		t.router.prompts.keep(t.request, c)
	}
	is = target.tokens.input(tokens)
	is.off = float64(c.off[by].Load()) / 1000
	return is, tokens, exact
}

// usage is what the answer of a target is expected to use.
func (t *try) usage(target *target) jobs.Usage {
	is, _, _ := t.input(target)
	return t.usageOf(target, is)
}

// usageAtMost is no less than usage, and nothing is counted for it.
func (t *try) usageAtMost(target *target) jobs.Usage {
	return t.usageOf(target, target.tokens.input(t.counted().atMost()))
}

func (t *try) usageOf(target *target, prompt estimate) jobs.Usage {
	c := t.counted()
	output := c.answers(c.output)
	if c.output == 0 && c.of.Speaks() {
		output = target.tokens.answer(c.answers(expectedOutput))
	}
	return jobs.Usage{Input: prompt.tokens + perMedium*c.media, Output: output}
}

// tokens is what a call is expected to take of a target's tokens a minute; zero
// where nobody counts them. Of a limit to the answer, most use little.
func (t *try) tokens(target *target) int {
	if !target.pace.countsTokens() {
		return 0
	}
	use := t.usage(target)
	if c := t.counted(); c.output > 0 {
		use.Output = min(use.Output, target.tokens.answer(use.Output))
	}
	return min(use.Input+use.Output, mostUse)
}

// learn hears what an answer used. A prompt that nobody counted so far is counted
// to learn from it now and then, where there is a window that the next may not fit, or
// a sum of money.
func (t *try) learn(target *target, used jobs.Usage) {
	by, _ := encodingOf(target.Target)
	known := t.prompt != nil && t.prompt.known(by)
	matters := target.ContextTokens > 0 || t.request.Budgeted || t.request.MaxCost > 0
	due := matters && target.tokens.due()
	if used.Input > 0 && (known || due) {
		if c := t.counted(); c.media == 0 { // else nobody knows what of it was text
			target.tokens.learnInput(c.input(t.request, by), used.Input)
		}
	}
	if t.request.Endpoint.Speaks() {
		target.tokens.learnAnswer(used.Output)
	}
	if t.route != nil {
		t.route.lengthsOf(t.request.Endpoint).learn(t.request.BodyBytes(), used)
	}
	t.router.prompts.forget(t.request)
}

const (
	promptsKept = 16_384   // of those that wait in one worker
	dearToRead  = 16 << 10 // bytes of a body, from which its prompt is kept though nobody counted it
)

// prompts are what was counted of requests, which may ask for a place many times
// before they get one. A request without an id is counted each time. The zero
// value is empty. Safe for concurrent use.
type prompts struct {
	mu   sync.Mutex
	byID map[string]*counted
}

// of is the prompt of a request.
func (p *prompts) of(r *jobs.Request) *counted {
	if c := p.known(r); c != nil {
		return c
	}
	c := newCounted(r)
	if len(r.Body) >= dearToRead {
		p.keep(r, c)
	}
	return c
}

func (p *prompts) known(r *jobs.Request) *counted {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.byID[r.ID]; c != nil && c.size == len(r.Body) {
		return c
	}
	return nil
}

// keep remembers a prompt. Where there are too many, one is forgotten, whichever.
func (p *prompts) keep(r *jobs.Request, c *counted) {
	if r.ID == "" || r.ID == jobs.NoRequest {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byID == nil {
		p.byID = map[string]*counted{}
	}
	if len(p.byID) >= promptsKept {
		for id := range p.byID {
			delete(p.byID, id)
			break
		}
	}
	p.byID[r.ID] = c
}

func (p *prompts) forget(r *jobs.Request) {
	if r.ID == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.byID, r.ID)
}
