package provider

import (
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
)

// TestStreamsInOtherShapes: what servers send that speak OpenAI's dialect in their own
// way comes to the message that they mean.
func TestStreamsInOtherShapes(t *testing.T) {
	t.Parallel()
	const call = `{"index":0,"id":"%s","type":"function","function":{"name":"%s","arguments":%s}}`
	tools := func(calls ...string) string { return `{"delta":{"tool_calls":[` + join(calls) + `]}}` }
	for name, c := range map[string]struct {
		choices []string
		want    string // the message
	}{
		"each delta beside the message so far": {
			[]string{
				`{"delta":{"content":"It "},"message":{"role":"assistant","content":"It "}}`,
				`{"delta":{"content":"closes."},"message":{"role":"assistant","content":"It closes."}}`,
				`{"delta":{"content":""},"message":{"role":"assistant","content":"It closes."}}`,
			}, `{"role":"assistant","content":"It closes."}`,
		},
		"the message after its deltas": {
			[]string{`{"delta":{"content":"It "}}`, `{"delta":{"content":"closes."}}`, `{"message":{"role":"assistant","content":"It closes."}}`},
			`{"role":"assistant","content":"It closes."}`,
		},
		"thoughts in a list, then text": {
			[]string{
				`{"delta":{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"Hm"}]}]}}`,
				`{"delta":{"content":"It "}}`, `{"delta":{"content":"closes."}}`,
			}, `{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"Hm"}]},{"type":"text","text":"It closes."}]}`,
		},
		"text, then a list": {
			[]string{`{"delta":{"content":"It "}}`, `{"delta":{"content":"closes"}}`, `{"delta":{"content":[{"type":"reference","reference_ids":[1]}]}}`, `{"delta":{"content":"."}}`},
			`{"role":"assistant","content":[{"type":"text","text":"It closes"},{"type":"reference","reference_ids":[1]},{"type":"text","text":"."}]}`,
		},
		"a character in two pieces": {
			[]string{`{"delta":{"content":"\ud83d"}}`, `{"delta":{"content":"\ude00 \\\ud83d"}}`, `{"delta":{"content":"\ude01\\ud83d"}}`, `{"delta":{"content":"!"}}`},
			`{"role":"assistant","content":"😀 \\😁\\ud83d!"}`,
		},
		"two calls with one index": {
			[]string{tools(fmt.Sprintf(call, "a", "f", `"{\"x\":1}"`)), tools(fmt.Sprintf(call, "b", "g", `"{"`)), tools(`{"index":0,"function":{"arguments":"}"}}`)},
			`{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},{"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]}`,
		},
		"two calls with one index at once": {
			[]string{tools(fmt.Sprintf(call, "a", "f", `"{}"`), fmt.Sprintf(call, "b", "f", `"{}"`))},
			`{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"b","type":"function","function":{"name":"f","arguments":"{}"}}]}`,
		},
		"one call with another id in each piece": {
			[]string{tools(fmt.Sprintf(call, "a", "f", `""`)), tools(`{"index":0,"id":"b","function":{"name":null,"arguments":"{}"}}`)},
			`{"role":"assistant","content":null,"tool_calls":[{"id":"b","type":"function","function":{"name":"f","arguments":"{}"}}]}`,
		},
		"one call named in each piece": {
			[]string{tools(fmt.Sprintf(call, "a", "f", `"{"`)), tools(fmt.Sprintf(call, "a", "f", `"}"`))},
			`{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				for _, choice := range c.choices {
					_, _ = fmt.Fprintf(w, `data: {"id":"c","model":"m","choices":[%s]}`+"\n\n", choice)
				}
				_, _ = fmt.Fprint(w, stopChunk+usageChunk+doneChunk)
			})
			got, failed := complete(t, newClient(t, Config{}), streamed(url))
			if failed != nil {
				t.Fatal(failed)
			}
			whole, _ := tree(t, string(got.Body)).(map[string]any)
			choices, _ := whole["choices"].([]any)
			first, _ := choices[0].(map[string]any)
			if diff := cmp.Diff(tree(t, c.want), first["message"]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func join(parts []string) (all string) {
	for i, part := range parts {
		if i > 0 {
			all += ","
		}
		all += part
	}
	return all
}

// TestAnswerIsKeptWhenTheConnectionBreaksAfterIt: it said that it is whole, and it is
// paid for.
func TestAnswerIsKeptWhenTheConnectionBreaksAfterIt(t *testing.T) {
	t.Parallel()
	const gemini = `data: {"responseId":"r","candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":12,"candidatesTokenCount":5}}` + "\n\n"
	for name, c := range map[string]struct{ dialect, events string }{
		"openai, after its usage": {"openai", firstChunk + textChunk + stopChunk + usageChunk},
		"gemini":                  {"gemini", gemini},
	} {
		for _, hangs := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, hangs %v", name, hangs), func(t *testing.T) {
				t.Parallel()
				url := listen(t, func(conn net.Conn) {
					buffer := make([]byte, 4<<10)
					_, _ = conn.Read(buffer)
					_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(c.events), c.events)
					if hangs {
						_, _ = conn.Read(buffer) // until the client gives up
					}
				})
				target := streamed(url)
				target.Dialect, target.Timeouts.Idle = c.dialect, 200*quick/60
				got, failed := complete(t, newClient(t, Config{}), target)
				if failed != nil {
					t.Fatal(failed)
				}
				if want := (jobs.Usage{Input: 12, Output: 5}); got.Usage != want {
					t.Errorf("got %+v, want %+v", got.Usage, want)
				}
			})
		}
	}
}
