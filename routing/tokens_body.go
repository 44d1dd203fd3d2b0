package routing

import (
	"bytes"
	"math"

	"tidegate/jobs"
)

// A prompt is what a body says that has to do with tokens.
type prompt struct {
	of       jobs.Endpoint
	text     int // bytes that a model reads as text; escapes count in full, so it may be less
	schema   int // of text: definitions of tools and forms, which each provider writes for its model in its own way
	messages int
	// questions are texts of which each is asked for itself, and given their tokens that
	// stand there as numbers: of embeddings and completions.
	questions, given int
	media            int // images, sounds and files
	output           int // the limit of one answer, in tokens; zero: the request sets none
	choices          int // answers asked for; zero: it does not say
}

// silent are the members of a message whose strings a model does not see as text.
var silent = map[string]bool{"role": true, "type": true, "id": true, "tool_call_id": true, "format": true, "detail": true, "cache_control": true, "call_id": true, "status": true}

// spoken are the members whose strings a model reads as text, whatever they look
// like.
var spoken = map[string]bool{"content": true, "text": true, "arguments": true, "name": true, "refusal": true, "reasoning_content": true, "reasoning": true, "output": true}

// media are the members of a message that hold no text, whatever they hold.
var media = map[string]bool{"image_url": true, "input_audio": true, "audio": true, "file": true, "video_url": true}

// readPrompt walks once through a body and hands each piece of its text to visit,
// as it stands between its quotes. Any bytes will do: of what is no JSON, it makes
// what it can. It copies nothing, and hops from quote to quote.
func readPrompt(of jobs.Endpoint, body []byte, visit func(raw []byte)) prompt {
	r := promptReader{data: body, visit: visit}
	r.of = of
	r.body()
	return r.prompt
}

// A promptReader reads a body of which it knows that it was JSON once.
type promptReader struct {
	prompt
	data  []byte
	at    int
	visit func(raw []byte)
}

func (r *promptReader) body() {
	if r.peek() != '{' {
		return
	}
	for r.at++; r.peek() == '"'; r.at++ { // behind a brace or a comma
		key := r.quoted()
		if r.peek() != ':' {
			return
		}
		r.at++
		if r.member(string(key)); r.peek() != ',' {
			return
		}
	}
}

// member reads a member of the body, by what it means at the endpoint.
func (r *promptReader) member(name string) {
	switch r.of {
	case jobs.EndpointEmbeddings:
		r.memberOf(name, "input", (*promptReader).texts)
	case jobs.EndpointCompletions:
		r.memberOf(name, "prompt", (*promptReader).texts)
	case jobs.EndpointResponses:
		r.memberOf(name, "input", (*promptReader).conversation)
	default:
		r.memberOf(name, "messages", (*promptReader).conversation)
	}
}

func (r *promptReader) memberOf(name, question string, ask func(*promptReader)) {
	switch name {
	case question:
		ask(r)
	case "instructions", "suffix":
		if r.of == jobs.EndpointChat || r.peek() != '"' {
			r.skip()
			return
		}
		r.read(r.quoted())
	case "tools", "functions", "response_format":
		r.form()
	case "text": // of responses: what the answer must look like
		if r.of != jobs.EndpointResponses {
			r.skip()
			return
		}
		r.form()
	case "max_tokens", "max_completion_tokens", "max_output_tokens":
		r.output = max(r.output, r.number())
	case "n":
		r.choices = r.number()
	default:
		r.skip()
	}
}

// form reads a definition of tools or forms.
func (r *promptReader) form() {
	from := r.at
	r.skip()
	schema := bytes.TrimSpace(r.data[from:r.at])
	r.schema += len(schema)
	r.read(schema)
}

// conversation reads the messages, however deep their parts nest: the last name
// that was met says what a string is.
func (r *promptReader) conversation() {
	var key []byte
	if r.peek() == '"' && r.of == jobs.EndpointResponses { // what a user says
		r.messages++
	}
	for depth := 0; ; {
		switch r.peek() {
		case 0:
			return
		case '{', '[':
			if depth++; depth == 2 { // a message in the list
				r.messages++
			}
			r.at++
		case '}', ']':
			depth--
			r.at++
		case '"':
			text := r.quoted()
			if r.peek() != ':' {
				r.say(key, text)
				break
			}
			r.at++
			if key = text; media[string(key)] {
				r.medium()
			}
		default: // a comma, a number, a word
			r.at++
		}
		if depth <= 0 {
			return
		}
	}
}

// say reads a string value of a message.
func (r *promptReader) say(key, text []byte) {
	if bytes.HasPrefix(text, []byte("data:")) && bytes.Contains(text[:min(len(text), 100)], []byte(";base64,")) || !spoken[string(key)] && encoded(text) {
		r.media++
		return
	}
	if !silent[string(key)] {
		r.read(text)
	}
}

// encoded tells whether a string is data in base64, as servers have it in members of
// their own: it has no blank where any text has one.
func encoded(text []byte) bool {
	if len(text) < encodedFrom {
		return false
	}
	for _, b := range text[:encodedFrom] {
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '+', b == '/', b == '-', b == '_', b == '\\', b == '=':
		default:
			return false
		}
	}
	return true
}

// encodedFrom is the length in bytes of a string that may be data.
const encodedFrom = 256

// medium steps over what is no text. A null is nothing.
func (r *promptReader) medium() {
	if kind := r.peek(); kind == '{' || kind == '"' {
		r.media++
	}
	r.skip()
}

func (r *promptReader) read(raw []byte) {
	if len(raw) == 0 {
		return
	}
	r.text += len(raw)
	if r.visit != nil {
		r.visit(raw)
	}
}

// peek returns the first byte of what comes next, or zero at the end.
func (r *promptReader) peek() byte {
	for ; r.at < len(r.data); r.at++ {
		switch r.data[r.at] {
		case ' ', '\n', '\r', '\t':
		default:
			return r.data[r.at]
		}
	}
	return 0
}

// quoted steps over a string and returns what is between its quotes. One without
// an end goes on to the end of the body.
func (r *promptReader) quoted() []byte {
	from := r.at + 1
	for at := from; ; {
		next := bytes.IndexByte(r.data[at:], '"')
		if next < 0 {
			r.at = len(r.data)
			return r.data[from:]
		}
		at += next
		slashes := 0
		for at-slashes > from && r.data[at-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			r.at = at + 1
			return r.data[from:at]
		}
		at++
	}
}

// skip steps over one value of any kind.
func (r *promptReader) skip() {
	r.peek()
	for depth := 0; r.at < len(r.data); {
		switch r.data[r.at] {
		case '"':
			r.quoted()
		case '{', '[':
			depth++
			r.at++
		case '}', ']':
			if depth == 0 { // the end of what the value stands in
				return
			}
			depth--
			r.at++
		case ',':
			if depth == 0 {
				return
			}
			r.at++
		default:
			r.at++
			continue // a number or a word is not whole yet
		}
		if depth == 0 {
			return
		}
	}
}

// number reads a whole number that is not negative; any other value is stepped
// over and zero. What is more than sanestOutput is that.
func (r *promptReader) number() int {
	r.peek()
	from := r.at
	r.skip()
	n := 0
	for _, digit := range bytes.TrimSpace(r.data[from:r.at]) {
		if digit < '0' || digit > '9' {
			return 0
		}
		n = min(10*n+int(digit-'0'), math.MaxInt32)
	}
	return min(n, sanestOutput)
}

// texts reads what is asked of completions and embeddings: a text, or a list of them;
// or of one in tokens, or a list of such.
func (r *promptReader) texts() {
	if next := r.peek(); next != '"' && next != '[' {
		r.skip()
		return
	}
	for depth, flat := 0, false; ; {
		switch next := r.peek(); {
		case next == 0:
			return
		case next == '{' || next == '[':
			if depth++; depth == 2 {
				r.questions++
			}
			r.at++
		case next == '}' || next == ']':
			depth--
			r.at++
		case next == '"':
			text := r.quoted()
			if r.peek() == ':' {
				r.at++
				break
			}
			if r.read(text); depth < 2 {
				r.questions++
			}
		case next == '-' || next >= '0' && next <= '9':
			if r.given++; depth == 1 && !flat {
				flat = true // all numbers beside it are of the same text
				r.questions++
			}
			r.word()
		case next == ',' || next == ':':
			r.at++
		default:
			r.word()
		}
		if depth <= 0 {
			return
		}
	}
}

// word steps over a number or a word.
func (r *promptReader) word() {
	for r.at++; r.at < len(r.data); r.at++ {
		switch r.data[r.at] {
		case ',', ']', '}', ' ', '\n', '\r', '\t':
			return
		}
	}
}
