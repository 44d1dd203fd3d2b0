package config

import (
	"strings"
	"testing"
)

// What an estimator does not use is refused, instead of being dropped.
func TestAlphaIsOfOneEstimator(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"estimator: {name: decayed, alpha: 0.3}\n": "f:7:28: estimator.alpha: is for ewma, and the estimator is decayed: write name: ewma beside it, or leave it out",
		"estimator: {alpha: 0.2}\n":                "f:7:13: estimator.alpha: is for ewma",
		"estimator: {name: ewma, alpha: 0}\n":      "estimator.alpha: must be above 0",
		"estimator: {name: ewma, alpha: 0.3}\n":    "",
		"estimator: {name: ewma}\n":                "",
		"estimator: {explore: 0}\n":                "",
	} {
		_, _, err := Parse([]byte(expectHead+text), "f", vars(), Known{})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
