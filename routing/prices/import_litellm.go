package prices

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tidegate/jobs"
)

// liteLLMVendors are its names of vendors, where ours differ.
var liteLLMVendors = map[string]string{
	"gemini": "google", "vertex_ai": "vertex", "together_ai": "together", "fireworks_ai": "fireworks",
	"bedrock_converse": "bedrock", "cohere_chat": "cohere", "dashscope": "alibaba",
}

// liteLLM reads an object of models by name.
func (in *importer) liteLLM(root *node) {
	if root.kind != object {
		in.fault(root.line, "", "LiteLLM's file is an object of models by name, not %s", root.kind)
		return
	}
	seen := map[string]int{}
	for _, m := range root.members {
		if line, twice := seen[m.key]; twice {
			in.fault(m.line, m.key, "stands twice: in line %d, too", line)
		}
		seen[m.key] = m.line
		if m.key == "sample_spec" || m.value.kind != object {
			continue // what the file says of itself
		}
		in.liteLLMModel(m)
	}
}

// liteLLMEmbedding is the mode of a model that makes embeddings.
const liteLLMEmbedding = "embedding"

func (in *importer) liteLLMModel(m member) {
	mode := m.value.get("mode")
	if mode == nil || !slices.Contains([]string{"chat", "responses", liteLLMEmbedding}, mode.said) {
		in.skip(skipMode)
		return
	}
	vendor, name := liteLLMName(m)
	if vendor == "" {
		in.skip(skipVendor)
		return
	}
	e := Entry{Vendor: vendor, Model: name, From: in.today, ContextTokens: liteLLMWindow(m.value), Embeddings: mode.said == liteLLMEmbedding}
	if strings.HasPrefix(name, "ft:") {
		e.Prefixes = []string{name + ":"} // what was made of it
	}
	var why string
	if e.Price, why = in.liteLLMPrice(m, ""); why == "" && m.value.get("input_cost_per_request") != nil {
		why = skipRequest
	}
	if why == "" && !goodName(name) {
		why = skipName
	}
	if why != "" {
		in.skip(why)
		return
	}
	for _, later := range []string{"_flex", "_batches"} { // where both are there, the second
		if batch, why := in.liteLLMPrice(m, later); why == "" && !dearer(batch, e.Price) {
			e.Batch = batch
		}
	}
	in.add(m.key, e, true)
}

// liteLLMName is whose a model is, and what it is called there; empty: nobody's that
// is known.
func liteLLMName(m member) (vendor, name string) {
	provider := m.value.get("litellm_provider")
	if provider == nil {
		return "", ""
	}
	said, _, _ := strings.Cut(provider.said, "-") // vertex_ai-language-models
	if vendor = liteLLMVendors[said]; vendor == "" {
		vendor = said
	}
	if !slices.Contains(Vendors(), vendor) {
		return "", ""
	}
	return vendor, strings.TrimPrefix(m.key, said+"/")
}

// liteLLMWindow is the context window. The file says what a prompt may have, which is
// the same but for OpenAI's models of 400,000 tokens.
func liteLLMWindow(n *node) int {
	tokens := func(name string) int {
		said := n.get(name)
		if said == nil || said.kind != number {
			return 0
		}
		if value, err := readDecimal(said.said); err == nil && value.IsInt() && value.Num().IsInt64() && value.Num().Int64() <= mostContext {
			return int(value.Num().Int64())
		}
		return 0
	}
	in, out := tokens("max_input_tokens"), tokens("max_output_tokens")
	if in == 272_000 && out == 128_000 {
		return in + out
	}
	return in
}

// liteLLMSize finds the size of a prompt in names like
// input_cost_per_token_above_200k_tokens.
var liteLLMSize = regexp.MustCompile(`^(?:input_cost_per_token|output_cost_per_token|cache_read_input_token_cost)_above_(\d{1,6})k_tokens$`)

// liteLLMPrice reads the price of a model, or with "_batches" or "_flex" behind its names
// that of work for later. It says why there is none.
func (in *importer) liteLLMPrice(m member, behind string) (jobs.Price, string) {
	why := ""
	amount := func(name string) jobs.MicroUSD {
		value, reason := in.liteLLMAmount(m, name)
		if why == "" {
			why = reason
		}
		return value
	}
	has := func(name string) bool { return m.value.get(name) != nil }
	if has("tiered_pricing") && !has("input_cost_per_token") {
		return jobs.Price{}, skipTiers
	}
	embeddings := m.value.get("mode").said == liteLLMEmbedding
	if !has("input_cost_per_token"+behind) || !has("output_cost_per_token"+behind) && !embeddings {
		return jobs.Price{}, skipUnpriced
	}
	p := jobs.Price{Input: amount("input_cost_per_token" + behind), CachedInput: amount("cache_read_input_token_cost" + behind), Output: amount("output_cost_per_token" + behind)}
	if reasoning := amount("output_cost_per_reasoning_token" + behind); reasoning != p.Output {
		p.Reasoning = reasoning
	}
	sizes := liteLLMSizes(m.value)
	if len(sizes) > jobs.MaxTiers {
		return p, skipTiers
	}
	for i, size := range sizes {
		above := "_above_" + strconv.Itoa(size) + "k_tokens"
		tier := jobs.Tier{Tokens: size * 1000, Input: p.Input, CachedInput: p.CachedInput, Output: p.Output}
		if i > 0 {
			tier = p.Over[i-1]
			tier.Tokens = size * 1000
		}
		for _, part := range []struct {
			name string
			into *jobs.MicroUSD
		}{{"input_cost_per_token", &tier.Input}, {"cache_read_input_token_cost", &tier.CachedInput}, {"output_cost_per_token", &tier.Output}} {
			if value := cmp.Or(amount(part.name+above+behind), amount(part.name+above)); value > 0 {
				*part.into = value
			}
		}
		p.Over[i] = tier
	}
	if why == "" {
		why = usable(&p, embeddings)
	}
	return p, why
}

// liteLLMAmount reads dollars per token. What is no amount at all breaks the file.
func (in *importer) liteLLMAmount(m member, name string) (jobs.MicroUSD, string) {
	said := m.value.get(name)
	if said == nil {
		return 0, ""
	}
	if _, err := readDecimal(said.said); said.kind != number || err != nil {
		in.fault(said.line, m.key, "%s is no amount: %s", name, clip(said.said))
		return 0, skipUnpriced
	}
	value, err := nearestAmount(said.said, trillion)
	if err != nil {
		return 0, skipRange
	}
	return value, ""
}

func liteLLMSizes(n *node) []int {
	var sizes []int
	for _, m := range n.members {
		parts := liteLLMSize.FindStringSubmatch(m.key)
		if parts == nil || m.value.kind == null {
			continue
		}
		if size, _ := strconv.Atoi(parts[1]); size > 0 && !slices.Contains(sizes, size) {
			sizes = append(sizes, size)
		}
	}
	slices.Sort(sizes)
	return sizes
}
