package config

import (
	"strings"
	"testing"

	"tidegate/jobs"
)

// endpointLines are a target of a dialect at a base URL, with further lines, and its
// route.
func endpointLines(dialect, base, model string, lines ...string) string {
	return "targets:\n  - name: a\n    provider: acme\n    dialect: " + dialect + "\n    model: " + model + "\n    base_url: " + base + "\n    api_key: ${KEY}\n" +
		"    price: {input: 1, output: 2}\n    " + strings.Join(append(lines, "region: eu"), "\n    ") + "\n" + routeLines
}

var allDialects = Known{Dialects: []string{"openai", "azure", "anthropic", "gemini"}}

// What a target serves that says nothing is told by its dialect, its vendor and its
// model's name; what it says is taken.
func TestConfigOfEndpoints(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		endpointLines("openai", "https://h/v1", "m"):                                                  "/v1/chat/completions",
		endpointLines("openai", "https://h/v1", "Nomic-EMBED-text"):                                   "/v1/embeddings",
		endpointLines("openai", "https://api.openai.com/v1", "gpt-5-mini"):                            "/v1/chat/completions, /v1/responses",
		endpointLines("openai", "https://api.openai.com/v1", "text-embedding-3-small"):                "/v1/embeddings",
		endpointLines("openai", "https://api.openai.com/v1", "m", "path: run"):                        "/v1/chat/completions",
		endpointLines("anthropic", "https://h/v1", "claude-embed"):                                    "/v1/chat/completions",
		endpointLines("azure", "https://n.openai.azure.com", "my-embeddings"):                         "/v1/embeddings",
		endpointLines("openai", "https://h/v1", "m", "endpoints: [completions, embeddings]"):          "/v1/embeddings, /v1/completions",
		endpointLines("azure", "https://n.openai.azure.com/openai/v1", "m", "endpoints: [responses]"): "/v1/responses",
		endpointLines("openai", "https://h", "m", "path: v1/embed", "endpoints: [embeddings]"):        "/v1/embeddings",
	} {
		c, _, err := Parse([]byte(text), "f", vars("KEY", "x"), allDialects)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		targets, routes := c.Build()
		if got := targets[0].Endpoints.String(); got != want || routes[0].Serves() != targets[0].Endpoints {
			t.Errorf("%s serves %s", text, got)
		}
		again, _, err := Parse([]byte(c.String()), "g", vars(), allDialects)
		if err != nil || len(again.Targets[0].Endpoints) != len(targets[0].Endpoints.List()) {
			t.Errorf("as it is shown: %v", err)
		}
	}
	if _, routes := DefaultSimulated("http://h").Build(); routes[0].Serves() != jobs.EndpointSetOf(jobs.Endpoints()...) {
		t.Errorf("the simulated targets serve %s", routes[0].Serves())
	}
}

func TestConfigRefusesEndpoints(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		endpointLines("openai", "https://h/v1", "m", "endpoints: [chats]"):                         `targets[0].endpoints[0]: unknown endpoint "chats"; did you mean "chat"?`,
		endpointLines("openai", "https://h/v1", "m", "endpoints: []"):                              "targets[0].endpoints: is empty: leave it out for chat",
		endpointLines("openai", "https://h/v1", "m", "endpoints: [chat, chat]"):                    `targets[0].endpoints[1]: chat stands here already`,
		endpointLines("anthropic", "https://h/v1", "m", "endpoints: [chat, embeddings]"):           `the dialect "anthropic" does not serve /v1/embeddings; it serves chat`,
		endpointLines("azure", "https://h", "m", "endpoints: [chat, responses]"):                   "azure serves /v1/responses at a base_url that ends in /openai/v1",
		endpointLines("openai", "https://h/v1", "m", "path: run", "endpoints: [chat, embeddings]"): "targets[0].endpoints: has 2, and path is that of one",
		endpointLines("openai", "https://h/v1/embeddings", "m", "endpoints: [embeddings]"):         "targets[0].base_url: must end before /embeddings, which is added",
	} {
		_, _, err := Parse([]byte(text), "f", vars("KEY", "x"), allDialects)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v\nwant %s", text, err, says)
		}
	}
}
