package jobs

import "testing"

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"url", "body", "route", "optimization_goal"}
	for text, want := range map[string]string{
		"rout": "route", "Body": "body", "bdy": "body", "optimisation_goal": "optimization_goal", "uri": "url",
		"": "", "x": "", "temperature": "", "stop": "", "id": "",
	} {
		if got := Nearest(text, names); got != want {
			t.Errorf("nearest to %q is %q, not %q", text, got, want)
		}
	}
}
