package queue_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tidegate/jobs"
)

// Whatever a producer writes as its body, a worker reads byte for byte.
func TestBodyIsKeptByteForByte(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rapid.Check(t, func(r *rapid.T) {
		body := anyBody(r)
		if !json.Valid(body) {
			r.Fatalf("this test has written %q, which is not JSON", body)
		}
		one, err := w.Enqueue(w.t.Context(), jobs.Request{Route: "labels", Body: bytes.Clone(body)})
		if err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(string(body), string(w.load(one.ID).Body)); diff != "" {
			r.Errorf("body (-want +got):\n%s", diff)
		}
	})
}

// anyBody is an object with messages among fields that nobody knows.
func anyBody(r *rapid.T) []byte {
	fields := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) string {
		return space(r) + `"x_` + text(r)[1:] + space(r) + ":" + value(r, 2)
	}), 0, 4).Draw(r, "fields")
	messages := space(r) + `"messages"` + space(r) + ":" + space(r) + "[" + value(r, 2) + "]" + space(r)
	at := rapid.IntRange(0, len(fields)).Draw(r, "place of messages")
	fields = append(fields[:at:at], append([]string{messages}, fields[at:]...)...)
	return []byte(space(r) + "{" + strings.Join(fields, ",") + "}" + space(r))
}

func space(r *rapid.T) string {
	return rapid.SampledFrom([]string{"", "", " ", "\n\t", "\r\n  "}).Draw(r, "space")
}

// value is a JSON value as few would write it.
func value(r *rapid.T, depth int) string {
	kinds := 3
	if depth > 0 {
		kinds = 5
	}
	var v string
	switch rapid.IntRange(0, kinds-1).Draw(r, "kind") {
	case 0:
		v = rapid.SampledFrom([]string{"null", "true", "false"}).Draw(r, "word")
	case 1:
		v = rapid.StringMatching(`-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,4})?`).Draw(r, "number")
	case 2:
		v = text(r)
	case 3:
		v = "[" + value(r, depth-1) + "," + value(r, depth-1) + "]"
	case 4:
		v = "{" + space(r) + text(r) + space(r) + ":" + value(r, depth-1) + "," + text(r) + ":" + value(r, depth-1) + "}"
	}
	return space(r) + v + space(r)
}

// text is a JSON string with escapes, the worst of them among others.
func text(r *rapid.T) string {
	pieces := rapid.SliceOfN(rapid.OneOf(
		rapid.SampledFrom([]string{`\u0000`, `\ud800`, `\u00e9`, `\/`, `\\u0000`, `\"`, "\u2028", "\x7f", "<&>"}),
		rapid.StringMatching(`[a-zà-ż日 ]{0,6}`),
	), 0, 4).Draw(r, "text")
	return `"` + strings.Join(pieces, "") + `"`
}
