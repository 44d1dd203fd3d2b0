package app

import (
	"errors"
	"strings"
	"testing"

	"tidegate/jobs"
)

func TestBudgetFlags(t *testing.T) {
	t.Parallel()
	for _, f := range []budgetFlags{{}, {tenant: "a", route: "b"}, {tenant: "a", route: "b", batch: "c"}, {tenant: "A"}} {
		if key, err := f.key(); err == nil {
			t.Errorf("%+v is %s", f, key)
		}
	}
	for text, want := range map[string]string{"0": "--per-day: must be above zero", "-5": "--per-day:", "many": "--per-day:", "none": "", "5": ""} {
		var limit *jobs.MicroUSD
		err := readLimit("--per-day", text, &limit)
		var usage *usageError
		if want == "" && (err != nil || limit == nil) || want != "" && (!errors.As(err, &usage) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
