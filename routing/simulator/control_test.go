package simulator_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"tidegate/routing/simulator"
)

func TestControl(t *testing.T) {
	t.Parallel()
	b := start(t, simulator.Config{Remember: true, Providers: []simulator.Provider{{Name: "a", Key: "sk-canary"}, {Name: "b"}}})
	root := "http://" + b.Addr() + "/_simulator"
	type state struct {
		Name    string
		Dialect string
		BaseURL string `json:"base_url"`
		Fault   *struct {
			Mode       string
			Rate       float64
			RetryAfter string `json:"retry_after"`
			For        string
		}
		Until string
		Calls struct {
			Total    int
			Outcomes map[string]int
		}
		Seen struct{ Distinct int }
	}
	read := func(r reply) []state {
		t.Helper()
		var out struct{ Providers []state }
		if err := json.Unmarshal([]byte(r.body), &out); err != nil || r.status != 200 {
			t.Fatalf("%d %s: %v", r.status, r.body, err)
		}
		if strings.Contains(r.body, "canary") {
			t.Errorf("the state shows the key: %s", r.body)
		}
		return out.Providers
	}
	set := read(b.do(http.MethodPut, root+"/providers/b/fault", `{"mode":"503","rate":1,"retry_after":"2s","for":"1h"}`))
	if len(set) != 1 || set[0].Fault == nil || set[0].Fault.Mode != "unavailable" || set[0].Fault.For != "1h0m0s" || set[0].Until == "" {
		t.Errorf("after PUT: %+v", set)
	}
	if got := b.post("b", plainBody); got.status != 503 || got.header.Get("Retry-After") != "2" {
		t.Errorf("b: %+v", got)
	}
	all := read(b.do(http.MethodGet, root, ""))
	if len(all) != 2 || all[0].Fault != nil || all[0].Dialect != "openai" || all[1].BaseURL != b.BaseURL("b") {
		t.Errorf("all: %+v", all)
	}
	if all[1].Calls.Total != 1 || all[1].Calls.Outcomes["unavailable"] != 1 || all[1].Seen.Distinct != 1 {
		t.Errorf("counters: %+v", all[1])
	}
	cleared := read(b.do(http.MethodDelete, root+"/providers/*/fault", ""))
	if len(cleared) != 2 || cleared[1].Fault != nil {
		t.Errorf("after DELETE: %+v", cleared)
	}
	if got := b.post("b", plainBody); got.status != 200 {
		t.Errorf("b after DELETE: %+v", got)
	}
}

func TestControlSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{})
	root := "http://" + b.Addr()
	for _, test := range []struct {
		method, path, body string
		status             int
		says               []string
	}{
		{"PUT", "/_simulator/providers/a/fault", `{"mode":"broken"}`, 400, []string{"mode:", "broken", "unavailable"}},
		{"PUT", "/_simulator/providers/a/fault", `{}`, 400, []string{"mode: is missing", "DELETE"}},
		{"PUT", "/_simulator/providers/a/fault", `{"mode":"hang","for":"ages"}`, 400, []string{"for:", "ages", "30s"}},
		{"PUT", "/_simulator/providers/a/fault", `{"mode":"hang","rate":7}`, 400, []string{"rate:", "7"}},
		{"PUT", "/_simulator/providers/a/fault", `{"mood":"hang"}`, 400, []string{"mood", "retry_after"}},
		{"PUT", "/_simulator/providers/z/fault", `{"mode":"hang"}`, 404, []string{`"z"`, "use one of a"}},
		{"PATCH", "/_simulator/providers/a/fault", ``, 405, []string{"method:", "PUT"}},
		{"POST", "/_simulator", ``, 405, []string{"GET"}},
		{"GET", "/_simulator/nowhere", ``, 404, []string{"path:", "/_simulator/providers/{name}"}},
		{"POST", "/z/v1/chat/completions", `{}`, 404, []string{`"z"`, "use one of a"}},
	} {
		got := b.do(test.method, root+test.path, test.body)
		var out struct{ Error struct{ Message string } }
		if err := json.Unmarshal([]byte(got.body), &out); err != nil || got.status != test.status {
			t.Errorf("%s %s: %d %s", test.method, test.path, got.status, got.body)
		}
		for _, says := range test.says {
			if !strings.Contains(out.Error.Message, says) {
				t.Errorf("%s %s %s: %q does not say %q", test.method, test.path, test.body, out.Error.Message, says)
			}
		}
	}
	if calls := b.Calls("a"); calls.Total != 0 {
		t.Errorf("commands were counted as calls: %+v", calls)
	}
}
