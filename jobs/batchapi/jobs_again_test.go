package batchapi_test

import (
	"net/http"
	"testing"
)

// What an SDK says of its repetitions counts for its own key, and for as long as it may
// have waited for the first answer: another key's request of the same words is another
// one, and so is a later one.
func TestRepetitionIsOfItsKeyAndItsTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.keyOf("acme"), w.keyOf("acme")
	for path, body := range map[string]string{
		"/v1/jobs":       `{"route":"summaries",` + said + `}`,
		"/v1/jobs:batch": `{"jobs":[{"route":"summaries",` + said + `}]}`,
	} {
		send := func(key, count string) string {
			return decodeInto[struct{ ID string }](t, w.post(path, body, "Authorization", key, "X-Stainless-Retry-Count", count), http.StatusAccepted).ID
		}
		first := send(one, "0")
		if again := send(one, "1"); again != first {
			t.Errorf("%s: %s, and repeated %s", path, first, again)
		}
		if other := send(two, "1"); other == first {
			t.Errorf("%s: another key has %s, too", path, other)
		}
		if _, err := w.pool.Exec(t.Context(), "UPDATE tidegate.once SET created_at = created_at - interval '31 minutes'"); err != nil {
			t.Fatal(err)
		}
		late := send(one, "2")
		if again := send(one, "3"); late == first || again != late {
			t.Errorf("%s: %s, half an hour later %s, and repeated %s", path, first, late, again)
		}
	}
}
