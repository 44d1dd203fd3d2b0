package prices

import (
	"net/url"
	"slices"
	"strings"
)

// hosts tell who sends the bill. A host is meant as it is; one that begins with a dot
// or a hyphen stands for all that end with it. Regional hosts of OpenAI are not among them: some of its
// models cost more there.
var hosts = []struct{ host, vendor string }{
	{"api.openai.com", "openai"},
	{"api.anthropic.com", "anthropic"},
	{"generativelanguage.googleapis.com", "google"},
	{"aiplatform.googleapis.com", "vertex"},
	{"-aiplatform.googleapis.com", "vertex"},
	{"api.deepseek.com", "deepseek"},
	{"api.mistral.ai", "mistral"},
	{"api.groq.com", "groq"},
	{"api.x.ai", "xai"},
	{".openai.azure.com", "azure"},
	{".services.ai.azure.com", "azure"},
	{".cognitiveservices.azure.com", "azure"},
	{".amazonaws.com", "bedrock"},
	{"openrouter.ai", "openrouter"},
	{"api.together.xyz", "together"},
	{"api.together.ai", "together"},
	{"api.fireworks.ai", "fireworks"},
	{"api.moonshot.ai", "moonshot"},
	{"api.cerebras.ai", "cerebras"},
	{"api.cohere.com", "cohere"},
	{"api.cohere.ai", "cohere"},
	{"api.perplexity.ai", "perplexity"},
	{"api.deepinfra.com", "deepinfra"},
	{"api.novita.ai", "novita"},
	{"api.z.ai", "zai"},
	{"api.minimax.io", "minimax"},
	{"dashscope-intl.aliyuncs.com", "alibaba"},
	{"api.studio.nebius.com", "nebius"},
	{"api.tokenfactory.nebius.com", "nebius"},
	{"api.sambanova.ai", "sambanova"},
	{"api.hyperbolic.xyz", "hyperbolic"},
	{"api.doubleword.ai", "doubleword"},
}

// VendorOf tells by a base URL whose prices hold there. It is empty for a host that is
// not known, as that of one's own server: a model's name alone is no price.
func VendorOf(baseURL string) string {
	at, err := url.Parse(baseURL)
	if err != nil {
		return ""
	}
	host := strings.TrimSuffix(strings.ToLower(at.Hostname()), ".")
	for _, known := range hosts {
		if host == known.host || strings.ContainsAny(known.host[:1], ".-") && strings.HasSuffix(host, known.host) {
			if known.vendor == "bedrock" && !strings.HasPrefix(host, "bedrock") {
				continue // another service of Amazon's
			}
			return known.vendor
		}
	}
	return ""
}

// Vendors lists those that VendorOf tells, each once.
func Vendors() []string {
	var names []string
	for _, known := range hosts {
		names = append(names, known.vendor)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
