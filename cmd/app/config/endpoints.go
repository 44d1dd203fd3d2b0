package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"tidegate/jobs"
	"tidegate/routing/provider"
)

// endpointNames are what a target may say that it serves.
func endpointNames() []string {
	var names []string
	for _, e := range jobs.Endpoints() {
		names = append(names, e.Name())
	}
	return names
}

// usualEndpoints are what a target serves that does not say: vectors where its model is
// called an embedding one, responses beside chats where the vendor is their inventor.
func (t *Target) usualEndpoints() []string {
	openAILike := provider.Serves(t.build()).Has(jobs.EndpointEmbeddings)
	base, err := url.Parse(t.BaseURL)
	switch {
	case openAILike && strings.Contains(strings.ToLower(t.Model), "embed"):
		return []string{jobs.EndpointEmbeddings.Name()}
	case openAILike && err == nil && base.Hostname() == "api.openai.com" && t.Path == "":
		return []string{jobs.EndpointChat.Name(), jobs.EndpointResponses.Name()}
	default:
		return []string{jobs.EndpointChat.Name()}
	}
}

// embedsOnly tells whether a checked target serves embeddings and nothing else: there is
// no output then that could have a price.
func (t *Target) embedsOnly() bool {
	return len(t.Endpoints) == 1 && t.Endpoints[0] == jobs.EndpointEmbeddings.Name()
}

// checkEndpoints notes what is wrong with what a target says that it serves, and fills
// it in where it says nothing.
func (r *reader) checkEndpoints(t *Target, at string) {
	field := at + ".endpoints"
	if r.broken[field] || r.broken[at+".dialect"] {
		return
	}
	if len(t.Endpoints) == 0 {
		if r.given(field) {
			r.problem(field, "is empty: leave it out for %s", strings.Join(t.usualEndpoints(), " and "))
		}
		t.Endpoints = t.usualEndpoints()
		return
	}
	served, names := provider.Serves(t.build()), []string{}
	for _, e := range served.List() {
		names = append(names, e.Name())
	}
	for i, name := range t.Endpoints {
		item := fmt.Sprintf("%s[%d]", field, i)
		switch e, known := jobs.EndpointNamed(name); {
		case !known:
			r.problem(item, "unknown endpoint %s; %s", r.shown(item, name), jobs.DidYouMean(name, endpointNames()))
		case slices.Contains(t.Endpoints[:i], name):
			r.problem(item, "%s stands here already; name each once", name)
		case !served.Has(e) && t.Dialect == "azure":
			r.problem(item, "azure serves %s at a base_url that ends in /openai/v1, as in https://NAME.openai.azure.com/openai/v1", e)
		case !served.Has(e):
			r.problem(item, "the dialect %s does not serve %s; it serves %s", r.shown(at+".dialect", t.Dialect), e, strings.Join(names, ", "))
		}
	}
	if t.Path != "" && len(t.Endpoints) > 1 {
		r.problem(field, "has %d, and path is that of one: make a target of each, or leave path out", len(t.Endpoints))
	}
}

// endpoints are those of a checked target.
func (t *Target) endpoints() jobs.EndpointSet {
	list := make([]jobs.Endpoint, len(t.Endpoints))
	for i, name := range t.Endpoints {
		list[i], _ = jobs.EndpointNamed(name)
	}
	if len(list) == 0 {
		return 0
	}
	return jobs.EndpointSetOf(list...)
}
