package jobs

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

type member struct{ Name, Value string }

func allMembers(object []byte) (all []member) {
	for name, value := range members(object) {
		all = append(all, member{string(name), string(value)})
	}
	return all
}

func TestMembers(t *testing.T) {
	t.Parallel()
	for object, want := range map[string][]member{
		`{}`:                                 nil,
		" { }\n":                             nil,
		`null`:                               nil,
		`[{"a":1}]`:                          nil,
		`{"a":1}`:                            {{"a", "1"}},
		"\t{ \"a\" : -1.5e3 , \"b\" :null }": {{"a", "-1.5e3"}, {"b", "null"}},
		`{"a":"}\"\\","b":"\\\\\"{","c":""}`: {{"a", `"}\"\\"`}, {"b", `"\\\\\"{"`}, {"c", `""`}},
		`{"a":{"b":[{},"]"]},"b":[[],{}]}`:   {{"a", `{"b":[{},"]"]}`}, {"b", `[[],{}]`}},
		`{"\u0061\"":1,"":2,"a":3,"a":4}`:    {{`a"`, "1"}, {"", "2"}, {"a", "3"}, {"a", "4"}},
	} {
		if diff := cmp.Diff(want, allMembers([]byte(object))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", object, diff)
		}
	}
}

// FuzzMembers: of every object that encoding/json takes, the same names and
// values.
func FuzzMembers(f *testing.F) {
	f.Add([]byte(`{"custom_id":"a","body":` + smallBody + "}"))
	f.Add([]byte("\t{ \"\\u0061\\\"\" : [ \"\\\\\", {\"]\":\"}\"} ] , \"b\":-1.5e3\r\n} "))
	f.Fuzz(func(t *testing.T, text []byte) {
		if !json.Valid(text) || !utf8.Valid(text) {
			return
		}
		if diff := cmp.Diff(decodedMembers(t, text), allMembers(text)); diff != "" {
			t.Errorf("%q (-encoding/json +members):\n%s", text, diff)
		}
	})
}

func decodedMembers(t *testing.T, text []byte) (all []member) {
	in := json.NewDecoder(bytes.NewReader(text))
	if start, err := in.Token(); err != nil || start != json.Delim('{') {
		return nil
	}
	for in.More() {
		name, err := in.Token()
		if err != nil {
			t.Fatal(err)
		}
		var value json.RawMessage
		if err := in.Decode(&value); err != nil {
			t.Fatal(err)
		}
		all = append(all, member{name.(string), string(value)})
	}
	return all
}
