package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"tidegate/integration/fixture"
)

// A contract is a front whose every answer is held to its own document.
type contract struct {
	*front
	doc      map[string]any
	compiler *jsonschema.Compiler
	seen     map[string]map[int]bool // statuses, by operation
}

func newContract(f *front) *contract {
	f.Helper()
	c := &contract{front: f, compiler: jsonschema.NewCompiler(), seen: map[string]map[int]bool{}}
	_, text := f.do(f.Context(), http.MethodGet, "/openapi.json", "", "")
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	check(f.T, err)
	c.doc = doc.(map[string]any)
	c.compiler.DefaultDraft(jsonschema.Draft2020)
	c.compiler.AssertFormat()
	check(f.T, c.compiler.AddResource(documentURL, doc))
	return c
}

const documentURL = "https://tidegate.example/openapi.json"

// at is a part of the document; nil: there is none.
func (c *contract) at(path ...string) any {
	var part any = c.doc
	for _, name := range path {
		within, _ := part.(map[string]any)
		part = within[name]
		next, _ := part.(map[string]any)
		if ref, ok := next["$ref"].(string); ok {
			part = c.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		}
	}
	return part
}

// pointer names a part of the document that is not behind a reference.
func pointer(path ...string) string {
	path = slices.Clone(path)
	for i := range path {
		path[i] = url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(path[i]))
	}
	return documentURL + "#/" + strings.Join(path, "/")
}

// valid says why a text is not what a schema wants; nil: it is.
func (c *contract) valid(text string, schema ...string) error {
	c.Helper()
	compiled, err := c.compiler.Compile(pointer(schema...))
	if err != nil {
		c.Fatalf("the document: %v", err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return compiled.Validate(value)
}

// operation finds the path of the document that a call is for.
func (c *contract) operation(method, path string) string {
	c.Helper()
	path, _, _ = strings.Cut(path, "?")
	paths := c.doc["paths"].(map[string]any)
	for _, exact := range []bool{true, false} {
		for _, template := range slices.Sorted(maps.Keys(paths)) {
			_, has := paths[template].(map[string]any)[strings.ToLower(method)]
			if has && (template == path || !exact && matches(template, path)) {
				return template
			}
		}
	}
	c.Fatalf("%s %s is not in the document", method, path)
	return ""
}

func matches(template, path string) bool {
	if prefix, found := strings.CutSuffix(template, "{model}"); found {
		return strings.HasPrefix(path, prefix) && len(path) > len(prefix)
	}
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	return len(want) == len(got) && !slices.ContainsFunc(want, func(part string) bool {
		i := slices.Index(want, part)
		return part != got[i] && !strings.HasPrefix(part, "{")
	})
}

// call makes a call, whose path begins behind the server's address, and holds the
// answer to the document.
func (c *contract) call(method, path, kind, body string, headers ...string) (reply, string) {
	c.Helper()
	root := &front{stage: c.stage, base: strings.TrimSuffix(c.base, "/v1")}
	got, text := root.do(c.Context(), method, path, kind, body, headers...)
	c.hold(method, path, got, text)
	return got, text
}

func (c *contract) hold(method, path string, got reply, text string) {
	c.Helper()
	template := c.operation(method, path)
	op, status := method+" "+template, fmt.Sprint(got.status)
	if c.seen[op] == nil {
		c.seen[op] = map[int]bool{}
	}
	c.seen[op][got.status] = true
	responses := []string{"paths", template, strings.ToLower(method), "responses"}
	said, _ := c.at(append(responses, status)...).(map[string]any)
	where := append(responses, status)
	if said == nil {
		if said, _ = c.at(append(responses, "default")...).(map[string]any); said == nil || got.status < 400 {
			c.Errorf("%s %s: the document has no answer with %d: %s", method, path, got.status, text)
			return
		}
		where = []string{"components", "responses", "Error"}
	}
	contents, _ := said["content"].(map[string]any)
	kind, _, _ := mime.ParseMediaType(got.header.Get("Content-Type"))
	if _, ok := contents[kind]; !ok && len(contents)+len(text) > 0 {
		c.Errorf("%s %s: %d as %q, and the document has %v", method, path, got.status, kind, slices.Collect(maps.Keys(contents)))
		return
	}
	if kind == "application/json" {
		if err := c.valid(text, append(slices.Clone(where), "content", kind, "schema")...); err != nil {
			c.Errorf("%s %s: %d %s\nis not what the document says: %v", method, path, got.status, text, err)
		}
	}
	if got.header.Get("X-Request-Id") == "" {
		c.Errorf("%s %s: no X-Request-Id", method, path)
	}
}

// whole checks that each operation of the document was called, with what it is for and,
// where it has errors, with one.
func (c *contract) whole() {
	c.Helper()
	for path, methods := range c.doc["paths"].(map[string]any) {
		for method, op := range methods.(map[string]any) {
			well, badly := false, false
			for status := range c.seen[strings.ToUpper(method)+" "+path] {
				well, badly = well || status < 300, badly || status >= 400
			}
			_, fails := op.(map[string]any)["responses"].(map[string]any)["default"]
			if !well || fails && !badly && path != "/readyz" {
				c.Errorf("%s %s was called with %v", method, path, c.seen[strings.ToUpper(method)+" "+path])
			}
		}
	}
}

// streamed reads n events, and holds each to the document.
func (c *contract) streamed(query string, n int, headers ...string) {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), soon)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/events"+query, nil)
	check(c.T, err)
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	check(c.T, err)
	defer response.Body.Close()
	c.hold(http.MethodGet, "/v1/events", reply{response.StatusCode, -1, response.Header}, "…")
	kind := ""
	for lines := bufio.NewScanner(response.Body); n > 0 && lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "event":
			kind = strings.ToUpper(value[:1]) + value[1:] + "Event"
		case "data":
			n--
			for _, schema := range []string{kind, "Event"} {
				if err := c.valid(value, "components", "schemas", schema); err != nil {
					c.Errorf("the event %s\nis no %s: %v", value, schema, err)
				}
			}
		}
	}
	if n > 0 {
		c.Errorf("%d events did not come", n)
	}
}

// idOf makes a call that has to go well, and takes the id out of its answer.
func (c *contract) idOf(method, path, kind, body string, headers ...string) string {
	c.Helper()
	got, text := c.call(method, path, kind, body, headers...)
	var made struct{ ID string }
	if err := json.Unmarshal([]byte(text), &made); err != nil || got.status >= 300 || made.ID == "" {
		c.Fatalf("%s %s: %d %s", method, path, got.status, text)
	}
	return made.ID
}

// until calls until the answer says something.
func (c *contract) until(path, says string) {
	c.Helper()
	fixture.Await(c.T, soon, path+" says "+says, func() bool {
		_, text := c.call(http.MethodGet, path, "", "")
		return strings.Contains(text, says)
	})
}
