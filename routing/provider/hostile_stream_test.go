package provider

import (
	"bytes"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"tidegate/jobs"
)

// TestHostileEvents: one event of a few megabytes must not keep a processor for
// minutes, whatever is in it many times.
func TestHostileEvents(t *testing.T) {
	t.Parallel()
	const size = 2 << 20
	many := func(head, element, tail string) string {
		var all strings.Builder
		all.WriteString(head)
		for i := 0; all.Len() < size; i++ {
			if i > 0 {
				all.WriteByte(',')
			}
			fmt.Fprintf(&all, element, i)
		}
		all.WriteString(tail)
		return all.String()
	}
	for name, event := range map[string]string{
		"choices":             many(`{"choices":[`, `{"index":%d}`, `]}`),
		"members":             many(`{`, `"a%d":1`, `}`),
		"members of a choice": many(`{"choices":[{`, `"a%d":1`, `}]}`),
		"members of a delta":  many(`{"choices":[{"delta":{`, `"a%d":"b"`, `}}]}`),
		"calls":               many(`{"choices":[{"delta":{"tool_calls":[`, `{"index":%d}`, `]}}]}`),
		"calls inside":        many(`{"choices":[{"delta":{"a":{"b":[`, `{"index":%d}`, `]}}}]}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				_, _ = fmt.Fprintf(w, "data: %s\n\n%s%s", event, stopChunk, doneChunk)
			})
			began := time.Now()
			failed := refused(t, newClient(t, Config{MaxAnswerBytes: 2 * size}), streamed(url))
			if took := time.Since(began); failed.Class != jobs.Garbled || took > patience/2 {
				t.Errorf("got %v after %s", failed, took)
			}
		})
	}
}

// TestStreamsTellWhatTheyHold: what is held of a stream is bounded wherever a provider puts it.
func TestStreamsTellWhatTheyHold(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 64<<10)
	for name, c := range map[string]struct{ dialect, first, again string }{
		"a call's id":             {"gemini", "", `{"candidates":[{"content":{"parts":[{"functionCall":{"id":"%[1]d%[2]s","name":"f"}}]}}]}`},
		"a call's name":           {"gemini", "", `{"candidates":[{"content":{"parts":[{"functionCall":{"name":"%[1]d%[2]s"}}]}}]}`},
		"images":                  {"gemini", "", `{"candidates":[{"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":"%[1]d%[2]s"}},{"functionCall":{"name":"f"}}]}}]}`},
		"files":                   {"gemini", "", `{"candidates":[{"content":{"parts":[{"fileData":{"fileUri":"%[1]d%[2]s"}},{"functionCall":{"name":"f"}}]}}]}`},
		"results":                 {"gemini", "", `{"candidates":[{"content":{"parts":[{"functionResponse":{"response":{"a":"%[1]d%[2]s"}}},{"functionCall":{"name":"f"}}]}}]}`},
		"usage":                   {"anthropic", `{"type":"message_start","message":{"id":"a","model":"m"}}`, `{"type":"message_delta","usage":{"u%[1]d":"%[2]s"}}`},
		"blocks inside of blocks": {"anthropic", `{"type":"message_start","message":{"id":"a","model":"m"}}`, `{"type":"content_block_start","index":%[1]d,"content_block":{"type":"thinking","content":[{"type":"text","text":"%[2]s"}]}}`},
		"types of blocks":         {"anthropic", `{"type":"message_start","message":{"id":"a","model":"m"}}`, `{"type":"content_block_start","index":%[1]d,"content_block":{"type":"%[2]s"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const pieces = 64
			var all bytes.Buffer
			if c.first != "" {
				fmt.Fprintf(&all, "data: %s\n\n", c.first)
			}
			for i := range pieces {
				fmt.Fprintf(&all, "data: "+c.again+"\n\n", i, long)
			}
			answer := dialects[c.dialect].stream.gather(defaultMaxAnswerBytes)
			events := newEvents(&all, 1<<20)
			for next, err := events.next(); err == nil; next, err = events.next() {
				if _, why := answer.take(response{status: http.StatusOK}, next); why != nil {
					t.Fatal(why.text)
				}
			}
			if holds := textIn(reflect.ValueOf(answer)); holds > answer.size()+2*len(long) {
				t.Errorf("it holds %d bytes, and tells of %d", holds, answer.size())
			}
		})
	}
}

// textIn is how many bytes of text can be reached from a value.
func textIn(v reflect.Value) (sum int) {
	switch v.Kind() {
	case reflect.String:
		return v.Len()
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return textIn(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			sum += textIn(v.Field(i))
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return v.Len()
		}
		for i := range v.Len() {
			sum += textIn(v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			sum += textIn(key) + textIn(v.MapIndex(key))
		}
	}
	return sum
}
