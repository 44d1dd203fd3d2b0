package provider

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
)

// TestVariantsAreCalledAsTheySay compares what is called, and with which headers.
func TestVariantsAreCalledAsTheySay(t *testing.T) {
	t.Parallel()
	type sent struct{ URL, Authorization, APIKey, Goog, Organization, Agent string }
	for name, c := range map[string]struct {
		dialect, base string
		variant       jobs.Variant
		want          sent
	}{
		"as the dialect says": {"openai", "/v1", jobs.Variant{}, sent{URL: "/v1/chat/completions", Authorization: "Bearer the-key-1"}},
		"a path":              {"openai", "/gateway", jobs.Variant{Path: "run/{model}/chat"}, sent{URL: "/gateway/run/gpt%2F5/chat", Authorization: "Bearer the-key-1"}},
		"a query": {
			"openai", "/v1?a=1&b=2",
			jobs.Variant{Query: "b=3&c=%20"},
			sent{URL: "/v1/chat/completions?a=1&b=3&c=+", Authorization: "Bearer the-key-1"},
		},
		"a header for the key":     {"openai", "/v1", jobs.Variant{KeyHeader: "api-key"}, sent{URL: "/v1/chat/completions", APIKey: "the-key-1"}},
		"a scheme":                 {"openai", "/v1", jobs.Variant{KeyHeader: "Authorization", KeyScheme: "Key"}, sent{URL: "/v1/chat/completions", Authorization: "Key the-key-1"}},
		"a header of another kind": {"gemini", "/v1", jobs.Variant{KeyHeader: "authorization"}, sent{URL: "/v1/models/gpt/5:generateContent", Authorization: "Bearer the-key-1"}},
		"more headers": {
			"openai", "/v1",
			jobs.Variant{Headers: "openai-organization: org-1\nUser-Agent: us/1"},
			sent{URL: "/v1/chat/completions", Authorization: "Bearer the-key-1", Organization: "org-1", Agent: "us/1"},
		},
		"azure":                     {"azure", "", jobs.Variant{}, sent{URL: "/openai/deployments/gpt%2F5/chat/completions?api-version=2024-10-21", APIKey: "the-key-1"}},
		"azure, another version":    {"azure", "/", jobs.Variant{Query: "api-version=2"}, sent{URL: "/openai/deployments/gpt%2F5/chat/completions?api-version=2", APIKey: "the-key-1"}},
		"azure, in the URL":         {"azure", "/openai?api-version=1", jobs.Variant{}, sent{URL: "/openai/deployments/gpt%2F5/chat/completions?api-version=1", APIKey: "the-key-1"}},
		"azure, v1":                 {"azure", "/openai/v1/", jobs.Variant{}, sent{URL: "/openai/v1/chat/completions", APIKey: "the-key-1"}},
		"azure, a deployment":       {"azure", "/openai/deployments/d", jobs.Variant{}, sent{URL: "/openai/deployments/d/chat/completions?api-version=2024-10-21", APIKey: "the-key-1"}},
		"azure, a token of Entra's": {"azure", "/openai/v1", jobs.Variant{KeyHeader: "Authorization"}, sent{URL: "/openai/v1/chat/completions", Authorization: "Bearer the-key-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got sent
			url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				h := r.Header
				got = sent{r.URL.String(), h.Get("Authorization"), h.Get("Api-Key"), h.Get("X-Goog-Api-Key"), h.Get("OpenAI-Organization"), h.Get("User-Agent")}
				_, _ = io.WriteString(w, answer)
			})
			target := at(url + c.base)
			target.Dialect, target.Model, target.Key, target.Variant = c.dialect, "gpt/5", "the-key-1", c.variant
			_, _ = complete(t, newClient(t, Config{}), target) // what it makes of the answer is another test's
			if c.want.Agent == "" {
				c.want.Agent = defaultUserAgent
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestVariantsThatCannotBeCalled: each error names the field, and none is sent.
func TestVariantsThatCannotBeCalled(t *testing.T) {
	t.Parallel()
	url, seen := serve(t, http.NotFound)
	for field, variants := range map[string][]jobs.Variant{
		"headers: ": {
			{Headers: "Authorization: canary-1"},
			{Headers: "host: canary-1"},
			{Headers: "Content-Type: canary-1"},
			{Headers: "idempotency-key: canary-1"},
			{Headers: "a b: canary-1"},
			{Headers: ": canary-1"},
			{Headers: "A:"},
			{Headers: "A: x\x00canary-1"},
			{KeyHeader: "X-Key", Headers: "x-key: canary-1"},
		},
		"auth_header: ": {{KeyHeader: "Content-Length"}, {KeyHeader: "a\nb"}},
		"auth_scheme: ": {{KeyScheme: "Bearer"}, {KeyHeader: "Authorization", KeyScheme: "a b"}},
		"query: ":       {{Query: "%zz"}},
		"path: ":        {{Path: "a?%zz"}},
	} {
		for _, variant := range variants {
			target := at(url)
			target.Variant = variant
			failed := refused(t, newClient(t, Config{}), target)
			if failed.Class != jobs.Transient || !strings.HasPrefix(failed.Message, field) || strings.Contains(failed.Message, "canary-1") {
				t.Errorf("%#v: %v, want %s", variant, failed, field)
			}
		}
	}
	if n := seen.requests.Load(); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// TestVariantsShareNoEndpoint: two targets that differ in nothing but their variant
// are called differently, also one after the other.
func TestVariantsShareNoEndpoint(t *testing.T) {
	t.Parallel()
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body := strings.Replace(answer, "chatcmpl-1", r.URL.Path+r.URL.RawQuery+r.Header.Get("A")+r.Header.Get("B-Key"), 1)
		_, _ = io.WriteString(w, body)
	})
	client := newClient(t, Config{})
	seen := map[string]bool{}
	variants := []jobs.Variant{{}, {Path: "p"}, {Query: "q=1"}, {Headers: "A: 1"}, {Headers: "A: 2"}, {KeyHeader: "B-Key"}, {KeyHeader: "B-Key", KeyScheme: "C"}}
	for range 2 {
		for _, variant := range variants {
			target := at(url)
			target.Variant = variant
			got, failed := complete(t, client, target)
			if failed != nil {
				t.Fatal(failed)
			}
			seen[got.ProviderID] = true
		}
	}
	client.mu.RLock()
	defer client.mu.RUnlock()
	if len(seen) != len(variants) || len(client.endpoints) != len(variants) {
		t.Errorf("%d variants became %d calls from %d endpoints", len(variants), len(seen), len(client.endpoints))
	}
}

// TestNoHeaderInErrors: a header of the target's own is as secret as its key, since
// nobody knows what it holds.
func TestNoHeaderInErrors(t *testing.T) {
	t.Parallel()
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"error":{"message":"you said `+r.Header.Get("X-Gateway")+`","code":"`+r.Header.Get("X-Gateway")+`"}}`)
	})
	for name := range dialects {
		target := at(url)
		target.Dialect, target.Variant.Headers = name, jobs.Secret("X-Gateway: "+canary)
		if failed := refused(t, newClient(t, Config{}), target); leaks(failed) || leaks(target.Variant) || !strings.Contains(failed.Message, redacted) {
			t.Errorf("%s: %v", name, failed)
		}
	}
}
