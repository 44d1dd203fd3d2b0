package provider_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"

	"tidegate/jobs"
	"tidegate/routing/provider"
)

// A provider that is busy the first time: the client says so and leaves it to
// its caller what to do about it.
func Example() {
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 1 {
			w.Header().Set("Retry-After", "2")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, `{"error":{"message":"Slow down, please.","code":"rate_limit_exceeded"}}`)
			return
		}
		_, _ = io.WriteString(w, `{"id":"chatcmpl-1","model":"gpt-5-mini",
			"choices":[{"message":{"role":"assistant","content":"It closes by itself."},"finish_reason":"stop"}],
			"usage":{"prompt_tokens":12,"completion_tokens":5}}`)
	}))
	defer server.Close()

	client := provider.New(provider.Config{})
	defer client.Close()
	target := &jobs.Target{
		Name: "mini", Dialect: "openai", BaseURL: server.URL + "/v1", Key: "sk-example", Model: "gpt-5-mini",
		Timeouts: jobs.DefaultTimeouts,
	}
	body := []byte(`{"messages":[{"role":"user","content":"What is a tide gate?"}]}`)

	for range 2 {
		answer, failed := client.Complete(context.Background(), target, jobs.EndpointChat, body)
		if failed != nil {
			fmt.Println(failed, "- wait", failed.RetryAfter)
			continue
		}
		fmt.Println(answer.Model, answer.FinishReason, answer.Usage.Output)
	}
	// Output:
	// RATE: status 429 rate_limit_exceeded: Slow down, please. - wait 2s
	// gpt-5-mini stop 5
}
