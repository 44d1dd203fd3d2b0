package provider

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"tidegate/jobs"
)

// TestNobodyClosesATargetByWhatHeWrites: providers quote the request in their
// refusals. The words of a tenant must not open the circuits of a key or an account.
func TestNobodyClosesATargetByWhatHeWrites(t *testing.T) {
	t.Parallel()
	const hi = `{"messages":[{"role":"user","content":"Hi"}]}`
	for name, d := range dialects {
		for i, row := range d.rules {
			if !row.class.Opens() || row.texts == nil {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d", name, i), func(t *testing.T) {
				t.Parallel()
				said := row.texts[0]
				url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					text, _ := json.Marshal("Invalid value: '" + said + "'.")
					w.WriteHeader(max(row.status.from, http.StatusBadRequest))
					_, _ = fmt.Fprintf(w, `{"error":{"message":%s,"type":"invalid_request_error"}}`, text)
				})
				target := at(url)
				target.Dialect = name
				client := newClient(t, Config{})
				quoted := `{"messages":[{"role":"user","content":[{"type":"text","text":"x ` + "\\u0069" + `"},{"type":"text","text":"` + escaped(said) + `"}]}]}`
				if _, failed := client.Complete(t.Context(), target, jobs.EndpointChat, []byte(hi)); failed == nil || failed.Class != row.class {
					t.Errorf("the provider's own words: got %v, want %s", failed, row.class)
				}
				if _, failed := client.Complete(t.Context(), target, jobs.EndpointChat, []byte(quoted)); failed == nil || failed.Class == row.class {
					t.Errorf("the tenant's words: got %v", failed)
				}
			})
		}
	}
}

// escaped writes each letter as JSON may write it: a copy of the bytes would miss it.
func escaped(text string) string {
	out := ""
	for _, r := range text {
		out += fmt.Sprintf(`\u%04X`, r)
	}
	return out
}
