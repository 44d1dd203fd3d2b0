package config

import (
	"strings"
	"testing"
)

func TestWhatMeansNothingIsWarnedOf(t *testing.T) {
	t.Parallel()
	const head = `targets:
  - {name: cheap, provider: a, base_url: "http://127.0.0.1:1/v1", model: m, price: {input: 1, output: 2}}
  - {name: dear, provider: b, base_url: "http://127.0.0.1:2/v1", model: m, price: {input: 3, output: 4}}
routes:
  - {name: r, chain: `
	for rest, want := range map[string]string{
		"[cheap], when_open: wait}\n":                                           "5:31: routes[0].when_open: wait: the chain has one target",
		"[dear, cheap], when_open: price}\n":                                    "5:37: routes[0].when_open: price: nothing is waited for",
		"[dear, cheap], when_open: price, optimization_goal: cost}\n":           "",
		"[cheap, dear], when_open: price}\n":                                    "",
		"[dear, cheap]}\n":                                                      "",
		"[cheap, dear]}\ntenants: [{name: acme, weight: 2}]\n":                  "6:24: tenants[0].weight: is for routes with admission: fair, and there is none",
		"[cheap, dear]}\ntenants: [{name: acme, weight: 1}]\n":                  "",
		"[cheap, dear], admission: fair}\ntenants: [{name: acme, weight: 2}]\n": "",
		"[cheap, dear]}\ntenants: [{name: acme, budget: {per_day: 5}}]\n":       "",
	} {
		_, warnings := parsed(t, head+rest, vars())
		var idle []string
		for _, warning := range warnings {
			if strings.Contains(warning, "when_open") || strings.Contains(warning, "weight") {
				idle = append(idle, warning)
			}
		}
		if got := strings.Join(idle, "\n"); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s: it warns %q, want %q", rest, got, want)
		}
	}
}
