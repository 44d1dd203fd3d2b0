package provider

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tidegate/jobs"
)

const signedParts = `[{"functionCall":{"id":"c1","name":"tides","args":{"port":"Hamburg"}},"thoughtSignature":"EjQKMg=="},{"functionCall":{"id":"c2","name":"now","args":null}}]`

// TestGeminiGetsItsSignaturesBack: it refuses a conversation whose calls have lost what
// it signed them with. Whoever sends the message of an answer back sends that, too.
func TestGeminiGetsItsSignaturesBack(t *testing.T) {
	t.Parallel()
	for _, stream := range []bool{false, true} {
		t.Run(fmt.Sprintf("stream %v", stream), func(t *testing.T) {
			t.Parallel()
			url, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if stream {
					_, _ = fmt.Fprint(w, "data: ")
				}
				_, _ = fmt.Fprintf(w, `{"responseId":"r","candidates":[{"content":{"parts":%s},"finishReason":"STOP"}]}`+"\n\n", signedParts)
			})
			target := at(url)
			target.Dialect, target.Model, target.Stream = "gemini", "gemini-3-pro-preview", stream
			got, failed := complete(t, newClient(t, Config{}), target)
			if failed != nil {
				t.Fatal(failed)
			}
			var said struct {
				Choices []struct{ Message json.RawMessage }
			}
			if err := json.Unmarshal(got.Body, &said); err != nil {
				t.Fatal(err)
			}
			body := `{"messages":[` + hello + `,` + string(said.Choices[0].Message) + `,{"role":"tool","tool_call_id":"c1","content":"high"},{"role":"tool","tool_call_id":"c2","content":"noon"}]}`
			wire, err := encodeGemini(target, []byte(body))
			if want := strings.ReplaceAll(signedParts, "null", "{}"); err != nil || !strings.Contains(sorted(t, string(wire)), strings.Trim(sorted(t, want), "[]")) {
				t.Errorf("%v: %s\nholds not %s", err, wire, want)
			}
			if _, err := encodeAnthropic(target, []byte(body)); err != nil {
				t.Errorf("another dialect cannot go on: %v", err)
			}
		})
	}
}

// sorted is a JSON text with its members in one order.
func sorted(t *testing.T, text string) string {
	t.Helper()
	out, err := json.Marshal(tree(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestGeminiTakesCallsOfOthers: a call that another model made has no signature.
func TestGeminiTakesCallsOfOthers(t *testing.T) {
	t.Parallel()
	body := talk(hello+`,`+called+`,{"role":"tool","tool_call_id":"call77","content":"high"}`, "")
	for model, signs := range map[string]bool{
		"gemini-3-pro-preview": true, "gemini-3.1-flash": true, "gemini-4": true, "gemini-flash-latest": true,
		"gemini-2.5-pro": false, "gemini-1.5-flash": false, "gemma-3-27b": false,
	} {
		wire, err := encodeGemini(&jobs.Target{Model: model}, []byte(body))
		if n := strings.Count(string(wire), `"thoughtSignature":"`+unsigned+`"`); err != nil || (n == 1) != signs {
			t.Errorf("%s: %v, %d signatures in %s", model, err, n, wire)
		}
	}
}

// TestGeminiImagesAreKept: an image that a model made is part of its answer, and paid
// for; one that it only thought of is not.
func TestGeminiImagesAreKept(t *testing.T) {
	t.Parallel()
	const parts = `[{"text":"Here "},{"inlineData":{"mimeType":"image/png","data":"VGhpbms="},"thought":true},{"inlineData":{"mimeType":"image/png","data":"iVBO"}},{"text":"it is."}]`
	for _, stream := range []bool{false, true} {
		url, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if stream {
				_, _ = fmt.Fprint(w, "data: ")
			}
			_, _ = fmt.Fprintf(w, `{"responseId":"r","candidates":[{"content":{"parts":%s},"finishReason":"STOP"}]}`+"\n\n", parts)
		})
		target := at(url)
		target.Dialect, target.Stream = "gemini", stream
		got, failed := complete(t, newClient(t, Config{}), target)
		if failed != nil {
			t.Fatal(failed)
		}
		const want = `"content":"Here it is.","images":[{"image_url":{"url":"data:image/png;base64,iVBO"},"type":"image_url"}]`
		if !strings.Contains(string(got.Body), want) {
			t.Errorf("stream %v: %s\nholds not %s", stream, got.Body, want)
		}
	}
}

// TestGeminiSeedIsNamed: a longer seed is another dialect's to take, not an end of the
// request.
func TestGeminiSeedIsNamed(t *testing.T) {
	t.Parallel()
	var said *fieldError
	if _, err := encodeGemini(&jobs.Target{}, []byte(talk(hello, `"seed":4294967296`))); !errors.As(err, &said) || said.field != "seed" {
		t.Errorf("%v", err)
	}
	if wire, err := encodeGemini(&jobs.Target{}, []byte(talk(hello, `"seed":-2147483648`))); err != nil || !strings.Contains(string(wire), "-2147483648") {
		t.Errorf("%s, %v", wire, err)
	}
}
