package app

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"tidegate/cmd/app/config"
	"tidegate/jobs"
	"tidegate/jobs/batchapi"
)

// An openAPI is the document, as far as routes have something to do with it.
type openAPI struct {
	Paths map[string]map[string]struct {
		OperationID string                `json:"operationId"`
		Security    []map[string][]string `json:"security"`
		Parameters  []struct {
			Ref, Name, In string
		}
	}
	Components struct {
		Parameters map[string]struct{ Name, In string }
	}
}

// wholeFront is all that is served, on a database that nobody asks.
func wholeFront(t *testing.T) *batchapi.Server {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), "postgres://nobody@127.0.0.1:1/none")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	server, err := newFront(pool, newEvents(nil, ""), nil, newMetrics(pool), func() *config.Config { return &config.Config{} }, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func documentOf(t *testing.T, server http.Handler) (doc openAPI, text string) {
	t.Helper()
	w := httptest.NewRecorder()
	server.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/openapi.json", nil))
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	text = w.Body.String()
	decoder := json.NewDecoder(strings.NewReader(strings.ReplaceAll(text, `"$ref"`, `"Ref"`)))
	if err := decoder.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	return doc, text
}

// operations are what a document has: by pattern, the scope and the names in the path.
func (d *openAPI) operations() map[string]string {
	all := map[string]string{}
	for path, methods := range d.Paths {
		for method, op := range methods {
			var scopes, names []string
			for _, need := range op.Security {
				scopes = append(scopes, need["apiKey"]...)
			}
			for _, p := range op.Parameters {
				if of, found := d.Components.Parameters[strings.TrimPrefix(p.Ref, "#/components/parameters/")]; found {
					p.Name, p.In = of.Name, of.In
				}
				if p.In == "path" {
					names = append(names, p.Name)
				}
			}
			all[strings.ToUpper(method)+" "+path] = fmt.Sprint(scopes, names)
		}
	}
	return all
}

var inPath = regexp.MustCompile(`\{([a-z]+)(\.\.\.)?\}`)

// served are the same of what is served.
func served(scopes map[string]jobs.KeyScope) map[string]string {
	all := map[string]string{}
	for pattern, scope := range scopes {
		var names, needs []string
		for _, match := range inPath.FindAllStringSubmatch(pattern, -1) {
			names = append(names, match[1])
		}
		if scope != "" {
			needs = append(needs, string(scope))
		}
		all[strings.ReplaceAll(pattern, "...", "")] = fmt.Sprint(needs, names)
	}
	return all
}

// TestDocumentHasEveryRoute: no route without an operation, no operation without a
// route, and both say the same of scopes and of what stands in the path.
func TestDocumentHasEveryRoute(t *testing.T) {
	t.Parallel()
	server := wholeFront(t)
	doc, text := documentOf(t, server)
	if diff := cmp.Diff(served(server.Scopes()), doc.operations()); diff != "" {
		t.Errorf("served (-) and in jobs/batchapi/openapi.json (+):\n%s", diff)
	}
	ids := map[string]bool{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			if op.OperationID == "" || ids[op.OperationID] {
				t.Errorf("%s %s: the operationId %q is none, or another's", method, path, op.OperationID)
			}
			ids[op.OperationID] = true
		}
	}
	var all struct{ Components map[string]map[string]any }
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, match := range regexp.MustCompile(`"\$ref": ?"#/components/([a-zA-Z]+/[a-zA-Z]+)"`).FindAllStringSubmatch(text, -1) {
		used[match[1]] = true
	}
	there := map[string]bool{"schemas/Event": true} // of the stream, which is no JSON
	for kind, parts := range all.Components {
		if kind == "securitySchemes" {
			continue
		}
		for name := range parts {
			there[kind+"/"+name] = true
		}
	}
	used["schemas/Event"] = true
	if diff := cmp.Diff(slices.Sorted(maps.Keys(there)), slices.Sorted(maps.Keys(used))); diff != "" {
		t.Errorf("components that are there (-) and referred to (+):\n%s", diff)
	}
}

// A route that is missing in the document, or has another scope there, is found.
func TestDocumentThatLacksSomething(t *testing.T) {
	t.Parallel()
	server := wholeFront(t)
	doc, _ := documentOf(t, server)
	right := doc.operations()
	scopes := maps.Clone(server.Scopes())
	scopes["GET /v1/other"] = jobs.ScopeRead
	more := served(scopes)
	scopes = maps.Clone(server.Scopes())
	scopes["GET /v1/jobs/{id}"] = jobs.ScopeAdmin
	if cmp.Equal(more, right) || cmp.Equal(served(scopes), right) {
		t.Error("it is not found")
	}
	for pattern := range doc.operations() {
		if _, there := more[pattern]; !there {
			t.Errorf("%s is not served", pattern)
		}
	}
}
