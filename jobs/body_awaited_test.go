package jobs_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
)

func TestCheckAwaitedBody(t *testing.T) {
	t.Parallel()
	const messages = `"messages":[{"role":"user","content":"x"}]`
	for name, c := range map[string]struct {
		body   string
		whole  string
		stream jobs.Streaming
		says   string
	}{
		"plain":           {body: `{` + messages + `,"temperature":0.10}`, whole: `{` + messages + `,"temperature":0.10}`},
		"streams":         {body: `{"stream":true,` + messages + `}`, whole: `{` + messages + `}`, stream: jobs.Streaming{On: true}},
		"with usage":      {body: `{"stream":true,` + messages + `,"stream_options":{"include_usage":true}}`, whole: `{` + messages + `}`, stream: jobs.Streaming{On: true, Usage: true}},
		"does not":        {body: `{` + messages + `,"stream":false,"stream_options":null}`, whole: `{` + messages + `}`},
		"a name escaped":  {body: `{"a\"\u00e9":1,` + messages + `}`, whole: `{"a\"é":1,` + messages + `}`},
		"stream is text":  {body: `{"stream":"true",` + messages + `}`, says: "stream: must be true or false"},
		"options a list":  {body: `{"stream_options":[],` + messages + `}`, says: "stream_options: must be an object"},
		"nothing else":    {body: `{"stream":true}`, says: "messages"},
		"nothing":         {body: ``, says: "is empty"},
		"empty":           {body: `{}`, says: "messages"},
		"a list":          {body: `[]`, says: "must be a JSON object"},
		"not JSON":        {body: `{"a":`, says: "not JSON"},
		"larger than all": {body: `{` + messages + `,"a":"` + strings.Repeat("x", jobs.MaxBodyBytes) + `"}`, says: "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole, stream, err := jobs.CheckAwaitedBody([]byte(c.body))
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("it says %v, not %q", err, c.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.whole, string(whole)); diff != "" || stream != c.stream || !json.Valid(whole) {
				t.Errorf("stream %+v, body (-want +got):\n%s", stream, diff)
			}
		})
	}
}
