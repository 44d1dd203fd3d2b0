// Package provider is the wire: it sends one request to one target over HTTP
// and says what came of it, an answer or a *jobs.Error with a class.
//
// It decides nothing. It makes exactly one HTTP request per call (an LLM call
// costs money, so a retry that nobody sees is a second purchase), follows no
// redirect, and knows neither circuits nor chains: the router acts on the class.
//
//	body ─ encode ─> POST ──┬─ 2xx ── decode ──┬─> *jobs.Answer
//	       (dialect)        │        (dialect) └─┐ not an answer after all
//	                        ├─ else ─ explain ───┴─ classify ─┐
//	                        │        (dialect)     (dialect)  ├─> *jobs.Error
//	                        └─ no HTTP answer: dial, cut, late┘
//
// A dialect is a struct of funcs in the registry, one file each; everything
// that all of them need is done once, outside of them: timeouts, bounds,
// Retry-After, and the cleaning of keys from whatever a provider says.
package provider
