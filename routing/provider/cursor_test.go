package provider

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func isJSON(data []byte) bool {
	c := cursor{data: data}
	c.skip()
	return c.ended()
}

var texts = []string{
	`{}`, `[]`, ` { } `, `null`, `true`, `false`, `""`, `"a\u00e9\n\/"`, `0`, `-0`, `-1.5e+10`, `1E5`, `[1,2,{"a":[]}]`,
	"{\"a\":1,\"a\":\t2}", `"12345678901234567890 \\ \" 1234567 é and more"`, "\"\xff\xfe\"",
	``, ` `, `{`, `}`, `[1,]`, `[,1]`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{a:1}`, `01`, `+1`, `1.`, `.5`, `1e`, `--1`, `nul`, `truee`,
	`"`, `"\x"`, `"\u12g4"`, `"\u12`, "\"a\nb\"", "\"12345678\x01\"", `{} {}`, `[1 2]`, `{"a" 1}`, `{"a":1 "b":2}`, "\x00", "{}\x00", "[1]]", `'a'`,
	`"\`, `{"a":"b`, "\ufeff{}", "[\v1]",
}

// TestCursorAgreesWithEncodingJSON: both say the same of what is JSON.
func TestCursorAgreesWithEncodingJSON(t *testing.T) {
	t.Parallel()
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, text := range append(texts, deep(maxDepth), deep(maxDepth+1), strings.Repeat(`{"a":`, 20_000), answer, prompt) {
		if got, want := isJSON([]byte(text)), json.Valid([]byte(text)); got != want {
			t.Errorf("%.80q: the cursor says %v, encoding/json %v", text, got, want)
		}
	}
}

func FuzzCursor(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text))
	}
	f.Add([]byte(answer))
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		if got, want := isJSON(data), json.Valid(data); got != want {
			t.Fatalf("%q: the cursor says %v, encoding/json %v", data, got, want)
		}
		if !bytes.Equal(before, data) {
			t.Fatal("the cursor changed its data")
		}
	})
}

func TestCursorReadsValues(t *testing.T) {
	t.Parallel()
	c := cursor{data: []byte(`{"a\u0062":"x\ny","n":12,"neg":-3,"big":99999999999999999999,"no":null,"o":{ },"f":[0],"e":""}`)}
	var got []any
	for c.into('{'); c.more('}'); {
		switch key := string(c.key()); key {
		case "ab":
			got = append(got, string(c.text()))
		case "n", "neg", "big":
			got = append(got, c.count())
		default:
			got = append(got, c.filled())
		}
	}
	want := []any{"x\ny", 12, 0, 1_000_000_000, false, false, true, false}
	if len(got) != len(want) || !c.ended() {
		t.Fatalf("got %v, want %v; ended: %v", got, want, c.ended())
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("value %d: got %v, want %v", i, got[i], want[i])
		}
	}
}
