package jobs

import (
	"fmt"
	"strings"
)

// An Endpoint is the operation of the OpenAI API that a request asks for. The zero
// value is chat completions.
type Endpoint uint8

// The endpoints.
const (
	EndpointChat        Endpoint = iota // /v1/chat/completions
	EndpointEmbeddings                  // /v1/embeddings
	EndpointResponses                   // /v1/responses
	EndpointCompletions                 // /v1/completions, of plain text
	// EndpointUnknown is one that a later version has accepted: no target serves it.
	EndpointUnknown
)

// CodeNotServed is the code of a refusal that says of an endpoint, and of nothing else,
// that it is not there.
const CodeNotServed = "endpoint_not_served"

// endpoints are how the API and the configuration name them.
var endpoints = [EndpointUnknown + 1]struct{ path, name string }{
	{"/v1/chat/completions", "chat"},
	{"/v1/embeddings", "embeddings"},
	{"/v1/responses", "responses"},
	{"/v1/completions", "completions"},
	{"an endpoint that this version does not know", "unknown"},
}

// Endpoints lists every endpoint, chat completions first.
func Endpoints() []Endpoint {
	return []Endpoint{EndpointChat, EndpointEmbeddings, EndpointResponses, EndpointCompletions}
}

// EndpointPaths lists the paths of all endpoints, as in "/v1/embeddings".
func EndpointPaths() []string {
	paths := make([]string, 0, EndpointUnknown)
	for _, e := range Endpoints() {
		paths = append(paths, e.String())
	}
	return paths
}

// ParseEndpoint finds the endpoint with a path, as in "/v1/embeddings". One that is
// not known is EndpointUnknown, and not ok.
func ParseEndpoint(path string) (e Endpoint, ok bool) {
	for _, e := range Endpoints() {
		if e.String() == path {
			return e, true
		}
	}
	return EndpointUnknown, false
}

// EndpointNamed finds the endpoint with a short name, as in "embeddings".
func EndpointNamed(name string) (e Endpoint, ok bool) {
	for _, e := range Endpoints() {
		if e.Name() == name {
			return e, true
		}
	}
	return EndpointUnknown, false
}

// String is its path, as in "/v1/embeddings".
func (e Endpoint) String() string { return endpoints[min(e, EndpointUnknown)].path }

// Name is how a configuration calls it, as in "embeddings".
func (e Endpoint) Name() string { return endpoints[min(e, EndpointUnknown)].name }

// Operation is how OpenTelemetry's conventions for GenAI call it (gen_ai.operation.name).
func (e Endpoint) Operation() string {
	switch e {
	case EndpointEmbeddings:
		return "embeddings"
	case EndpointCompletions:
		return "text_completion"
	default:
		return "chat"
	}
}

// Known tells whether it is one of Endpoints.
func (e Endpoint) Known() bool { return e < EndpointUnknown }

// Speaks tells whether its answers have a text that can be judged.
func (e Endpoint) Speaks() bool { return e != EndpointEmbeddings && e.Known() }

// Least is the least that can be asked of it, with a text: a token, or a vector.
func (e Endpoint) Least(text string) []byte {
	said := string(appendJSON(nil, text))
	switch e {
	case EndpointEmbeddings:
		return []byte(`{"input":` + said + `}`)
	case EndpointResponses: // OpenAI takes no less than 16
		return []byte(`{"input":` + said + `,"max_output_tokens":16}`)
	case EndpointCompletions:
		return []byte(`{"prompt":` + said + `,"max_tokens":1}`)
	default:
		return []byte(`{"messages":[{"role":"user","content":` + said + `}],"max_tokens":1}`)
	}
}

// An EndpointSet is some endpoints, as those that a target serves. The zero value is
// chat completions alone. Equal sets are equal values.
type EndpointSet uint8

// noChat is the bit of a set that chat completions are not in; the others have a bit
// each for that they are.
const noChat = 1 << EndpointChat

// EndpointSetOf is the set of these.
func EndpointSetOf(list ...Endpoint) EndpointSet {
	set := EndpointSet(noChat)
	for _, e := range list {
		if e == EndpointChat {
			set &^= noChat
		} else if e.Known() {
			set |= 1 << e
		}
	}
	return set
}

// Has tells whether an endpoint is in the set.
func (s EndpointSet) Has(e Endpoint) bool {
	if e == EndpointChat {
		return s&noChat == 0
	}
	return e.Known() && s&(1<<e) != 0
}

// Empty tells whether there is none in it.
func (s EndpointSet) Empty() bool { return s == noChat }

// List lists what is in the set, chat completions first.
func (s EndpointSet) List() (list []Endpoint) {
	for _, e := range Endpoints() {
		if s.Has(e) {
			list = append(list, e)
		}
	}
	return list
}

// With is the set of what is in either.
func (s EndpointSet) With(other EndpointSet) EndpointSet {
	return (s|other)&^noChat | s&other&noChat
}

// String lists the paths.
func (s EndpointSet) String() string {
	list := s.List()
	if len(list) == 0 {
		return "nothing"
	}
	paths := make([]string, len(list))
	for i, e := range list {
		paths[i] = e.String()
	}
	return strings.Join(paths, ", ")
}

// Refuses says why a request of an endpoint cannot go to a route whose targets serve
// these; nil: it can.
func (s EndpointSet) Refuses(route string, e Endpoint) error {
	if s.Has(e) {
		return nil
	}
	return fmt.Errorf("no target of the route %q serves %s; it serves %s", route, e, s)
}

// Serves is what some target of its chain serves.
func (r *Route) Serves() EndpointSet {
	served := EndpointSetOf()
	for _, target := range r.Chain {
		served = served.With(target.Endpoints)
	}
	if len(r.Chain) == 0 {
		return r.Endpoints
	}
	return served
}
