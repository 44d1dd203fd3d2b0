package jobs

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A set is what was put into it, equal sets are equal, and nothing else is in it.
func TestEndpointSet(t *testing.T) {
	t.Parallel()
	if zero := EndpointSet(0); zero != EndpointSetOf(EndpointChat) || zero.String() != "/v1/chat/completions" {
		t.Errorf("the zero set is %s", zero)
	}
	some := rapid.SliceOf(rapid.SampledFrom(append(Endpoints(), EndpointUnknown)))
	rapid.Check(t, func(t *rapid.T) {
		a, b := some.Draw(t, "a"), some.Draw(t, "b")
		set, other := EndpointSetOf(a...), EndpointSetOf(b...)
		both := set.With(other)
		for _, e := range append(Endpoints(), EndpointUnknown, 200) {
			in := slices.Contains(a, e) && e.Known()
			if set.Has(e) != in || slices.Contains(set.List(), e) != in || (set.Refuses("r", e) == nil) != in {
				t.Fatalf("%s in %v: %v", e, a, set.Has(e))
			}
			if both.Has(e) != (set.Has(e) || other.Has(e)) {
				t.Fatalf("%s in %v and %v", e, a, b)
			}
		}
		if set.Empty() != (len(set.List()) == 0) || EndpointSetOf(set.List()...) != set || both != other.With(set) {
			t.Fatalf("%v is %s", a, set)
		}
	})
}

func TestEndpointNames(t *testing.T) {
	t.Parallel()
	for _, e := range Endpoints() {
		byPath, ok := ParseEndpoint(e.String())
		byName, named := EndpointNamed(e.Name())
		if byPath != e || byName != e || !ok || !named {
			t.Errorf("%s is read as %s and %s", e, byPath, byName)
		}
	}
	for _, none := range []string{"", "chat", "/v1/videos", EndpointUnknown.String()} {
		if e, ok := ParseEndpoint(none); ok || e != EndpointUnknown {
			t.Errorf("%q is %s", none, e)
		}
	}
	if _, ok := EndpointNamed("unknown"); ok || Endpoint(99).String() != EndpointUnknown.String() || EndpointUnknown.Speaks() {
		t.Error("what is unknown is known")
	}
}

// What a route serves is what its targets do; of one from the database, what was said.
func TestRouteServes(t *testing.T) {
	t.Parallel()
	chat, vectors := &Target{}, &Target{Endpoints: EndpointSetOf(EndpointEmbeddings)}
	both := EndpointSetOf(EndpointChat, EndpointEmbeddings)
	for _, c := range []struct {
		route Route
		want  EndpointSet
	}{
		{Route{}, EndpointSetOf(EndpointChat)},
		{Route{Endpoints: both}, both},
		{Route{Chain: []*Target{chat}, Endpoints: both}, EndpointSetOf(EndpointChat)},
		{Route{Chain: []*Target{vectors}}, EndpointSetOf(EndpointEmbeddings)},
		{Route{Chain: []*Target{vectors, chat}}, both},
	} {
		if got := c.route.Serves(); got != c.want {
			t.Errorf("%+v serves %s", c.route, got)
		}
	}
	if err := EndpointSetOf(EndpointEmbeddings).Refuses("vectors", EndpointChat); err == nil || err.Error() != `no target of the route "vectors" serves /v1/chat/completions; it serves /v1/embeddings` {
		t.Error(err)
	}
}

func TestCheckBodyOfEachEndpoint(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		endpoint Endpoint
		body     string
		says     string // empty: it is right
	}{
		{EndpointChat, `{"messages":[{}]}`, ""},
		{EndpointChat, `{"messages":"hi"}`, "body.messages: must be a list"},
		{EndpointChat, `{"messages":[ ]}`, "body.messages: must be a list"},
		{EndpointChat, `{"Messages":[{}]}`, `"Messages" is not the same`},
		{EndpointChat, `{"input":"x"}`, `body.messages: is missing; a body with "input" is for another endpoint`},
		{EndpointChat, `{"messages":[{}],"stream":true}`, "body.stream: "},
		{EndpointEmbeddings, `{"input":"x","model":"m"}`, ""},
		{EndpointEmbeddings, `{"input":["x","y"]}`, ""},
		{EndpointEmbeddings, `{"input":[1,2,3]}`, ""},
		{EndpointEmbeddings, `{"input":[[1],[2]]}`, ""},
		{EndpointEmbeddings, `{"input":""}`, "body.input: must be a text, or a list"},
		{EndpointEmbeddings, `{"input":[]}`, "body.input: "},
		{EndpointEmbeddings, `{"input":{}}`, "body.input: "},
		{EndpointEmbeddings, `{"input":null}`, "body.input: "},
		{EndpointEmbeddings, `{"messages":[{}]}`, "body.input: "},
		{EndpointEmbeddings, `{"Input":"x"}`, `"Input" is not the same`},
		{EndpointEmbeddings, `{"input":"x","stream":true}`, "body.stream: "},
		{EndpointResponses, `{"input":"x"}`, ""},
		{EndpointResponses, `{"input":[{"role":"user","content":"x"}],"stream":false}`, ""},
		{EndpointResponses, `{"prompt":{"id":"p"}}`, ""},
		{EndpointResponses, `{"prompt":{"id":"p"},"input":[]}`, ""},
		{EndpointResponses, `{"previous_response_id":"r"}`, ""},
		{EndpointResponses, `{"conversation":{"id":"c"}}`, ""},
		{EndpointResponses, `{"input":[],"conversation":null}`, "body.input: "},
		{EndpointResponses, `{"input":{"a":1}}`, "body.input: "},
		{EndpointResponses, `{"instructions":"x"}`, "body.input: "},
		{EndpointResponses, `{"input":"x","background":true}`, "body.background: "},
		{EndpointResponses, `{"input":"x","background":false}`, ""},
		{EndpointCompletions, `{"prompt":"x","background":true}`, ""},
		{EndpointCompletions, `{"prompt":["x"]}`, ""},
		{EndpointCompletions, `{"prompt":[1,2]}`, ""},
		{EndpointCompletions, `{"prompt":[]}`, "body.prompt: "},
		{EndpointCompletions, `{"prompt":{"id":"p"}}`, "body.prompt: "},
		{EndpointCompletions, `{"prompt":"x","stream":1}`, "body.stream: "},
		{EndpointCompletions, `[]`, "body: must be a JSON object"},
		{EndpointCompletions, ``, "it must be an object as OpenAI's /v1/completions takes it"},
		{EndpointCompletions, `{`, "body: not JSON at byte"},
		{EndpointUnknown, `{"input":"x"}`, "endpoint: is not one of /v1/chat/completions, "},
	} {
		err := c.endpoint.CheckBody([]byte(c.body))
		if got := fmt.Sprint(err); c.says == "" && err != nil || c.says != "" && !strings.Contains(got, c.says) {
			t.Errorf("%s %s: %s", c.endpoint, c.body, got)
		}
	}
}

// Inputs are counted as they are, whatever is in them.
func TestInputs(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{
		`{"input":"x"}`:                            1,
		`{"input":["a"]}`:                          1,
		`{"input":[ "a,]" , "b\"]" ]}`:             2,
		`{"input":[1,2,3]}`:                        1,
		`{"input":[[1,2],[3] , [4]]}`:              3,
		`{"input":[null,"a",{"text":"]"},[true]]}`: 4,
		`{"input":[]}`:                             0,
		`{"model":"m"}`:                            0,
		`[]`:                                       0,
	} {
		if got := Inputs([]byte(body)); got != want {
			t.Errorf("%s has %d", body, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOf(rapid.String()).Draw(t, "texts")
		if got := Inputs(appendJSON(nil, map[string]any{"a": texts, "input": append([]string{}, texts...), "z": 1})); got != len(texts) {
			t.Fatalf("%d of %d", got, len(texts))
		}
	})
}

// A line asks for what its url says, and nothing else in a file of a batch.
func TestEndpointOfALine(t *testing.T) {
	t.Parallel()
	line := func(url, body string) string {
		return `{"custom_id":"a","method":"POST","url":"` + url + `","body":` + body + `}`
	}
	bodies := map[Endpoint]string{
		EndpointChat: `{"messages":[{}]}`, EndpointEmbeddings: `{"input":"x"}`, EndpointResponses: `{"input":"x"}`, EndpointCompletions: `{"prompt":"x"}`,
	}
	free := LineOptions{DefaultRoute: "labels"}
	for e, body := range bodies {
		got, bad := read(strings.NewReader(line(e.String(), body)), free)
		if len(got) != 1 || got[0].Endpoint != e || string(got[0].Body) != body {
			t.Errorf("%s: %+v, %v", e, got, bad)
		}
		for _, of := range Endpoints() {
			got, bad := read(strings.NewReader(line(e.String(), body)), LineOptions{DefaultRoute: "labels", Whole: true, Endpoint: of})
			if of == e && (len(got) != 1 || got[0].Endpoint != e) || of != e && (len(bad) != 1 || bad[0].Field != "url" || bad[0].Code != CodeBadURL) {
				t.Errorf("%s in a batch of %s: %+v, %v", e, of, got, bad)
			}
		}
		narrow := free
		narrow.Served = func(string) EndpointSet { return EndpointSetOf(EndpointEmbeddings) }
		got, bad = read(strings.NewReader(line(e.String(), body)), narrow)
		if e == EndpointEmbeddings && len(got) != 1 || e != EndpointEmbeddings && (len(bad) != 1 || bad[0].Field != "url" || !strings.Contains(bad[0].Error(), `the route "labels" serves `+e.String())) {
			t.Errorf("%s on a route of embeddings: %+v, %v", e, got, bad)
		}
	}
	for text, says := range map[string]string{
		line("/v1/embeddings", `{"messages":[{}]}`):                            "line 1: body.input: must be",
		line("/v1/videos", `{"input":"x"}`):                                    `line 1: url: "/v1/videos" is not served; there are: /v1/chat/completions, /v1/embeddings, `,
		`{"input":"x","model":"m"}`:                                            `line 1: body: is missing: what has "input" goes inside`,
		`{"body":{"prompt":"x"}}`:                                              `line 1: body.messages: is missing; a body with "prompt"`,
		`{"url":"/v1/embeddings","body":{"input":"x"},"expect":{"regex":"a"}}`: "line 1: expect: an answer of /v1/embeddings has no text",
	} {
		if _, bad := read(strings.NewReader(text), free); len(bad) != 1 || !strings.Contains(bad[0].Error(), says) {
			t.Errorf("%s: %v", text, bad)
		}
	}
}
