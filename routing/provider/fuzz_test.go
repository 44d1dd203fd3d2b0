package provider

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"tidegate/jobs"
)

// Each fuzzer gives any bytes to every dialect in the registry, and begins with
// what is recorded of them, whole, halved, and under other statuses. The seeds run
// with the tests, so a dialect that panics is found there.

func addRecorded(f *testing.F) {
	for name := range dialects {
		for _, file := range recordings(f, name) {
			got, _ := readRecorded(f, file)
			f.Add(got.status, got.body)
			f.Add(got.status, got.body[:len(got.body)/2])
			f.Add(200, got.body)
			f.Add(400, got.body)
		}
	}
	f.Add(200, []byte(": keep-alive\n\n{\"choices\":[{\"message\":{\"content\":[]}}],\"error\":[[1]]}"))
	f.Add(422, []byte(`{"detail":[{"msg":"x","code":1e999}]}`))
	f.Add(200, []byte(`{"usage":{"prompt_tokens":-5,"input_tokens":-5},"usageMetadata":{"promptTokenCount":-5}}`))
	f.Add(0, []byte(nil))
}

func FuzzDecode(f *testing.F) {
	addRecorded(f)
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		for name, d := range dialects {
			before := slices.Clone(body)
			answer, why := d.decode(response{status, http.Header{"Date": {"x"}}, body})
			if (answer == nil) == (why == nil) {
				t.Fatalf("%s: decode gave %v and %v; exactly one must be nil", name, answer, why)
			}
			if string(before) != string(body) {
				t.Fatalf("%s: decode changed what it read", name)
			}
			if why != nil {
				checkRefused(t, name, d, response{status: status}, *why)
				continue
			}
			checkAnswer(t, name, answer)
		}
	})
}

// checkAnswer requires a chat completion, whatever the dialect.
func checkAnswer(t *testing.T, name string, answer *jobs.Answer) {
	t.Helper()
	var whole map[string]any
	if err := json.Unmarshal(answer.Body, &whole); err != nil {
		t.Fatalf("%s: %v: an answer that is no JSON: %q", name, err, answer.Body)
	}
	choices, _ := whole["choices"].([]any)
	if len(choices) == 0 {
		t.Fatalf("%s: an answer without choices: %s", name, answer.Body)
	}
	choice, _ := choices[0].(map[string]any)
	if _, ok := choice["message"].(map[string]any); !ok {
		t.Fatalf("%s: an answer without a message: %s", name, answer.Body)
	}
	checkUsage(t, name, answer.Usage)
	if !dialects[name].translates {
		return // its usage is as the provider wrote it
	}
	var told struct {
		Usage struct {
			Input  int `json:"prompt_tokens"`
			Output int `json:"completion_tokens"`
		} `json:"usage"`
	}
	if err := json.Unmarshal(answer.Body, &told); err != nil || told.Usage.Input != answer.Usage.Input || told.Usage.Output != answer.Usage.Output {
		t.Fatalf("%s: %v: the usage is %+v, and in the body %+v", name, err, answer.Usage, told)
	}
}

func checkUsage(t *testing.T, name string, u jobs.Usage) {
	t.Helper()
	if u.Input < 0 || u.CachedInput < 0 || u.Output < 0 || u.Reasoning < 0 {
		t.Fatalf("%s: a usage below zero: %+v", name, u)
	}
}

// checkRefused requires a class that is no answer, and an error that is fit to be
// shown.
func checkRefused(t *testing.T, name string, d dialect, got response, why refusal) {
	t.Helper()
	client := New(Config{Now: func() time.Time { return time.Unix(0, 0) }})
	end := &endpoint{dialect: d, secrets: secretsOf([]string{canary}, nil)}
	failed := client.refuse(end, exchanged{response: got}, why)
	if !failed.Class.Valid() || failed.Class == jobs.OK || failed.Class == jobs.Lost {
		t.Fatalf("%s: class %q of %+v", name, failed.Class, why)
	}
	for _, text := range []string{failed.Message, failed.Code} {
		if !utf8.ValidString(text) || utf8.RuneCountInString(text) > maxMessage || strings.ContainsAny(text, "\x00\n\r") || strings.Contains(text, canary) {
			t.Fatalf("%s: it would be shown as %q", name, text)
		}
	}
	if failed.RetryAfter < 0 || failed.RetryAfter > maxWait {
		t.Fatalf("%s: to wait %s", name, failed.RetryAfter)
	}
	checkUsage(t, name, failed.Usage)
}

// FuzzClassify explains and classifies what is no 2xx.
func FuzzClassify(f *testing.F) {
	addRecorded(f)
	f.Add(401, []byte(`{"error":{"message":"wrong key `+canary+`","type":"`+canary+`"}}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		for name, d := range dialects {
			got := response{status: status, header: http.Header{}, body: body}
			why := d.explain(got)
			checkRefused(t, name, d, got, why)
			if class := d.classify(why); why.page && class.Final() {
				t.Fatalf("%s: a web page ends a request as %s", name, class)
			}
		}
	})
}

// FuzzEncode: a body that goes out is JSON, and one that does not is refused with a
// reason; what is refused as no JSON is none.
func FuzzEncode(f *testing.F) {
	for _, s := range sayings() {
		f.Add([]byte(s.with))
	}
	for _, c := range translated {
		f.Add([]byte(c.body))
	}
	f.Add([]byte(`{"messages":`))
	target := &jobs.Target{Model: "m"}
	f.Fuzz(func(t *testing.T, body []byte) {
		for name, d := range dialects {
			before := slices.Clone(body)
			wire, err := d.encode(target, body)
			if string(before) != string(body) {
				t.Fatalf("%s: encode changed what it read", name)
			}
			var refused *fieldError
			switch {
			case err == nil && (!json.Valid(wire) || !json.Valid(body)):
				t.Fatalf("%s: %q goes out as %q", name, body, wire)
			case errors.As(err, &refused) && (refused.field == "" || refused.text == ""):
				t.Fatalf("%s: refused without a reason: %+v", name, refused)
			case err != nil && err.Error() == "":
				t.Fatalf("%s: refused without a reason", name)
			}
		}
	})
}
