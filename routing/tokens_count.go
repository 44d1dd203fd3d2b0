package routing

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tiktoken-go/tokenizer/codec"

	"tidegate/jobs"
)

// An encoding is a vocabulary by which text is cut into tokens.
type encoding int

const (
	o200k  encoding = iota // OpenAI's since gpt-4o, and the best guess for others
	cl100k                 // that of gpt-4 and gpt-3.5
	encodings
)

// codecs loads each vocabulary when the first text is counted by it: o200k takes
// about 15 ms and 7 MB of memory, cl100k half of that. They are safe for
// concurrent use.
var codecs = [encodings]func() *codec.Codec{
	o200k:  sync.OnceValue(codec.NewO200kBase),
	cl100k: sync.OnceValue(codec.NewCl100kBase),
}

// own are the models whose own encoding we have, by how their names begin: the
// first that fits decides.
var own = []struct {
	prefix string
	encoding
}{
	{"gpt-4o", o200k},
	{"gpt-4.1", o200k},
	{"gpt-4.5", o200k},
	{"gpt-5", o200k},
	{"gpt-oss", o200k},
	{"chatgpt-", o200k},
	{"o1", o200k},
	{"o3", o200k},
	{"o4", o200k},
	{"gpt-4", cl100k},
	{"gpt-3.5", cl100k},
	{"gpt-35", cl100k}, // as Azure writes it
}

// encodingOf is by what the texts for a target are counted, and whether that is
// its model's own. A name may have an owner before it ("openai/gpt-4o"), or say
// that it was tuned ("ft:gpt-4o:us").
func encodingOf(t *jobs.Target) (by encoding, exact bool) {
	switch t.Dialect {
	case "", "openai", "azure":
	default:
		return o200k, false
	}
	name := strings.ToLower(t.Model)
	name = name[strings.LastIndexByte(name, '/')+1:]
	name = strings.TrimPrefix(name, "ft:")
	for _, known := range own {
		if strings.HasPrefix(name, known.prefix) {
			return known.encoding, true
		}
	}
	return o200k, false
}

const (
	bytesPerToken = 4 // of prose in English, where nothing can be counted

	countedWhole = 16 << 10 // bytes of text; of more, samples are counted …
	samples      = 32       // … so many …
	sampleBytes  = 512      // … of this size, all over it
	sampleEdge   = 64       // bytes in which a sample looks for the end of a word
	countedOnce  = 2 << 10  // bytes that are counted in one go: blank lines without end take the square of their number
)

// countText estimates how many tokens the text of a body has. Up to countedWhole
// that is what the encoding says, but for one in a thousand; beyond, it is within a
// few percent of that for most texts, and takes no longer. off is how far off it may
// well be, as a part of it: much, where the samples differ.
func countText(body []byte, p prompt, by encoding) (tokens int, off float64) {
	if p.text == 0 {
		return 0, 0
	}
	c := counter{by: by}
	if p.text <= countedWhole {
		readPrompt(p.of, body, c.count)
		return c.tokens, 0
	}
	c.stride, c.random = p.text/samples, uint64(p.text)
	c.from = c.jitter()
	readPrompt(p.of, body, c.sample)
	if c.bytes == 0 {
		return p.text / bytesPerToken, 1
	}
	return int(math.Round(float64(c.tokens) / float64(c.bytes) * float64(p.text))), c.miss(p.text)
}

// A counter counts the tokens of the pieces of text that it is shown.
type counter struct {
	by     encoding
	tokens int
	bytes  int // that were counted, as they stand in the body

	stride int    // from a sample to the next, in bytes of text
	from   int    // where in the text the next sample begins, or the one at hand
	taken  int    // samples that are behind
	seen   int    // bytes of text that are behind
	random uint64 // the same for the same text

	ends [samples]counts // of all that was counted when each sample was over
}

// counts are tokens, and the bytes that they were made of.
type counts struct{ tokens, bytes int }

func (c *counter) count(raw []byte) {
	for len(raw) > countedOnce {
		cut := wordFrom(raw, countedOnce)
		c.countOnce(raw[:cut])
		raw = raw[cut:]
	}
	c.countOnce(raw)
}

func (c *counter) countOnce(raw []byte) {
	c.bytes += len(raw)
	text := unescaped(raw)
	n, err := codecs[c.by]().Count(text)
	if err != nil { // it says that of no text that was tried
		n = len(text) / bytesPerToken
	}
	c.tokens += min(n, len(text)) // of bytes that are no text it makes more
}

// sample counts what of a piece lies in a sample.
func (c *counter) sample(raw []byte) {
	for c.taken < samples && c.from < c.seen+len(raw) {
		from, to := max(c.from-c.seen, 0), c.from+sampleBytes-c.seen
		if to > len(raw) { // the rest of it is in the next piece
			c.count(raw[wordFrom(raw, from):])
			break
		}
		if from, to = wordFrom(raw, from), wordFrom(raw, to); from < to {
			c.count(raw[from:to])
		}
		c.ends[c.taken] = counts{c.tokens, c.bytes}
		c.taken++
		c.from = c.taken*c.stride + c.jitter()
	}
	c.seen += len(raw)
}

// miss is the standard error of what the samples say of a text of so many bytes, as
// a part of it.
func (c *counter) miss(text int) float64 {
	if c.taken < 2 || c.tokens == 0 {
		return 1
	}
	mean, sum, before := float64(c.tokens)/float64(c.bytes), 0.0, counts{}
	for _, end := range c.ends[:c.taken] {
		apart := float64(end.tokens-before.tokens) - mean*float64(end.bytes-before.bytes)
		sum += apart * apart
		before = end
	}
	n := float64(c.taken)
	unseen := max(1-float64(c.bytes)/float64(text), 0)
	return math.Sqrt(n/(n-1)*sum*unseen) / float64(c.tokens)
}

// jitter is where in its stride a sample begins: a text that repeats itself must
// not meet the samples always in the same place.
func (c *counter) jitter() int {
	c.random = c.random*6364136223846793005 + 1442695040888963407
	return int(c.random >> 33 % uint64(max(c.stride-sampleBytes, 1)))
}

// wordFrom is the first place from at on, within sampleEdge, where a word begins,
// else where an escape does, else the next where a character does.
func wordFrom(raw []byte, at int) int {
	if at <= 0 || at >= len(raw) {
		return min(max(at, 0), len(raw))
	}
	near := raw[at:min(at+sampleEdge, len(raw)-1)]
	for i, b := range near {
		if b == ' ' && raw[at+i-1] != ' ' && raw[at+i+1] != ' ' { // where any encoding cuts
			return at + i
		}
	}
	if i := bytes.IndexByte(near, '\\'); i >= 0 && raw[at+i-1] != '\\' {
		return at + i
	}
	for at < len(raw) && !utf8.RuneStart(raw[at]) {
		at++
	}
	return at
}

// unescaped is what stands between the quotes of a JSON string. What is no escape
// stays as it is.
func unescaped(raw []byte) string {
	at := bytes.IndexByte(raw, '\\')
	if at < 0 {
		return string(raw)
	}
	var text strings.Builder
	text.Grow(len(raw))
	for ; at >= 0; at = bytes.IndexByte(raw, '\\') {
		text.Write(raw[:at])
		said, size := escape(raw[at:])
		text.WriteString(said)
		raw = raw[at+size:]
	}
	text.Write(raw)
	return text.String()
}

// escape is what the escape says that raw begins with, and its length.
func escape(raw []byte) (said string, size int) {
	if len(raw) < 2 {
		return string(raw), len(raw)
	}
	switch raw[1] {
	case '"', '\\', '/':
		return string(raw[1:2]), 2
	case 'n':
		return "\n", 2
	case 't':
		return "\t", 2
	case 'r':
		return "\r", 2
	case 'b':
		return "\b", 2
	case 'f':
		return "\f", 2
	case 'u':
		if first, ok := unit(raw); ok {
			if second, ok := unit(raw[6:]); ok && utf16.IsSurrogate(first) {
				if both := utf16.DecodeRune(first, second); both != utf8.RuneError {
					return string(both), 12
				}
			}
			return string(first), 6 // half of a pair is U+FFFD
		}
	}
	return string(raw[:2]), 2
}

// unit is the number of the escape \uXXXX that raw begins with.
func unit(raw []byte) (rune, bool) {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(raw[2:6]), 16, 16)
	return rune(n), err == nil
}
