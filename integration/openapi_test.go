package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tidegate/cmd/app"
	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing/simulator"
)

const jsonType = "application/json"

// uploaded is the body of an upload, with its kind.
func uploaded(lines string) (kind, body string) {
	return "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\r\n" + lines + "\r\n--b--\r\n"
}

func orderOf(file string) string {
	return fmt.Sprintf(`{"input_file_id":%q,"endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"a":"b"}}`, file)
}

// TestAnswersAreAsDocumented: each operation is called, as it is meant and as it is
// not, and every answer is what the document says: statuses, kinds, and all fields.
func TestAnswersAreAsDocumented(t *testing.T) {
	t.Parallel()
	st := newStage(t, staging{config: func(c *config.Config) { c.Routes[0].Models, c.Webhooks.AllowPrivate = []string{"vendor/small"}, true }})
	st.work(func(c *app.StackConfig) { c.Webhooks.AllowPrivate = true })
	c := newContract(&front{stage: st, base: st.serveHTTP()})
	c.webhooks()
	c.filesAndBatches()
	c.call(http.MethodPost, "/v1/chat/completions", jsonType, string(body(7)))
	c.call(http.MethodPost, "/v1/chat/completions", jsonType, `{"stream":true,"messages":[{"role":"user","content":"x. y."}]}`)
	c.call(http.MethodPost, "/v1/chat/completions", jsonType, string(body(8)), "Tidegate-Timeout", "x")
	c.singleJobs()
	for _, path := range []string{"/healthz", "/readyz", "/v1/status", "/metrics", "/v1/openapi.json", "/v1/models", "/v1/models/vendor/small", "/v1/models/none"} {
		c.call(http.MethodGet, path, "", "")
	}
	c.down("*", simulator.Fault{Mode: simulator.Unavailable})
	c.call(http.MethodPost, "/v1/chat/completions", jsonType, string(body(9)))
	c.call(http.MethodGet, "/v1/status", "", "")
	keyless, _, err := c.store.CreateKey(t.Context(), jobs.Key{Tenant: "default", Scopes: jobs.KeyScopes()})
	check(t, err)
	fixture.Await(t, soon, "a key is asked for", func() bool {
		got, _ := c.call(http.MethodGet, "/v1/status", "", "")
		return got.status == http.StatusUnauthorized
	})
	c.call(http.MethodGet, "/v1/webhook_event_types", "", "")
	c.call(http.MethodGet, "/metrics", "", "")
	check(t, c.store.RevokeKey(t.Context(), keyless.ID))
	c.call(http.MethodGet, "/v1/models", "", "")
	c.whole()
}

func (c *contract) filesAndBatches() {
	c.Helper()
	kind, body := uploaded(batchLines(3))
	file := c.idOf(http.MethodPost, "/v1/files", kind, body)
	c.call(http.MethodPost, "/v1/files", kind, "x")
	for _, path := range []string{"/v1/files", "/v1/files?limit=1&order=asc&purpose=batch", "/v1/files?limit=0", "/v1/files/" + file, "/v1/files/none", "/v1/files/none/content"} {
		c.call(http.MethodGet, path, "", "")
	}
	for _, headers := range [][]string{nil, {"Range", "bytes=0-5"}, {"Range", "bytes=99999-"}, {"If-None-Match", `"` + file + `"`}} {
		c.call(http.MethodGet, "/v1/files/"+file+"/content", "", "", headers...)
	}
	batch := c.idOf(http.MethodPost, "/v1/batches", jsonType, orderOf(file), "Idempotency-Key", "k")
	c.call(http.MethodPost, "/v1/batches", jsonType, orderOf(file)+" ", "Idempotency-Key", "k")
	c.call(http.MethodPost, "/v1/batches", jsonType, `{}`)
	c.until("/v1/batches/"+batch, `"status":"completed"`)
	c.call(http.MethodPost, "/v1/batches/"+batch+"/retry", jsonType, `{}`)
	c.call(http.MethodPost, "/v1/batches/"+batch+"/cancel", "", "")
	kind, body = uploaded("{\n")
	failed := c.idOf(http.MethodPost, "/v1/batches", jsonType, orderOf(c.idOf(http.MethodPost, "/v1/files", kind, body)))
	c.until("/v1/batches/"+failed, `"status":"failed"`)
	c.down("*", simulator.Fault{Mode: simulator.BadRequest})
	refused := c.idOf(http.MethodPost, "/v1/batches", jsonType, orderOf(file))
	c.until("/v1/batches/"+refused, `"status":"completed"`)
	c.back()
	retried := c.idOf(http.MethodPost, "/v1/batches/"+refused+"/retry", "", "")
	c.until("/v1/batches/"+retried, `"status":"completed"`)
	for _, path := range []string{"/v1/batches", "/v1/batches?limit=1", "/v1/batches?order=up", "/v1/batches/none", "/v1/batches/" + retried} {
		c.call(http.MethodGet, path, "", "")
	}
	c.down("*", simulator.Fault{Mode: simulator.Unavailable})
	waits := c.idOf(http.MethodPost, "/v1/batches", jsonType, orderOf(file))
	c.call(http.MethodPost, "/v1/batches/"+waits+"/cancel", "", "")
	c.until("/v1/batches/"+waits, `"status":"cancelled"`)
	c.back()
	c.call(http.MethodDelete, "/v1/files/"+file, "", "")
	c.call(http.MethodDelete, "/v1/files/"+file, "", "")
}

func (c *contract) webhooks() {
	c.Helper()
	at := serve(c.T, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	hook := c.idOf(http.MethodPost, "/v1/webhook_endpoints", jsonType, `{"name":"x","url":"`+at+`","event_types":["batch.completed"]}`)
	of := "/v1/webhook_endpoints/" + hook
	c.idOf(http.MethodPost, of, jsonType, `{"name":"y"}`)
	c.idOf(http.MethodPost, of+"/rotate_secret", jsonType, `{"keep_old_secret_active_for_24_hours":true}`)
	c.call(http.MethodPost, of+"/test", jsonType, `{"event_type":"batch.completed"}`)
	for _, path := range []string{"", "/rotate_secret", "/test"} {
		c.call(http.MethodPost, of+path, jsonType, `{"unknown":1}`)
	}
	c.call(http.MethodPost, "/v1/webhook_endpoints", jsonType, `{}`)
	for _, path := range []string{"/v1/webhook_endpoints", "/v1/webhook_endpoints?limit=0", of, of + "0", "/v1/webhook_event_types"} {
		c.call(http.MethodGet, path, "", "")
	}
	c.call(http.MethodDelete, of, "", "")
	c.call(http.MethodDelete, of, "", "")
}

func (c *contract) singleJobs() {
	c.Helper()
	answered := c.idOf(http.MethodPost, "/v1/jobs", jsonType, `{"custom_id":"a","goal":"ordered","deadline":"2h","max_cost_usd":0.5,"priority":1,"metadata":{"k":"v"},"expect":{"regex":"e"},"body":`+string(body(1))+`}`)
	c.until("/v1/jobs/"+answered, `"status":"answered"`)
	for url, asks := range map[string]string{"embeddings": `{"input":["a","b"]}`, "responses": `{"input":"x"}`, "completions": `{"prompt":"x"}`} {
		id := c.idOf(http.MethodPost, "/v1/jobs", jsonType, `{"url":"/v1/`+url+`","body":`+asks+`}`)
		c.until("/v1/jobs/"+id, `"status":"answered"`)
	}
	c.call(http.MethodPost, "/v1/jobs", jsonType, `{"priority":9}`)
	c.call(http.MethodDelete, "/v1/jobs/"+answered, "", "")
	many := c.idOf(http.MethodPost, "/v1/jobs:batch", jsonType, `{"jobs":[`+string(body(2))+`],"batch":{"budget_usd":1}}`)
	c.idOf(http.MethodPost, "/v1/jobs:batch?route=summaries", "application/x-ndjson", string(body(3))+"\n")
	c.call(http.MethodPost, "/v1/jobs:batch", "text/plain", "x")
	c.call(http.MethodPost, "/v1/jobs:batch", "application/jsonl", "x")
	c.until("/v1/batches/"+many, `"status":"completed"`)
	c.down("*", simulator.Fault{Mode: simulator.BadRequest})
	refused := c.idOf(http.MethodPost, "/v1/jobs", jsonType, string(body(4)))
	c.until("/v1/jobs/"+refused, `"status":"refused"`)
	c.down("*", simulator.Fault{Mode: simulator.Unavailable})
	waits := c.idOf(http.MethodPost, "/v1/jobs", jsonType, `{"body":`+string(body(5))+`}`)
	c.call(http.MethodGet, "/v1/jobs/"+waits, "", "")
	c.call(http.MethodDelete, "/v1/jobs/"+waits, "", "")
	c.call(http.MethodDelete, "/v1/jobs/none", "", "")
	c.back()
	for _, query := range []string{"", "?limit=2&order=asc", "?status=answered&include=response", "?batch=" + many, "?batch=none", "?status=x"} {
		c.call(http.MethodGet, "/v1/jobs"+query, "", "")
	}
	c.call(http.MethodGet, "/v1/jobs/none", "", "")
	_, err := c.Pool.Exec(c.Context(), "INSERT INTO tidegate.circuits (target, state, generation, since) VALUES ('other', 'open', 1, now())")
	check(c.T, err)
	c.must("pause", summaries, "--reason", "for a test")
	c.must("resume", summaries)
	c.must("budgets", "set", "--route", summaries, "--total", "0.000001")
	_, err = c.Pool.Exec(c.Context(), "UPDATE tidegate.budgets SET out_since = now() WHERE scope = 'route'")
	check(c.T, err)
	c.call(http.MethodGet, "/v1/events?type=x", "", "")
	c.streamed("?since=1h", 15)
	for kind, n := range map[string]int{"result": 11, "batch": 5, "circuit": 1, "route": 2, "budget": 1} {
		c.streamed("?since=1h&type="+kind, n)
	}
	c.streamed("", 1, "Last-Event-ID", "99999999")
}

// TestBodiesAreAsDocumented: a body is taken if the document allows it, and refused if
// it does not. What only a database knows, as that a route is not there, is no part of it.
func TestBodiesAreAsDocumented(t *testing.T) {
	t.Parallel()
	c := newContract(newFront(t, staging{config: expecting}))
	c.down("*", simulator.Fault{Mode: simulator.Unavailable})
	kind, lines := uploaded(batchLines(1))
	file := c.idOf(http.MethodPost, "/v1/files", kind, lines)
	kind, lines = uploaded("{\n")
	failed := c.idOf(http.MethodPost, "/v1/batches", jsonType, orderOf(c.idOf(http.MethodPost, "/v1/files", kind, lines)))
	c.until("/v1/batches/"+failed, `"status":"failed"`)
	good := string(body(1))
	order := func(more string) string {
		return `{"input_file_id":"` + file + `","endpoint":"/v1/chat/completions","completion_window":"24h"` + more + `}`
	}
	fields := []string{
		`"custom_id":"a"`, `"custom_id":null`, `"custom_id":7`, `"custom_id":"` + strings.Repeat("x", 513) + `"`, `"method":"POST"`, `"method":"GET"`, `"method":null`, `"url":"/v1/chat/completions"`, `"url":"/v2"`, `"url":null`,
		`"route":"summaries"`, `"route":null`, `"route":"No"`, `"route":7`, `"route":[]`, `"goal":"cost"`, `"goal":null`, `"goal":7`, `"optimization_goal":"speed"`, `"goal":"cost","optimization_goal":"cost"`, `"goal":null,"optimization_goal":"cost"`,
		`"deadline":"2h"`, `"deadline":null`, `"deadline":7200`, `"max_cost_usd":0.01`, `"max_cost_usd":null`, `"max_cost_usd":0`, `"max_cost_usd":-1`, `"max_cost_usd":1000001`, `"max_cost_usd":"1"`,
		`"priority":1`, `"priority":4`, `"priority":0`, `"priority":5`, `"priority":1.5`, `"priority":"1"`, `"priority":null`,
		`"metadata":{}`, `"metadata":{"a":"b"}`, `"metadata":null`, `"metadata":{"a":1}`, `"metadata":[]`, `"metadata":{"":"x"}`, `"metadata":{"a":"` + strings.Repeat("x", 513) + `"}`, `"metadata":{` + manyPairs(16) + `}`, `"metadata":{` + manyPairs(17) + `}`,
		`"tenant":"default"`, `"tenant":null`, `"tenant":7`, `"subject":"x"`, `"tags":[]`, `"batch_id":"x"`, `"Route":"summaries"`,
		`"expect":null`, `"expect":{}`, `"expect":{"regex":"x"}`, `"expect":{"json_schema":true}`, `"expect":{"json_schema":{}}`, `"expect":{"json_schema":7}`, `"expect":{"json_schema":true,"fenced":true}`, `"expect":{"tries":1}`, `"expect":{"tries":0}`, `"expect":{"tries":11}`,
		`"expect":{"otherwise":"keep"}`, `"expect":{"otherwise":"x"}`, `"expect":{"finish_reasons":["stop"]}`, `"expect":{"finish_reasons":["STOP"]}`, `"expect":{"min_tokens":-1}`, `"expect":{"min_characters":2,"max_characters":4}`,
		`"expect":{"unknown":1}`, `"expect":[]`, `"expect":{"same_model_family":true}`, `"expect":{"response_format":true}`,
	}
	single := []string{
		good, `{}`, `[]`, `7`, `null`, `"x"`, `{"body":` + good + `}`, `{"body":null}`, `{"body":[]}`, `{"body":{}}`, `{"body":{"messages":[]}}`, `{"body":{"messages":{}}}`, `{"body":{"messages":[{}]}}`,
		`{"body":{"messages":[{}],"stream":false}}`, `{"body":{"messages":[{}],"stream":null}}`, `{"body":{"messages":[{}],"stream":true}}`, `{"body":{"messages":[{}],"model":7}}`, `{"body":{"messages":[{}],"model":null}}`, `{"body":{"messages":[{}],"unknown":{"x":[1]}}}`,
		`{"messages":[{}],"body":{"messages":[{}]}}`, `{"messages":[{}],"priority":1}`, `{"messages":[{}],"metadata":{"a":7}}`, `{"messages":[{}],"temperature":2}`,
	}
	for _, url := range []string{`"/v1/chat/completions"`, `"/v1/embeddings"`, `"/v1/responses"`, `"/v1/completions"`, `null`, `""`} {
		for _, asks := range []string{
			`"messages":[{}]`, `"messages":[]`, `"messages":"x"`, `"input":"x"`, `"input":""`, `"input":["x"]`, `"input":[]`, `"input":{}`, `"input":7`, `"prompt":"x"`, `"prompt":["x"]`, `"prompt":[]`, `"prompt":{}`, `"prompt":null`,
			`"previous_response_id":"x"`, `"previous_response_id":""`, `"conversation":{}`, `"conversation":null`, `"input":"x","background":true`, `"input":"x","background":false`, `"input":"x","background":"x"`, `"input":"x","stream":true`, `"prompt":"x","input":7`,
		} {
			single = append(single, `{"url":`+url+`,"body":{`+asks+`}}`)
		}
		single = append(single, `{"url":`+url+`,"expect":{"regex":"x"},"body":{"input":"x","prompt":"x","messages":[{}]}}`, `{"url":`+url+`,"expect":null,"body":{"input":"x","prompt":"x","messages":[{}]}}`)
	}
	var many []string
	for _, field := range fields {
		single = append(single, `{`+field+`,"body":`+good+`}`)
		many = append(many, `{"jobs":[{`+field+`,"body":`+good+`}]}`, `{"jobs":[`+good+`],"batch":{`+field+`}}`)
	}
	many = append(many, `{}`, `[]`, `{"jobs":null}`, `{"jobs":[]}`, `{"jobs":{}}`, `{"jobs":[7]}`, `{"jobs":[`+good+`,{}]}`, `{"jobs":[`+good+`],"x":1}`, `{"jobs":[`+good+`],"batch":{}}`, `{"jobs":[`+good+`],"batch":[]}`,
		`{"jobs":[`+good+`],"batch":{"budget_usd":1}}`, `{"jobs":[`+good+`],"batch":{"budget_usd":0}}`, `{"jobs":[`+good+`],"batch":{"budget_usd":"1"}}`)
	orders := []string{
		`{}`, `[]`, `null`, order(``), order(`,"metadata":null`), order(`,"metadata":{"a":"b"}`), order(`,"metadata":{"a":7}`), order(`,"metadata":{"tidegate.route":"summaries","tidegate.max_cost_usd":"2.5"}`), order(`,"metadata":{"tidegate.other":"x"}`),
		order(`,"metadata":{` + manyPairs(17) + `}`), order(`,"unknown":1`), order(`,"output_expires_after":null`), order(`,"output_expires_after":{"anchor":"created_at","seconds":3600}`), order(`,"output_expires_after":{"anchor":"x","seconds":3600}`),
		order(`,"output_expires_after":{"anchor":"created_at","seconds":3599}`), order(`,"output_expires_after":{"anchor":"created_at"}`), order(`,"output_expires_after":{"anchor":"created_at","seconds":"3600"}`),
		strings.Replace(order(``), "24h", "1d12h", 1), strings.Replace(order(``), "24h", "soon", 1), strings.Replace(order(``), `"24h"`, "24", 1), strings.Replace(order(``), `"24h"`, `""`, 1), strings.Replace(order(``), "/v1/chat/completions", "/v1/other", 1), strings.Replace(order(``), "/v1/chat/completions", "/v1/embeddings", 1), strings.Replace(order(``), file, "A B", 1),
	}
	retries := []string{`{}`, `[]`, `{"classes":7}`, `{"classes":[7]}`, `{"unknown":1}`, `{"route":7}`, `{"metadata":{"a":7}}`, `{"metadata":{"tidegate.x":"y"}}`, `{"completion_window":7}`}
	chats := []string{
		good, `{}`, `[]`, `{"messages":[]}`, `{"messages":"x"}`, `{"messages":[{}],"stream":false}`, `{"messages":[{}],"stream":null}`, `{"messages":[{}],"stream":true}`, `{"messages":[{}],"stream":"yes"}`, `{"messages":[{}],"stream":1}`,
		`{"messages":[{}],"stream_options":{"include_usage":true}}`, `{"messages":[{}],"stream_options":{"include_usage":null}}`, `{"messages":[{}],"stream_options":{"include_usage":"x"}}`, `{"messages":[{}],"stream_options":null}`, `{"messages":[{}],"stream_options":7}`, `{"messages":[{}],"temperature":2}`,
	}
	for _, group := range []struct {
		path, template string
		bodies         []string
	}{
		{"/v1/jobs", "/v1/jobs", single},
		{"/v1/jobs:batch", "/v1/jobs:batch", many},
		{"/v1/batches", "/v1/batches", orders},
		{"/v1/batches/" + failed + "/retry", "/v1/batches/{id}/retry", retries},
		{"/v1/chat/completions", "/v1/chat/completions", chats},
	} {
		taken := 0
		for _, text := range group.bodies {
			allowed := c.valid(text, "paths", group.template, "post", "requestBody", "content", jsonType, "schema")
			got, said := c.call(http.MethodPost, group.path, jsonType, text)
			accepted := got.status < 300 || got.status == http.StatusConflict || got.status == http.StatusServiceUnavailable || strings.Contains(said, `"nothing_to_retry"`)
			if accepted != (allowed == nil) {
				t.Errorf("%s takes %.200s with %d %s\nand the document says: %v", group.path, text, got.status, said, allowed)
			}
			if accepted {
				taken++
			}
		}
		if taken == 0 || taken == len(group.bodies) {
			t.Errorf("%s takes %d of %d bodies", group.path, taken, len(group.bodies))
		}
	}
}

func manyPairs(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`"key-%d":"v"`, i)
	}
	return strings.Join(all, ",")
}

// TestScopesAreAsDocumented: an operation lets in who has the scope that the document
// names, and nobody else; what names none lets everybody in.
func TestScopesAreAsDocumented(t *testing.T) {
	t.Parallel()
	c := newContract(newFront(t, staging{}))
	keys := map[string]string{}
	for _, scope := range jobs.KeyScopes() {
		_, whole, err := c.store.CreateKey(t.Context(), jobs.Key{Tenant: "default", Scopes: []jobs.KeyScope{scope}})
		check(t, err)
		keys[string(scope)] = "Bearer " + whole
	}
	fixture.Await(t, soon, "keys are asked for", func() bool {
		got, _ := c.call(http.MethodGet, "/v1/models", "", "")
		return got.status == http.StatusUnauthorized
	})
	for path, methods := range c.doc["paths"].(map[string]any) {
		for method, op := range methods.(map[string]any) {
			method = strings.ToUpper(method)
			call := strings.NewReplacer("{id}", "none", "{model}", "none").Replace(path)
			if path == "/v1/events" {
				call += "?type=x" // or it would go on for ever
			}
			needs := ""
			for _, need := range op.(map[string]any)["security"].([]any) {
				needs = need.(map[string]any)["apiKey"].([]any)[0].(string)
			}
			for scope, key := range keys {
				got, text := c.call(method, call, jsonType, "{}", "Authorization", key)
				if in := got.status != http.StatusForbidden && got.status != http.StatusUnauthorized; in != (needs == "" || needs == scope) {
					t.Errorf("%s %s needs %q, and with %q it says %d %s", method, path, needs, scope, got.status, text)
				}
			}
			if got, text := c.call(method, call, jsonType, "{}"); (got.status == http.StatusUnauthorized) != (needs != "") {
				t.Errorf("%s %s needs %q, and without a key it says %d %s", method, path, needs, got.status, text)
			}
		}
	}
}

// TestParametersAreAsDocumented: a parameter of a query is heard as the document says it,
// and where others are refused, those are that it does not name.
func TestParametersAreAsDocumented(t *testing.T) {
	t.Parallel()
	c := newContract(newFront(t, staging{}))
	batch := c.idOf(http.MethodPost, "/v1/jobs:batch", jsonType, `{"jobs":[`+string(body(1))+`]}`)
	values := map[string][]string{ // what a schema allows of each, or does not
		"limit": {"1", "100", "0", "-1", "x", "10001"}, "order": {"asc", "desc", "up"}, "after": {"", "x1", "A", "%00"}, "purpose": {"", "batch", "%27"},
		"status": {"waiting", "answered", "done"}, "include": {"response", "x"}, "type": {"result", "result,batch", "x", "result,,"},
	}
	for path, methods := range c.doc["paths"].(map[string]any) {
		get, ok := methods.(map[string]any)["get"]
		if !ok || strings.Contains(path, "{") || path == "/v1/events" {
			continue
		}
		parameters, _ := get.(map[string]any)["parameters"].([]any)
		for i := range parameters {
			where := []string{"paths", path, "get", "parameters", fmt.Sprint(i)}
			p := parameters[i].(map[string]any)
			if ref, found := p["$ref"].(string); found {
				where = strings.Split(strings.TrimPrefix(ref, "#/"), "/")
				p = c.at(where...).(map[string]any)
			}
			name := p["name"].(string)
			if name == "batch" {
				if got, text := c.call(http.MethodGet, path+"?batch="+batch, "", ""); got.status != http.StatusOK {
					t.Errorf("%s of a batch: %s", path, text)
				}
				continue
			}
			for _, value := range values[name] {
				text := fmt.Sprintf("%q", strings.NewReplacer("%27", "'", "%00", "\x00").Replace(value))
				if p["schema"].(map[string]any)["type"] == "integer" {
					text = value
				}
				allowed := c.valid(text, append(where, "schema")...)
				got, said := c.call(http.MethodGet, path+"?"+name+"="+value, "", "")
				if (got.status == http.StatusOK) != (allowed == nil) {
					t.Errorf("%s?%s=%s: %d %s\nand the document says: %v", path, name, value, got.status, said, allowed)
				}
			}
			if len(values[name]) == 0 {
				t.Errorf("%s: nothing is tried of the parameter %s", path, name)
			}
		}
	}
	for path, more := range map[string]string{"/v1/jobs": "", "/v1/events": "&type=result"} {
		if got, text := c.call(http.MethodGet, path+"?unknown=1"+more, "", ""); got.status != http.StatusBadRequest || !strings.Contains(text, "unknown_parameter") {
			t.Errorf("%s: %d %s", path, got.status, text)
		}
	}
}

// expecting has the route expect something of answers, so that a request may say no more
// than how often they are tried.
func expecting(c *config.Config) { c.Routes[0].Expect = &config.Expect{MinCharacters: 1} }
