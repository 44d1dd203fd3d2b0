package provider

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSplice(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"replaced", `{"model":"a","messages":[]}`, `{"model":"m","messages":[]}`},
		{"added", `{"messages":[]}`, `{"messages":[],"model":"m"}`},
		{"added to nothing", "{ }", `{ "model":"m"}`},
		{"spacing and numbers stay", "{ \"model\" :  \"a\" ,\n\"x\":1.50e+01 , \"x\" : 2 } \n", "{ \"model\" :  \"m\" ,\n\"x\":1.50e+01 , \"x\" : 2 } \n"},
		{"not a string before", `{"model":{"model":"b"}}`, `{"model":"m"}`},
		{"twice", `{"model":"a","model":"b"}`, `{"model":"m","model":"m"}`},
		{"escaped name", `{"mod\u0065l":"a"}`, `{"mod\u0065l":"m"}`},
		{"deeper ones stay", `{"metadata":{"model":"a","stream":true}}`, `{"metadata":{"model":"a","stream":true},"model":"m"}`},
		{"stream first", `{"stream":true, "model":"a"}`, `{"model":"m"}`},
		{"stream last", `{"model":"a" , "stream":true}`, `{"model":"m"}`},
		{"stream between", `{"a":1, "stream":false, "b":2}`, `{"a":1, "b":2,"model":"m"}`},
		{"stream alone", `{"stream":true}`, `{"model":"m"}`},
		{"both first", `{"stream":true,"stream_options":{"include_usage":true},"a":1}`, `{"a":1,"model":"m"}`},
		{"both last", `{"a":1,"stream_options":null,"stream":true}`, `{"a":1,"model":"m"}`},
		{"all three", `{"stream":true,"model":"a","stream_options":{}}`, `{"model":"m"}`},
		{"brace in a string", `{"a":"}{\"model\":1"}`, `{"a":"}{\"model\":1","model":"m"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := splice([]byte(c.in), "m")
			if err != nil || string(got) != c.want {
				t.Errorf("got  %s (%v)\nwant %s", got, err, c.want)
			}
		})
	}
}

func TestSpliceRefusesWhatIsNoObject(t *testing.T) {
	t.Parallel()
	for _, in := range []string{``, ` `, `[]`, `"a"`, `{`, `{"a":1`, `{"a":1}}`, `{"a":1} x`, `{"a":01}`, `{"model":"a}`, `{"stream":}`} {
		if got, err := splice([]byte(in), "m"); err == nil {
			t.Errorf("%q became %q, want an error", in, got)
		}
	}
}

func TestSpliceQuotesTheModel(t *testing.T) {
	t.Parallel()
	for _, model := range []string{"gpt-5-mini", "a/b:c@1", `a"b\c`, "é\n", ""} {
		out, err := splice([]byte(`{"model":"x"}`), model)
		var got struct{ Model string }
		if err != nil || json.Unmarshal(out, &got) != nil || got.Model != model {
			t.Errorf("%q became %s (%v)", model, out, err)
		}
	}
}

// TestSpliceKeepsEveryOtherByte builds bodies member by member, so that it
// knows what must be left of them.
func TestSpliceKeepsEveryOtherByte(t *testing.T) {
	t.Parallel()
	space := rapid.SampledFrom([]string{"", "", " ", "\n\t", "  \r\n"})
	value := rapid.SampledFrom([]string{`1.0`, `-0`, `1e400`, `"a\"}{,b"`, `"\u0000é"`, `[1, 2 ,{"model":"in"}]`, `{"stream" : true}`, `null`, `true`, `[]`})
	name := rapid.SampledFrom([]string{"messages", "Model", "STREAM", "x", "temperature", "modèle", "stream_", `a\\`})
	rapid.Check(t, func(t *rapid.T) {
		var in, want []string // members
		named := rapid.Bool().Draw(t, "named")
		n := rapid.IntRange(0, 6).Draw(t, "members")
		place := rapid.IntRange(0, n).Draw(t, "place")
		for i := range n + 1 {
			if i == place && named {
				head := fmt.Sprintf(`%s"model"%s:%s`, space.Draw(t, "s"), space.Draw(t, "s"), space.Draw(t, "s"))
				tail := space.Draw(t, "s")
				in, want = append(in, head+value.Draw(t, "old")+tail), append(want, head+`"new"`+tail)
			}
			if i == n {
				break
			}
			member := fmt.Sprintf(`%s"%s"%s:%s%s%s`, space.Draw(t, "s"), name.Draw(t, "name"), space.Draw(t, "s"), space.Draw(t, "s"), value.Draw(t, "value"), space.Draw(t, "s"))
			in, want = append(in, member), append(want, member)
		}
		if !named {
			want = append(want, `"model":"new"`)
		}
		lead, trail := space.Draw(t, "s"), space.Draw(t, "s")
		body := []byte(lead + "{" + strings.Join(in, ",") + "}" + trail)
		before := bytes.Clone(body)
		got, err := splice(body, "new")
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if whole := lead + "{" + strings.Join(want, ",") + "}" + trail; string(got) != whole {
			t.Fatalf("\n%s became\n%s, want\n%s", body, got, whole)
		}
		if !bytes.Equal(body, before) {
			t.Fatal("splice changed its input")
		}
	})
}

// FuzzSplice: of any object only model and stream differ afterwards.
func FuzzSplice(f *testing.F) {
	f.Add([]byte(`{"model":"a","messages":[],"stream":true}`))
	f.Add([]byte(` {"stream":1,"stream_options":2 , "a":"\u0061" }`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var want map[string]json.RawMessage
		object := json.Unmarshal(body, &want) == nil && want != nil
		out, err := splice(body, "new")
		if object != (err == nil) {
			t.Fatalf("%q: an object: %v, the error: %v", body, object, err)
		}
		if err != nil {
			return
		}
		delete(want, "stream")
		delete(want, "stream_options")
		want["model"] = json.RawMessage(`"new"`)
		var got map[string]json.RawMessage
		if err := json.Unmarshal(out, &got); err != nil || len(got) != len(want) {
			t.Fatalf("%q became %q (%v)", body, out, err)
		}
		for name := range want {
			if !bytes.Equal(got[name], want[name]) {
				t.Fatalf("%q: %s became %s", body, name, got[name])
			}
		}
	})
}
