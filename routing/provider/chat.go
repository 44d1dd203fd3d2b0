package provider

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A chat is a chat-completions body, read for a dialect that has to say it in
// other words. Every member of the body is here, or says nothing, or is refused
// by its name: what a dialect cannot say it refuses with unsaid.
type chat struct {
	messages []message
	tools    []tool
	choice   choice
	parallel *bool // whether several tools may be called at once; nil: not said
	format   format

	maxTokens           int // of the answer; zero: not said
	temperature, topP   *float64
	presence, frequency *float64
	stop                []string
	seed                *int64
	n                   int // answers; at least one
	effort              string
	user, userField     string // who asks, for the provider to find abuse, and the member that says so
	logprobs            bool
	topLogprobs         int
}

// A message is one of a conversation. Roles are "system" (a developer is one,
// too), "user", "assistant" and "tool".
type message struct {
	role  string
	parts []part
	calls []toolCall // an assistant's
	call  string     // whose result this is, of a tool
}

// A part is a piece of a message: text, or a file.
type part struct {
	text  string
	media string // of a file: its media type, as in "image/png"; empty where only a URL is known
	data  string // of a file: base64
	url   string // of a file that is elsewhere
}

func (p part) isText() bool { return p.data == "" && p.url == "" }

type tool struct {
	name, description string
	schema            json.RawMessage // of its arguments; nil: it has none
	strict            bool
}

type toolCall struct {
	id, name  string
	arguments json.RawMessage // an object
	signature string          // of the thoughts that led to it, for Gemini alone to read; empty: there is none
}

// A choice is whether the model is to call tools: "auto", "none", "required", or
// "tool" with a name. Empty: not said.
type choice struct{ mode, name string }

// A format is what the answer must look like: "json_object", or "json_schema"
// with a schema. Empty: text.
type format struct {
	kind   string
	schema json.RawMessage
}

// readChat reads a body. Its errors name the field.
func readChat(body []byte) (*chat, error) {
	if !json.Valid(body) {
		return nil, wrong("body", "must be JSON")
	}
	f, err := readFields("", body)
	if err != nil {
		return nil, err
	}
	c := &chat{n: 1}
	f.ignore("model", "stream", "stream_options", "prompt_cache_key", "prompt_cache_retention")
	for name, neutral := range neutralFields {
		f.unless(name, neutral...)
	}
	var completion int
	err = f.takeAll(map[string]any{
		"max_tokens": &c.maxTokens, "max_completion_tokens": &completion, "temperature": &c.temperature, "top_p": &c.topP,
		"presence_penalty": &c.presence, "frequency_penalty": &c.frequency, "seed": &c.seed, "n": &c.n, "reasoning_effort": &c.effort,
		"logprobs": &c.logprobs, "top_logprobs": &c.topLogprobs, "parallel_tool_calls": &c.parallel,
	})
	if err != nil {
		return nil, err
	}
	if completion > 0 {
		c.maxTokens = completion
	}
	for _, name := range []string{"user", "safety_identifier"} { // the newer name counts
		if found, err := f.take(name, &c.user); err != nil {
			return nil, err
		} else if found {
			c.userField = name
		}
	}
	for _, read := range []func(*fields) error{c.readStop, c.readMessages, c.readTools, c.readChoice, c.readFormat, (*fields).rest} {
		if err := read(f); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// neutralFields are values with which a member asks for what happens without it.
var neutralFields = map[string][]string{
	"audio": nil, "functions": {"[]"}, "function_call": {`"auto"`}, "logit_bias": {"{}"}, "metadata": {"{}"}, "modalities": {`["text"]`},
	"service_tier": {`"auto"`, `"default"`}, "store": {"false"}, "verbosity": {`"medium"`},
}

func (c *chat) readStop(f *fields) error {
	var one string
	if f.left["stop"] != nil && json.Unmarshal(f.left["stop"], &one) == nil {
		f.ignore("stop")
		if one != "" {
			c.stop = []string{one}
		}
		return nil
	}
	_, err := f.take("stop", &c.stop)
	return err
}

func (c *chat) readMessages(f *fields) error {
	var list []json.RawMessage
	found, err := f.take("messages", &list)
	if err != nil {
		return err
	}
	if !found || len(list) == 0 {
		return wrong("messages", "there is none")
	}
	for i, raw := range list {
		m, err := readMessage(fmt.Sprintf("messages[%d]", i), raw)
		if err != nil {
			return err
		}
		c.messages = append(c.messages, m)
	}
	return nil
}

func readMessage(path string, raw json.RawMessage) (message, error) {
	var m message
	f, err := readFields(path, raw)
	if err != nil {
		return m, err
	}
	var refusal string
	if err := f.takeAll(map[string]any{"role": &m.role, "tool_call_id": &m.call, "refusal": &refusal}); err != nil {
		return m, err
	}
	if m.parts, err = readContent(f); err != nil {
		return m, err
	}
	if refusal != "" {
		m.parts = append(m.parts, part{text: refusal})
	}
	if m.calls, err = readCalls(f); err != nil {
		return m, err
	}
	f.unless("annotations", "[]")
	switch m.role {
	case "developer":
		m.role = "system"
	case "system", "user", "assistant", "tool":
	default:
		return m, wrong(path+".role", "%q is none of system, developer, user, assistant and tool", m.role)
	}
	if m.role == "tool" && m.call == "" {
		return m, wrong(path+".tool_call_id", "is missing")
	}
	return m, f.rest()
}

// readCalls reads an assistant's calls of tools.
func readCalls(f *fields) ([]toolCall, error) {
	var list []json.RawMessage
	if _, err := f.take("tool_calls", &list); err != nil {
		return nil, err
	}
	var calls []toolCall
	for i, raw := range list {
		path := fmt.Sprintf("%stool_calls[%d]", f.path, i)
		call, err := readFields(path, raw)
		if err != nil {
			return nil, err
		}
		var kind, arguments string
		var function json.RawMessage
		var one toolCall
		if err := call.takeAll(map[string]any{"id": &one.id, "type": &kind, "function": &function}); err != nil {
			return nil, err
		}
		call.ignore("index")
		if one.signature, err = readSignature(call); err != nil {
			return nil, err
		}
		if kind != "function" && kind != "" {
			return nil, wrong(path+".type", "%q is not function", kind)
		}
		inner, err := readFields(path+".function", function)
		if err != nil {
			return nil, err
		}
		if err := inner.takeAll(map[string]any{"name": &one.name, "arguments": &arguments}); err != nil {
			return nil, err
		}
		if one.arguments = json.RawMessage(arguments); strings.TrimSpace(arguments) == "" {
			one.arguments = json.RawMessage("{}")
		}
		if !json.Valid(one.arguments) || strings.TrimSpace(string(one.arguments))[0] != '{' {
			return nil, wrong(path+".function.arguments", "must be a JSON object")
		}
		if err := firstError(call.rest(), inner.rest()); err != nil {
			return nil, err
		}
		calls = append(calls, one)
	}
	return calls, nil
}

// extraContent is where Google's own answers in this dialect carry what its models
// want to see again. It says nothing to the models of others.
type extraContent struct {
	Google struct {
		Signature string `json:"thought_signature,omitempty"`
	} `json:"google"`
}

func readSignature(call *fields) (string, error) {
	var extra extraContent
	_, err := call.take("extra_content", &extra)
	return extra.Google.Signature, err
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
