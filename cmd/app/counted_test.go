package app

import (
	"testing"

	"tidegate/jobs"
)

// Who answers is named as OpenTelemetry's conventions do, where they have a name for him.
func TestProvidersHaveTheNamesOfTheConventions(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"https://api.openai.com/v1": "openai", "https://api.anthropic.com/v1": "anthropic", "https://generativelanguage.googleapis.com/v1beta": "gcp.gemini",
		"https://acme.openai.azure.com/openai/v1": "azure.ai.openai", "https://api.mistral.ai/v1": "mistral_ai", "https://openrouter.ai/api/v1": "ours", "http://127.0.0.1:8000/v1": "ours",
	} {
		if got := genAIProvider(&jobs.Target{Provider: "ours", BaseURL: base}); got != want {
			t.Errorf("%s: %s, not %s", base, got, want)
		}
	}
}
