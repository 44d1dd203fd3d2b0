package routing

import (
	"encoding/json"
	"strings"
	"testing"

	"tidegate/jobs"
)

// expected is what is guessed of a request alone.
func expected(r *jobs.Request) jobs.Usage { return new(Estimator).Expected(r) }

func TestExpected(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{
		`{}`:                                     expectedOutput,
		`{"max_tokens":7}`:                       7,
		`{"max_tokens":7,"n":3}`:                 21,
		`{"max_completion_tokens":9}`:            9,
		`{"max_tokens":-1}`:                      expectedOutput,
		`{"max_tokens":"many","n":2}`:            2 * expectedOutput,
		`{"max_tokens":9223372036854775807}`:     sanestOutput,
		`{"max_tokens":9,"n":99999999999999999}`: 9 * mostChoices,
	} {
		if got := expected(&jobs.Request{Body: json.RawMessage(body)}).Output; got != want {
			t.Errorf("%s: %d tokens of output, want %d", body, got, want)
		}
	}
	// OpenAI's own count of these words is 6, and 4 more for the message.
	if got := expected(&jobs.Request{Body: chatBody(t, "The tide turns at noon.")}).Input; got != 6+perMessage+perPrompt {
		t.Errorf("%d tokens of input", got)
	}
	picture := `{"messages":[{"content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,` + strings.Repeat("A", 100_000) + `"}}]}]}`
	if got := expected(&jobs.Request{Body: json.RawMessage(picture)}).Input; got != perMedium+perMessage+perPrompt {
		t.Errorf("a picture has %d tokens", got)
	}
}

// Of many requests, most are estimated by what those were that were counted.
func TestEstimator(t *testing.T) {
	t.Parallel()
	texts, err := corpus()
	if err != nil {
		t.Fatal(err)
	}
	var guess Estimator
	var got, want jobs.Usage
	for i := range 4 * countedFirst {
		from, size := i*131%200_000, 200+i%300
		r := &jobs.Request{Body: chatBody(t, texts["prose"][from:from+size])}
		is, exactly := guess.Expected(r), expected(r)
		if i < countedFirst && is != exactly {
			t.Fatalf("it says %+v of the request number %d, which has %+v", is, i, exactly)
		}
		got, want = got.Add(is), want.Add(exactly)
	}
	if off := float64(got.Input)/float64(want.Input) - 1; off < -0.02 || off > 0.02 || got.Output != want.Output {
		t.Errorf("%+v, want %+v", got, want)
	}
}
