package provider

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"

	"tidegate/jobs"
)

// openAI is the chat-completions API, of OpenAI and of the many that speak it.
var openAI = register("openai", dialect{
	path:      func(*jobs.Target) string { return "chat/completions" },
	headers:   openAIHeaders,
	requestID: "X-Request-Id",
	encode:    sendAsIs,
	decode:    decodeOpenAI,
	explain:   explainOpenAI,
	rules:     openAIRules,
	allowance: openAIAllowance,
	stream:    openAIStream,
	also:      openAIOperations(func(at string) func(*jobs.Target) string { return func(*jobs.Target) string { return at } }),
})

// openAIOperations are the endpoints that OpenAI has beside chat completions. path makes
// of the end of each what a target's base URL is to be followed by.
func openAIOperations(path func(end string) func(*jobs.Target) string) map[jobs.Endpoint]operation {
	return map[jobs.Endpoint]operation{
		jobs.EndpointEmbeddings:  {path("embeddings"), decodeVectors},
		jobs.EndpointResponses:   {path("responses"), decodeResponse},
		jobs.EndpointCompletions: {path("completions"), decodeTexts},
	}
}

func openAIHeaders(target *jobs.Target) http.Header {
	header := http.Header{}
	if target.Key != "" {
		header.Set("Authorization", "Bearer "+target.Key.Reveal())
	}
	return header
}

// completion is what is read of a chat-completion object.
type completion struct {
	id, model []byte
	finish    []byte // of the first choice
	choices   int
	message   bool   // the first choice has one
	usable    bool   // a choice says something
	fault     bool   // there is an error object
	texts     bool   // its choices have a text, and no message
	inner     []byte // the error object of a choice
	usage     jobs.Usage
	beside    jobs.Usage // said in another place: in a choice, or in Groq's own member
}

func decodeOpenAI(got response) (*jobs.Answer, *refusal) { return decodeChoices(got, completion{}) }

// decodeTexts reads the answer of /v1/completions. An empty text is an answer where
// tokens were made for it: they ran into a stop sequence.
func decodeTexts(got response) (*jobs.Answer, *refusal) {
	return decodeChoices(got, completion{texts: true})
}

func decodeChoices(got response, seen completion) (*jobs.Answer, *refusal) {
	body := trimKeepAlive(got.body)
	c := cursor{data: body}
	seen.read(&c)
	seen.usable = seen.usable || seen.texts && seen.message && seen.usage.Output > 0 && len(seen.finish) > 0
	if gaveUp := !seen.usable || string(seen.finish) == "error"; seen.inner != nil && gaveUp && !seen.fault && c.ended() {
		seen.fault, body = true, slices.Concat([]byte(`{"error":`), seen.inner, []byte("}"))
	}
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
	case body[0] != '{' || seen.choices == 0:
		garbled.text = "the answer is no " + seen.called() + ": it has no choices"
	case !seen.message:
		garbled.text = "the answer is no " + seen.called() + ": its first choice has no " + seen.member()
	case string(seen.finish) == "insufficient_system_resource": // DeepSeek gave up half-way
		garbled.class, garbled.text = jobs.Overload, "finish_reason is insufficient_system_resource"
	case !seen.usable || string(seen.finish) == "error":
		garbled.text = fmt.Sprintf("the answer says nothing; its finish_reason is %q", seen.finish)
	default:
		return &jobs.Answer{
			Body:         body,
			Model:        string(seen.model),
			ProviderID:   string(seen.id),
			FinishReason: string(seen.finish),
			Usage:        seen.usage,
		}, nil
	}
	return nil, &garbled
}

// called is what the answer should be, and member where a choice of it says something.
func (seen *completion) called() string {
	if seen.texts {
		return "completion"
	}
	return "chat completion"
}

func (seen *completion) member() string {
	if seen.texts {
		return "text"
	}
	return "message"
}

// trimKeepAlive cuts what a provider sends to keep a connection open while its
// answer is queued, blank lines and comments as of an event stream, the space after
// the answer, and the byte order mark that some servers put before a JSON text.
func trimKeepAlive(body []byte) []byte {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	for {
		body = bytes.TrimSpace(body)
		if len(body) == 0 || body[0] != ':' {
			return body
		}
		_, body, _ = bytes.Cut(body, []byte("\n"))
	}
}

func (seen *completion) read(c *cursor) {
	if !c.into('{') {
		return
	}
	for c.more('}') {
		switch string(c.key()) {
		case "id":
			seen.id = c.text()
		case "model":
			seen.model = c.text()
		case "choices":
			seen.choices, seen.message, seen.usable = 0, false, false
			for inside := c.into('['); inside && c.more(']'); {
				seen.readChoice(c)
			}
		case "usage":
			seen.usage = readUsage(c)
		case "x_groq":
			for inside := c.into('{'); inside && c.more('}'); {
				seen.readBeside(c, c.key())
			}
		case "error":
			seen.fault = c.filled() || seen.fault
		case "object":
			seen.fault = string(c.text()) == flatError || seen.fault
		default:
			c.skip()
		}
	}
	if seen.usage == (jobs.Usage{}) {
		seen.usage = seen.beside
	}
}

// flatError is the object of an error that has no envelope.
const flatError = "error"

func (seen *completion) readBeside(c *cursor, name []byte) {
	if string(name) != "usage" {
		c.skip()
		return
	}
	seen.beside = readUsage(c)
}

// readChoice finds out whether a choice says anything. An answer that was cut
// by its token limit or by a content filter may be empty and is still an
// answer: it was given, and it was billed.
func (seen *completion) readChoice(c *cursor) {
	seen.choices++
	var finish []byte
	says := false
	if !c.into('{') {
		return
	}
	for c.more('}') {
		switch name := c.key(); string(name) {
		case "finish_reason":
			finish = c.text()
		case seen.member():
			if seen.choices == 1 {
				seen.message = c.peek() == '{' && !seen.texts || c.peek() == '"' && seen.texts
			}
			if says = seen.texts && c.filled(); !seen.texts {
				says = messageSays(c)
			}
		case "error":
			from := c.at
			if c.filled() {
				seen.inner = c.data[from:c.at]
			}
		default:
			seen.readBeside(c, name)
		}
	}
	if seen.choices == 1 {
		seen.finish = finish
	}
	stopped := string(finish) == "length" || string(finish) == "content_filter"
	seen.usable = seen.usable || says || stopped
}

func messageSays(c *cursor) bool {
	says := false
	for inside := c.into('{'); inside && c.more('}'); {
		switch string(c.key()) {
		case "content", "refusal", "tool_calls", "function_call", "audio":
			says = c.filled() || says
		default:
			c.skip()
		}
	}
	return says
}

// readUsage reads what was used. xAI counts what a model thinks apart from what it
// says, and bills both: its total tells.
func readUsage(c *cursor) (u jobs.Usage) {
	total := 0
	for inside := c.into('{'); inside && c.more('}'); {
		switch string(c.key()) {
		case "prompt_tokens":
			u.Input = c.count()
		case "completion_tokens":
			u.Output = c.count()
		case "total_tokens":
			total = c.count()
		case "prompt_tokens_details":
			u.CachedInput = max(u.CachedInput, countOf(c, "cached_tokens"))
		case "prompt_cache_hit_tokens": // DeepSeek's name for it
			u.CachedInput = max(u.CachedInput, c.count())
		case "completion_tokens_details":
			u.Reasoning = countOf(c, "reasoning_tokens")
		default:
			c.skip()
		}
	}
	if total == u.Input+u.Output+u.Reasoning {
		u.Output += u.Reasoning
	}
	return u
}

func countOf(c *cursor, name string) int {
	n := 0
	for inside := c.into('{'); inside && c.more('}'); {
		if string(c.key()) == name {
			n = c.count()
		} else {
			c.skip()
		}
	}
	return n
}

// openAIFault is an error body: {"error": {…}} as OpenAI writes it, the same
// members without the envelope, {"error": "text"}, or {"detail": …}.
type openAIFault struct {
	Error  json.RawMessage `json:"error"`
	Detail json.RawMessage `json:"detail"`
	openAIReason
}

type openAIReason struct {
	Message loose `json:"message"`
	Type    loose `json:"type"`
	Code    loose `json:"code"`
	Text    loose `json:"msg"` // in a list of details
}

// loose is a member that is a string in some places and a number in others.
// What is neither is empty.
type loose string

func (l *loose) UnmarshalJSON(data []byte) error {
	var text string
	switch {
	case json.Unmarshal(data, &text) == nil: // null too
		*l = loose(text)
	case data[0] == '-' || data[0] >= '0' && data[0] <= '9':
		*l = loose(data)
	}
	return nil
}

func explainOpenAI(got response) refusal {
	body := trimKeepAlive(got.body)
	why := refusal{status: got.status}
	var fault openAIFault
	if json.Unmarshal(body, &fault) != nil {
		why.text, why.page = plainText(body)
		return why
	}
	reason := fault.openAIReason
	for _, inner := range []json.RawMessage{fault.Error, fault.Detail} {
		var list []openAIReason
		var text loose
		switch {
		case len(inner) == 0:
		case inner[0] == '{':
			_ = json.Unmarshal(inner, &reason) // a member of another kind is left empty
		case json.Unmarshal(inner, &list) == nil && len(list) > 0:
			reason = list[0]
		case json.Unmarshal(inner, &text) == nil && text != "":
			reason.Message = text
		}
	}
	if got.status == http.StatusTooManyRequests && givesNothing(got.header) {
		why.class = jobs.Auth
	}
	why.kind, why.code, why.text = string(reason.Type), string(reason.Code), string(reason.Message+reason.Text)
	why.status = statusInside(got.status, why.code)
	return why
}

// statusInside is the status that an error inside a 2xx stands for, where its code
// is one; of any other, its own.
func statusInside(status int, code string) int {
	if inside, err := strconv.Atoi(code); err == nil && status/100 == 2 && inside >= 400 && inside <= 599 {
		return inside
	}
	return status
}

var pageTitle = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)

// plainText is what a body that is no JSON says: the title of a web page, or
// its text.
func plainText(body []byte) (text string, page bool) {
	if len(body) == 0 || body[0] != '<' {
		return string(body), false
	}
	if title := pageTitle.FindSubmatch(body); title != nil {
		return string(title[1]), true
	}
	return "it has no title", true
}
