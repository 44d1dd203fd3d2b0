package provider

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
)

// streamed is a target at a base URL whose answers come in pieces.
func streamed(url string) *jobs.Target {
	target := at(url)
	target.Stream = true
	return target
}

const (
	firstChunk = `data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}` + "\n\n"
	textChunk  = `data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}` + "\n\n"
	stopChunk  = `data: {"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	usageChunk = `data: {"id":"c","model":"m","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":5}}` + "\n\n"
	doneChunk  = "data: [DONE]\n\n"
	keepAlive  = ": keep-alive\n\n"

	streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" // ends with the connection
)

// TestStreamsAreAskedFor compares what is sent in each dialect.
func TestStreamsAreAskedFor(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"openai":    `/chat/completions {"messages":[{"role":"user","content":"Hi"}],"temperature":0.5,"model":"gpt-5-mini","stream":true,"stream_options":{"include_usage":true}}`,
		"azure":     `/openai/deployments/gpt-5-mini/chat/completions?api-version=2024-10-21 {"messages":[{"role":"user","content":"Hi"}],"temperature":0.5,"model":"gpt-5-mini","stream":true,"stream_options":{"include_usage":true}}`,
		"anthropic": `/messages {"model":"gpt-5-mini","max_tokens":8192,"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}],"temperature":0.5,"stream":true}`,
		"gemini":    `/models/gpt-5-mini:streamGenerateContent?alt=sse {"contents":[{"role":"user","parts":[{"text":"Hi"}]}],"generationConfig":{"temperature":0.5}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got, accept string
			url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got, accept = r.URL.String()+" "+string(body), r.Header.Get("Accept")
				w.WriteHeader(http.StatusTeapot)
			})
			target := streamed(url)
			target.Dialect = name
			_, failed := newClient(t, Config{}).Complete(t.Context(), target, jobs.EndpointChat, []byte(`{"stream":false,"messages":[{"role":"user","content":"Hi"}],"temperature":0.5,"stream_options":{}}`))
			if failed == nil || got != want || accept != "text/event-stream, application/json" {
				t.Errorf("%v, Accept: %s\n%s", failed, accept, cmp.Diff(want, got))
			}
		})
	}
}

// TestStreamThatADialectDoesNotHave is found before a call.
func TestStreamThatADialectDoesNotHave(t *testing.T) {
	t.Parallel()
	silent := openAI
	silent.stream = nil
	target := streamed("http://127.0.0.1:1")
	if _, err := prepare(silent, target, ""); err == nil || !strings.HasPrefix(err.Error(), "stream: ") {
		t.Errorf("%v", err)
	}
	for name, d := range dialects {
		if Streams(name) != (d.stream != nil) {
			t.Errorf("Streams(%s) is %v", name, Streams(name))
		}
	}
	if Streams("klingon") {
		t.Error("a dialect that there is not streams")
	}
}

// A spell is a piece of a stream, and how long it is waited for.
type spell struct {
	wait time.Duration
	text string
}

// spells write a response over a pipe, and then hang, or hang up after "close".
func spells(list ...spell) func(net.Conn) {
	return func(conn net.Conn) {
		r := bufio.NewReader(conn)
		if readRequest(r) != nil {
			return
		}
		gone := make(chan struct{})
		go func() { _, _ = r.ReadByte(); close(gone) }()
		for _, s := range list {
			timer := time.NewTimer(s.wait)
			select {
			case <-timer.C:
			case <-gone:
				timer.Stop()
				return
			}
			if s.text == "close" {
				_ = conn.Close()
				return
			}
			if _, err := io.WriteString(conn, s.text); err != nil {
				return
			}
		}
		<-gone
	}
}

// TestStreamTimeouts: the first token has its limit, whatever comes before it; then
// no event may be later than the idle limit, and a comment is no event.
func TestStreamTimeouts(t *testing.T) {
	t.Parallel()
	const s = time.Second
	head := spell{s, streamHead}
	limits := jobs.Timeouts{Connect: 5 * s, FirstByte: 30 * s, Idle: 10 * s, Total: 2 * time.Minute}
	beats := func(n int, every time.Duration, text string) (list []spell) {
		for range n {
			list = append(list, spell{every, text})
		}
		return list
	}
	after := func(first []spell, rest ...spell) func(net.Conn) {
		return spells(append(append([]spell{head}, first...), rest...)...)
	}
	late := func(text string) *jobs.Error {
		return &jobs.Error{Class: jobs.Timeout, Message: text, Status: 200, Said: true}
	}
	for name, c := range map[string]struct {
		talk   func(net.Conn)
		want   *jobs.Error // nil: an answer
		first  time.Duration
		after  time.Duration
		limits jobs.Timeouts
	}{
		"nothing after the header": {talk: after(nil), want: late("no first token within 30s"), after: 30 * s},
		"no header":                {talk: spells(), want: &jobs.Error{Class: jobs.Timeout, Message: "no first byte within 30s"}, after: 30 * s},
		"keep-alives alone":        {talk: after(beats(100, 2*s, keepAlive)), want: late("no first token within 30s"), after: 30 * s},
		"a role alone":             {talk: after(nil, spell{20 * s, firstChunk}), want: late("no first token within 30s"), after: 30 * s},
		"queued, then an answer": {
			talk:  after(beats(12, 2*s, keepAlive), spell{s, firstChunk}, spell{s, textChunk}, spell{9 * s, stopChunk + usageChunk + doneChunk}),
			first: 27 * s, after: 36*s + drainTime,
		},
		"quiet in the middle":               {talk: after(nil, spell{s, textChunk}), want: late("no more of the answer within 10s"), after: 12 * s},
		"keep-alives in the middle":         {talk: after(nil, append([]spell{{s, textChunk}}, beats(100, 2*s, keepAlive)...)...), want: late("no more of the answer within 10s"), after: 12 * s},
		"events that say nothing, but come": {talk: after(nil, append([]spell{{s, textChunk}}, beats(100, 9*s, firstChunk)...)...), want: late("no whole answer within 2m0s"), after: 2 * time.Minute},
		"no limits but the whole":           {talk: after(nil), limits: jobs.Timeouts{Total: 7 * s}, want: late("no whole answer within 7s"), after: 7 * s},
		"the end is not the connection's":   {talk: after(nil, spell{s, textChunk + stopChunk + usageChunk + doneChunk}), first: 2 * s, after: 2*s + drainTime},
		"the end is the connection's":       {talk: after(nil, spell{s, textChunk + stopChunk + usageChunk}, spell{s, "close"}), first: 2 * s, after: 3 * s},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				target := streamed("http://192.0.2.1")
				if target.Timeouts = c.limits; c.limits == (jobs.Timeouts{}) {
					target.Timeouts = limits
				}
				start := time.Now()
				got, failed := complete(t, newClient(t, piped(c.talk)), target)
				if diff := cmp.Diff(c.want, failed); diff != "" {
					t.Error(diff)
				}
				if took := time.Since(start); took != c.after {
					t.Errorf("took %s, want %s", took, c.after)
				}
				if got != nil && (got.FirstByte != c.first || got.Usage != (jobs.Usage{Input: 12, Output: 5}) || got.FinishReason != "stop") {
					t.Errorf("got %+v, want the first token after %s", got, c.first)
				}
			})
		})
	}
}

// TestStreamsThatBreakAreBilled: what the provider said of tokens before it broke off
// is not lost.
func TestStreamsThatBreakAreBilled(t *testing.T) {
	t.Parallel()
	const start = `data: {"type":"message_start","message":{"id":"m","usage":{"input_tokens":12,"output_tokens":1}}}` + "\n\n"
	const fault = `data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}` + "\n\n"
	for name, c := range map[string]struct {
		wire  string
		class jobs.Class
	}{
		"cut by HTTP":     {"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + start, jobs.Garbled},
		"cut in an event": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n" + start + "data: {", jobs.Garbled},
		"ended":           {streamHead + start, jobs.Garbled},
		"an error":        {streamHead + start + fault, jobs.Overload},
	} {
		url := listen(t, func(conn net.Conn) {
			if readRequest(bufio.NewReader(conn)) == nil {
				_, _ = io.WriteString(conn, c.wire)
			}
		})
		target := streamed(url)
		target.Dialect = "anthropic"
		failed := refused(t, newClient(t, Config{}), target)
		if failed.Class != c.class || failed.Usage != (jobs.Usage{Input: 12, Output: 1}) || !failed.Said {
			t.Errorf("%s: %+v", name, failed)
		}
	}
}

// TestStreamWhoseCallerStops: nothing is said about the target.
func TestStreamWhoseCallerStops(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	url := listen(t, func(conn net.Conn) {
		r := bufio.NewReader(conn)
		if readRequest(r) == nil {
			_, _ = io.WriteString(conn, streamHead+textChunk)
			cancel()
			_, _ = r.ReadByte()
		}
	})
	_, failed := newClient(t, Config{}).Complete(ctx, streamed(url), jobs.EndpointChat, []byte(prompt))
	if failed == nil || failed.Class != jobs.Lost || failed.Said {
		t.Errorf("got %+v, want LOST", failed)
	}
}

// TestStreamsUseConnectionsAgain, also after refusals, and where a provider takes its
// time to end a stream.
func TestStreamsUseConnectionsAgain(t *testing.T) {
	t.Parallel()
	url, seen := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/429") {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		for _, piece := range []string{firstChunk, textChunk, stopChunk, usageChunk, doneChunk} {
			_, _ = io.WriteString(w, piece)
			w.(http.Flusher).Flush()
		}
	})
	client := newClient(t, Config{})
	for i := range 10 {
		for _, path := range []string{"", "/429"} {
			if got, failed := complete(t, client, streamed(url+path)); (got == nil) != (path != "") {
				t.Errorf("call %d: %v", i, failed)
			}
		}
	}
	if n := seen.connections.Load(); n != 1 {
		t.Errorf("%d connections for calls in a row, want 1", n)
	}
}

// TestStreamIsAnswerBounded: the limit is one for the answer, not for its frames.
func TestStreamIsAnswerBounded(t *testing.T) {
	t.Parallel()
	const tokens = 2000
	url, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, firstChunk+strings.Repeat(textChunk, tokens)+stopChunk+doneChunk)
	})
	if got, failed := complete(t, newClient(t, Config{MaxAnswerBytes: 3 * tokens}), streamed(url)); failed != nil || !strings.Contains(string(got.Body), strings.Repeat("a", tokens)) {
		t.Errorf("%v: the frames are counted, too", failed)
	}
	failed := refused(t, newClient(t, Config{MaxAnswerBytes: tokens}), streamed(url))
	if failed.Class != jobs.Garbled || failed.Message != fmt.Sprintf("the answer is longer than %d bytes", tokens) {
		t.Errorf("%+v", failed)
	}
}
