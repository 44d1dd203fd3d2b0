package provider

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
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
	end, err := client.endpoint(at("http://127.0.0.1"))
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
	url := listen(b, func(conn net.Conn) {
		r := bufio.NewReaderSize(conn, 32<<10)
		reply := written(200, string(summary))
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
			if _, err := conn.Write(reply); err != nil {
				return
			}
		}
	})
	b.Run("complete", func(b *testing.B) {
		client, target := newClient(b, Config{}), at(url)
		b.ReportAllocs()
		for b.Loop() {
			if _, failed := client.Complete(b.Context(), target, document); failed != nil {
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
