package jobs

import (
	"encoding/json"
	"strings"
	"testing"
)

// What is expected of a request grows with its prompt and with the bound of its
// answer, and not beyond what answers are.
func TestExpectedWork(t *testing.T) {
	t.Parallel()
	body := func(prompt int, rest string) json.RawMessage {
		return json.RawMessage(`{"messages":[{"role":"user","content":"` + strings.Repeat("x", prompt) + `"}]` + rest + `}`)
	}
	work := func(body json.RawMessage) float64 { r := Request{Body: body}; return r.ExpectedWork() }
	plain := work(body(400, ""))
	for name, c := range map[string]struct {
		body json.RawMessage
		more float64 // than the plain one
	}{
		"a prompt of 400 tokens more":  {body(2000, ""), 400},
		"a short answer":               {body(400, `,"max_tokens":50`), 50 - answerTokens + 4},
		"a long one":                   {body(400, `,"max_completion_tokens":900`), 900 - answerTokens + 7.25},
		"a long response":              {body(400, `,"max_output_tokens":900`), 900 - answerTokens + 6},
		"one without end":              {body(400, `,"max_tokens":1e9`), answerMost - answerTokens + 4.25},
		"a bound that is none":         {body(400, `,"max_tokens":null`), 4.5},
		"a bound that is nothing":      {body(400, `,"max_tokens":0`), 3.75},
		"a bound in words, not ours":   {body(400, `,"max_tokens":"5"`), 4.25},
		"a word in another one's name": {body(400, `,"x_max_tokens":5`), 4.25},
	} {
		if got := work(c.body) - plain; got < c.more-0.5 || got > c.more+0.5 {
			t.Errorf("%s: %g more, want about %g", name, got, c.more)
		}
	}
	vectors := Request{Endpoint: EndpointEmbeddings, Body: body(400, `,"max_tokens":900`)}
	if got, want := vectors.ExpectedWork(), float64(len(vectors.Body))/bytesPerToken; got != want {
		t.Errorf("vectors have no answer of tokens: %g, want %g", got, want)
	}
}
