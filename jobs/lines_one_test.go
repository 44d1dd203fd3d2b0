package jobs_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tidegate/jobs"
)

// What a list says of requests is what lines say of them, wherever white space is.
func TestListIsLines(t *testing.T) {
	t.Parallel()
	now := time.Now()
	opts := jobs.LineOptions{Tenant: "t", DefaultRoute: "r", Now: func() time.Time { return now }}
	pieces := []string{
		`{"custom_id":"a","body":{"messages":[{"content":"]}\""}]}}`, `{"messages":["x",[{}],1e3,null]}`, `{"body":{"messages":[1]},"priority":2}`,
		`{"body":{}}`, `{"custom_id":"a","body":{"messages":[1]}}`, `7`, `"],["`, `null`, `[]`, `{}`, `true`, `{"deadline":"1h","body":{"messages":[{}]}}`,
	}
	type got struct {
		Request jobs.Request
		Err     string
	}
	rapid.Check(t, func(r *rapid.T) {
		chosen := rapid.SliceOf(rapid.SampledFrom(pieces)).Draw(r, "pieces")
		space := rapid.SampledFrom([]string{"", " ", "\n\t", "\r\n"})
		var list bytes.Buffer
		list.WriteString("[" + space.Draw(r, "space"))
		for i, piece := range chosen {
			if i > 0 {
				list.WriteString("," + space.Draw(r, "space"))
			}
			list.WriteString(piece + space.Draw(r, "space"))
		}
		list.WriteString("]")
		var byLine, byList []got
		for request, err := range jobs.ReadLines(strings.NewReader(strings.Join(chosen, "\n")), opts) {
			byLine = append(byLine, got{request, text(err)})
		}
		for request, err := range jobs.ReadList(list.Bytes(), opts) {
			byList = append(byList, got{request, text(err)})
		}
		if diff := cmp.Diff(byLine, byList); diff != "" {
			r.Fatalf("%s:\nlines (-) and list (+):\n%s", list.Bytes(), diff)
		}
		parts, batch, err := jobs.SplitMany([]byte(`{ "batch" : {"x":[1]} ,"jobs":` + list.String() + `}`))
		if err != nil || !bytes.Equal(parts, list.Bytes()) || string(batch) != `{"x":[1]}` {
			r.Fatalf("split into %s and %s, %v", parts, batch, err)
		}
	})
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// One request may be written on several lines; an error names no line then.
func TestReadLine(t *testing.T) {
	t.Parallel()
	body := "{\n\"messages\": [ 1 ]\n}"
	request, err := jobs.ReadLine([]byte("\n{\"route\":\"r\",\n\"body\": "+body+"}\n"), jobs.LineOptions{})
	if err != nil || string(request.Body) != body || request.Route != "r" {
		t.Errorf("%+v, %v", request, err)
	}
	_, err = jobs.ReadLine([]byte(`{"route":"r","priority":"x","body":{}}`), jobs.LineOptions{})
	var line *jobs.LineError
	if !errors.As(err, &line) || line.Line != 0 || line.Field != "priority" || err.Error() != "priority: must not be a string" {
		t.Errorf("%v", err)
	}
	for _, nothing := range []string{"", " \n"} {
		if _, err := jobs.ReadLine([]byte(nothing), jobs.LineOptions{}); !errors.As(err, &line) || line.Code != jobs.CodeNotJSON {
			t.Errorf("%q: %v", nothing, err)
		}
	}
}

// Defaults are for what a request does not say itself.
func TestDefaults(t *testing.T) {
	t.Parallel()
	now := time.Now()
	opts := jobs.LineOptions{DefaultRoute: "other", Now: func() time.Time { return now }, Deadline: func(string) time.Duration { return time.Minute }}
	d, err := jobs.ReadDefaults([]byte(` {"route":"r","goal":"g","deadline":"1h","max_cost_usd":0.5,"priority":1,"metadata":{"a":"1","b":"1"},"budget_usd":2.5} `), opts)
	if err != nil || d.Route != "r" || d.Budget != jobs.USD(2.5) {
		t.Fatalf("%+v, %v", d, err)
	}
	blank, full := jobs.Request{}, jobs.Request{Goal: "h", Deadline: now.Add(time.Second), MaxCost: 1, Priority: 4, Metadata: map[string]string{"b": "2"}}
	for request, want := range map[*jobs.Request]jobs.Request{
		&blank: {Goal: "g", Deadline: now.Add(time.Hour), MaxCost: jobs.USD(0.5), Priority: 1, Metadata: map[string]string{"a": "1", "b": "1"}},
		&full:  {Goal: "h", Deadline: now.Add(time.Second), MaxCost: 1, Priority: 4, Metadata: map[string]string{"a": "1", "b": "2"}},
	} {
		if err := d.FillIn(request); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, *request); diff != "" {
			t.Error(diff)
		}
	}
	if none, err := jobs.ReadDefaults([]byte(`{}`), opts); err != nil || !cmp.Equal(none, jobs.Defaults{}) {
		t.Errorf("of nothing: %+v, %v", none, err)
	}
	for text, says := range map[string]string{
		``: "EOF", `7`: "must be a JSON object", `{"body":{}}`: "is none of", `{"budget_usd":1,"budget_usd":1}`: "budget_usd: stands twice", `{"budget_usd":"1"}`: "budget_usd: must be",
		`{"priority":1,"priority":1}`: "priority: stands twice", `{"route":"No"}`: "route: ", `{"deadline":"x"}`: "deadline: ", `{"metadata":7}`: "metadata: ", `{"goal":"a","optimization_goal":"b"}`: "goal: ",
	} {
		if _, err := jobs.ReadDefaults([]byte(text), opts); err == nil || !strings.Contains(err.Error(), says) {
			if text != "" || err == nil {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
}

// Whatever comes as many requests gives requests or errors, and no panic.
func FuzzMany(f *testing.F) {
	for _, seed := range []string{`{"jobs":[{"body":{"messages":[1]}}],"batch":{"priority":1}}`, `{"jobs":[]}`, `{"jobs":[1,[],"\"",null]}`, `{`, `{"batch":{"budget_usd":1e400}}`} {
		f.Add([]byte(seed))
	}
	opts := jobs.LineOptions{DefaultRoute: "r"}
	f.Fuzz(func(t *testing.T, text []byte) {
		list, batch, err := jobs.SplitMany(text)
		if err != nil {
			return
		}
		if batch != nil {
			_, _ = jobs.ReadDefaults(batch, opts)
		}
		var whole []json.RawMessage
		if err := json.Unmarshal(list, &whole); err != nil {
			t.Fatalf("%s is no list: %v", list, err)
		}
		n := 0
		for request, err := range jobs.ReadList(list, opts) {
			n++
			if err == nil && request.Validate() != nil {
				t.Errorf("%s gives a request that is not valid: %v", text, request.Validate())
			}
		}
		if n != len(whole) {
			t.Errorf("%d of %d in %s", n, len(whole), list)
		}
	})
}
