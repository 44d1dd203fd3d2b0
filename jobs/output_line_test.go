package jobs

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const outputID = "0190f5fe-7c00-7a00-8abc-012345678901"

func TestAppendOutputLine(t *testing.T) {
	t.Parallel()
	const opening = `{"id":"batch_req_0190f5fe7c007a008abc012345678901",`
	const response = `"response":{"status_code":`
	const bodyOf = `,"request_id":"` + outputID + `","body":`
	cases := map[string]struct {
		customID string
		result   Result
		want     string
	}{
		"answered": {
			"a",
			Result{State: StateAnswered, Status: 200, Body: []byte("{\n  \"n\": 1.50,\r\n\t\"t\": \"x\\ny <b>\"\n}")},
			opening + `"custom_id":"a",` + response + `200` + bodyOf + `{"n":1.50,"t":"x\ny <b>"}},"error":null}`,
		},
		"answered without a name": {
			"",
			Result{State: StateAnswered, Body: []byte(`{}`)},
			opening + `"custom_id":null,` + response + `200` + bodyOf + `{}},"error":null}`,
		},
		"answered with what is not JSON": {
			"a",
			Result{State: StateAnswered, Body: []byte("oh\nno")},
			opening + `"custom_id":"a",` + response + `200` + bodyOf + `"oh\nno"},"error":null}`,
		},
		"refused by a provider": {
			"a",
			Result{State: StateRefused, Class: BadRequest, Status: 422, Code: "bad_thing", Message: "no <such> thing"},
			opening + `"custom_id":"a",` + response + `422` + bodyOf +
				`{"error":{"message":"no <such> thing","type":"invalid_request_error","param":null,"code":"bad_thing"}}},"error":null}`,
		},
		"refused in an answer": {
			"a",
			Result{State: StateRefused, Class: Content, Status: 200, Message: "filtered"},
			opening + `"custom_id":"a",` + response + `400` + bodyOf +
				`{"error":{"message":"filtered","type":"invalid_request_error","param":null,"code":null}}},"error":null}`,
		},
		"expired": {
			"a",
			Result{State: StateExpired, Code: "rate_limit_exceeded"},
			opening + `"custom_id":"a","response":null,"error":{"code":"batch_expired","message":"the request was not answered before its deadline"}}`,
		},
		"cancelled": {
			"a",
			Result{State: StateCancelled, Message: "by a person"},
			opening + `"custom_id":"a","response":null,"error":{"code":"batch_cancelled","message":"by a person"}}`,
		},
		"poison": {
			"a",
			Result{State: StatePoison},
			opening + `"custom_id":"a","response":null,"error":{"code":"request_failed","message":"the request was given up"}}`,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.result.RequestID = outputID
			got := string(AppendOutputLine([]byte("before\n"), c.customID, &c.result))
			if diff := cmp.Diff("before\n"+c.want+"\n", got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Whatever a result holds, its line is one line of JSON, with exactly one of
// response and error.
func TestOutputLineIsAlwaysWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		result := Result{
			RequestID: rapid.String().Draw(t, "id"),
			State:     rapid.SampledFrom(States()).Draw(t, "state"),
			Class:     rapid.SampledFrom(Classes()).Draw(t, "class"),
			Status:    rapid.SampledFrom([]int{0, 200, 400, 429, 503}).Draw(t, "status"),
			Body:      rapid.SliceOf(rapid.Byte()).Draw(t, "body"),
			Message:   rapid.String().Draw(t, "message"),
		}
		got := AppendOutputLine(nil, rapid.String().Draw(t, "custom id"), &result)
		if bytes.IndexByte(got, '\n') != len(got)-1 {
			t.Fatalf("not one line: %q", got)
		}
		var line struct{ Response, Error *json.RawMessage }
		if err := json.Unmarshal(got, &line); err != nil {
			t.Fatalf("%q: %v", got, err)
		}
		if (line.Response == nil) == (line.Error == nil) {
			t.Fatalf("response and error: want one of them: %s", got)
		}
	})
}

// Every refusal has a status that says so, also for a class that is new.
func TestRefusedStatusOfEveryClass(t *testing.T) {
	t.Parallel()
	for _, class := range append(Classes(), "NEW") {
		if status, kind := refusedStatus(class); status < 400 || status > 599 || kind == "" {
			t.Errorf("%s: status %d, type %q", class, status, kind)
		}
	}
}
