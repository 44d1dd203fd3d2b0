package jobs

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

// A batch file, whatever it is: each line that is not blank gives a request or an
// error under its number, the place moves to the end, and reading on from any place
// gives what reading it all gave.
func FuzzWholeLines(f *testing.F) {
	const line = `{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[{"role":"user","content":"hi"}]}}`
	for _, seed := range []string{"", "\n\n", line, line + "\r\n\n" + line, "{\n" + line, "\xef\xbb\xbf" + line, "\x1f\x8b\x08", `{"custom_id":"\ud800"}`, "[" + line + "]", "\x00", line + "\x00\n" + line} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		type found struct {
			place Place
			id    string
			err   string
		}
		read := func(from Place) (all []found, end Place) {
			place := from
			opts := LineOptions{Whole: true, Checked: true, DefaultRoute: "r", Place: &place, Now: func() time.Time { return time.Unix(0, 0) }}
			before := from.Lines
			for request, err := range ReadLines(bytes.NewReader(input[from.Bytes:]), opts) {
				one := found{place: place, id: request.CustomID}
				var bad *LineError
				switch {
				case err == nil && (request.CustomID == "" || len(request.Body) == 0 || request.Route != "r"):
					t.Fatalf("a request of %+v", request)
				case err != nil && !errors.As(err, &bad):
					t.Fatalf("not an error of a line: %v", err)
				case err != nil && (bad.Line <= before || bad.Code == "" || bad.Err.Error() == ""):
					t.Fatalf("%+v behind line %d", bad, before)
				case err != nil:
					one.err = err.Error()
				}
				before = place.Lines
				all = append(all, one)
			}
			return all, place
		}
		all, end := read(Place{})
		for _, one := range all {
			if one.place.Bytes == 0 { // another format, of which nothing is read
				return
			}
		}
		if end.Bytes != int64(len(input)) {
			t.Fatalf("it ends at byte %d of %d", end.Bytes, len(input))
		}
		for i, one := range all {
			rest, _ := read(one.place)
			if len(rest) != len(all)-i-1 {
				t.Fatalf("from %+v on there are %d lines, not %d", one.place, len(rest), len(all)-i-1)
			}
			for j := range rest {
				if rest[j] != all[i+1+j] {
					t.Fatalf("from %+v on, line %d is %+v, not %+v", one.place, j, rest[j], all[i+1+j])
				}
			}
		}
	})
}
