package jobs_test

import (
	"testing"

	"tidegate/jobs"
)

func TestTraceparent(t *testing.T) {
	t.Parallel()
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for text, valid := range map[string]bool{
		good: true, "": false, good + "-x": false, "ff" + good[2:]: false, "00-4BF92F3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01": false,
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01": false, "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01": false,
	} {
		if jobs.ValidTraceparent(text) != valid {
			t.Errorf("%q: valid is %v", text, !valid)
		}
		if got := jobs.TraceparentOf(jobs.WithTraceparent(t.Context(), text)); valid != (got == text && text != "") {
			t.Errorf("%q comes back as %q", text, got)
		}
	}
	r := jobs.Request{Route: "summaries", Body: []byte(`{"messages":[]}`), Traceparent: "not one"}
	if err := r.Validate(); err == nil {
		t.Error("a traceparent that is none was taken")
	}
}
