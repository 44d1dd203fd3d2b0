package provider

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"tidegate/jobs"
)

// document is a request of about 8 KB, and summary its answer of about 1.5 KB:
// the sizes of a summarisation job.
var (
	document = []byte(`{"model":"any","messages":[{"role":"system","content":"Summarise."},{"role":"user","content":"` +
		strings.Repeat("The gate closes by itself when the water outside is high.\\n", 135) + `"}],"temperature":0.2}`)
	summary = bytes.Replace([]byte(answer), []byte("It closes by itself."), bytes.Repeat([]byte("It closes by itself. "), 60), 1)
)

func BenchmarkEncode(b *testing.B) {
	target := at("http://127.0.0.1")
	for name, d := range dialects {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(document)))
			for b.Loop() {
				if _, err := d.encode(target, document); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	got := response{200, http.Header{}, summary}
	b.ReportAllocs()
	b.SetBytes(int64(len(summary)))
	for b.Loop() {
		if _, why := openAI.decode(got); why != nil {
			b.Fatal(why)
		}
	}
}

// BenchmarkRefusal is all that a 429 costs beside the wire.
func BenchmarkRefusal(b *testing.B) {
	client := newClient(b, Config{})
	end, err := client.endpoint(at("http://127.0.0.1"), jobs.EndpointChat)
	if err != nil {
		b.Fatal(err)
	}
	got := exchanged{response: response{429, http.Header{}, []byte(`{"error":{"message":"Rate limit reached for gpt-5-mini in organization org-abc on tokens per min (TPM): Limit 200000, Used 199000, Requested 5140. Please try again in 1.242s. Visit https://platform.openai.com/account/rate-limits to learn more.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}`)}}
	b.ReportAllocs()
	for b.Loop() {
		if failed := client.refuse(end, got, end.dialect.explain(got.response)); failed.Class != jobs.Rate {
			b.Fatal(failed)
		}
	}
}

func BenchmarkClassify(b *testing.B) {
	for name, why := range map[string]refusal{
		"429": {status: 429, code: "rate_limit_exceeded", kind: "tokens", text: "Rate limit reached."},
		"400": {status: 400, code: "invalid_value", kind: "invalid_request_error", text: strings.Repeat("Invalid value. ", 20)},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				openAI.classify(why)
			}
		})
	}
}

// BenchmarkCall compares a whole call with what one would write by hand, over
// a server that allocates nothing.
func BenchmarkCall(b *testing.B) {
	url := replying(b, written(200, string(summary)))
	b.Run("complete", func(b *testing.B) {
		client, target := newClient(b, Config{}), at(url)
		b.ReportAllocs()
		for b.Loop() {
			if _, failed := client.Complete(b.Context(), target, jobs.EndpointChat, document); failed != nil {
				b.Fatal(failed)
			}
		}
	})
	b.Run("plain", func(b *testing.B) {
		client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
		b.Cleanup(client.CloseIdleConnections)
		b.ReportAllocs()
		for b.Loop() {
			if err := plainCall(client, url); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// replying is a server that answers each request with the same writes, and allocates
// nothing.
func replying(b *testing.B, writes ...[]byte) (url string) {
	return listen(b, func(conn net.Conn) {
		r := bufio.NewReaderSize(conn, 32<<10)
		for {
			length := 0
			for {
				line, err := r.ReadSlice('\n')
				if err != nil {
					return
				}
				if number, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
					for _, digit := range bytes.TrimSpace(number) {
						length = 10*length + int(digit-'0')
					}
				}
				if len(line) <= 2 {
					break
				}
			}
			if _, err := r.Discard(length); err != nil {
				return
			}
			for _, write := range writes {
				if _, err := conn.Write(write); err != nil {
					return
				}
			}
		}
	})
}

// streamWrites is an answer of 300 tokens as it is streamed, an event for each.
func streamWrites() (writes [][]byte) {
	chunk := func(text string) []byte { return fmt.Appendf(nil, "%x\r\n%s\r\n", len(text), text) }
	const frame = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1761000000,"model":"gpt-5-mini-2025-08-07","service_tier":"default",` +
		`"system_fingerprint":"fp_1","choices":[{"index":0,"delta":{%s},"logprobs":null,"finish_reason":%s}],"usage":null,"obfuscation":"xY3kq"}` + "\n\n"
	writes = append(writes, []byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"))
	writes = append(writes, chunk(fmt.Sprintf(frame, `"role":"assistant","content":""`, "null")))
	for range 300 {
		writes = append(writes, chunk(fmt.Sprintf(frame, `"content":" gate"`, "null")))
	}
	return append(writes, chunk(fmt.Sprintf(frame, "", `"stop"`)+usageChunk+doneChunk), []byte("0\r\n\r\n"))
}

// BenchmarkStream compares an answer that comes in pieces with one that comes whole:
// as fast as the machine goes, with a write for all events, and with one for each.
func BenchmarkStream(b *testing.B) {
	writes := streamWrites()
	for name, c := range map[string]struct {
		stream bool
		writes [][]byte
	}{
		"whole":          {false, [][]byte{written(200, string(summary))}},
		"in one write":   {true, [][]byte{bytes.Join(writes, nil)}},
		"token by token": {true, writes},
	} {
		b.Run(name, func(b *testing.B) {
			client, target := newClient(b, Config{}), at(replying(b, c.writes...))
			target.Stream = c.stream
			b.ReportAllocs()
			for b.Loop() {
				if _, failed := client.Complete(b.Context(), target, jobs.EndpointChat, document); failed != nil {
					b.Fatal(failed)
				}
			}
		})
	}
}

// BenchmarkGather is what putting a stream of 300 tokens together costs beside the
// wire.
func BenchmarkGather(b *testing.B) {
	var events []byte
	for line := range bytes.SplitSeq(bytes.Join(streamWrites(), nil), []byte("\r\n")) {
		if bytes.HasPrefix(line, []byte("data:")) {
			events = append(events, line...)
		}
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(events)))
	for b.Loop() {
		if got, err := gathered(openAI, bytes.NewReader(events), defaultMaxAnswerBytes); err != nil || got.cut != nil {
			b.Fatal(err, got.cut)
		}
	}
}

func plainCall(client *http.Client, url string) error {
	request, err := http.NewRequest(http.MethodPost, url+"/chat/completions", bytes.NewReader(document))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer sk-test")
	got, err := client.Do(request)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	var completion struct {
		ID, Model string
		Choices   []struct {
			FinishReason string `json:"finish_reason"`
			Message      struct{ Content string }
		}
		Usage struct {
			PromptTokens     int `json:"prompt_tokens"`
			CompletionTokens int `json:"completion_tokens"`
		}
	}
	if err := json.NewDecoder(got.Body).Decode(&completion); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, got.Body); err != nil {
		return err
	}
	if len(completion.Choices) != 1 {
		return errors.New("no choices")
	}
	return nil
}
