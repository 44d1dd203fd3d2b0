package provider

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
)

var update = flag.Bool("update", false, "write testdata/<dialect>/statuses.txt anew")

// TestEveryStatusHasAClass walks every status of every dialect, with no body to
// help. A row of the dialect's table must decide, in a way that does no harm, and
// as testdata/<dialect>/statuses.txt says, so that a change shows in its diff.
func TestEveryStatusHasAClass(t *testing.T) {
	t.Parallel()
	for name, d := range dialects {
		var table statusTable
		for status := 300; status <= 599; status++ {
			why := d.explain(response{status: status})
			class := d.classify(why)
			if _, decided := decide(d.rules, why); !decided && why.class == "" {
				t.Errorf("dialect %s: no row of its rules is for status %d: let the table end with openAIRules", name, status)
			}
			if allowed := harmless(status); !slices.Contains(allowed, class) {
				t.Errorf("dialect %s: status %d is %s, want one of %v", name, status, class, allowed)
			}
			table.add(status, class)
		}
		file := filepath.Join("testdata", name, "statuses.txt")
		if *update {
			if err := os.WriteFile(file, []byte(table.String()), 0o644); err != nil {
				t.Error(err)
			}
		}
		const remedy = "look at each line that differs, then: go test ./routing/provider -run TestEveryStatusHasAClass -update"
		if want, err := os.ReadFile(file); err != nil || string(want) != table.String() {
			t.Errorf("dialect %s: %s is not what its rules say (%v); %s\n%s", name, file, err, remedy, cmp.Diff(string(want), table.String()))
		}
	}
}

// harmless are the classes that a status may have when nothing else is known. What
// is not the request's fault must not end it, and trouble is no answer.
func harmless(status int) []jobs.Class {
	switch {
	case status == 402:
		return []jobs.Class{jobs.Quota}
	case status == 429:
		return []jobs.Class{jobs.Rate}
	case status == 503 || status == 529:
		return []jobs.Class{jobs.Overload}
	case status == 504 || status == 524:
		return []jobs.Class{jobs.Timeout}
	case status >= 500 || status < 400 || status == 408 || status == 409 || status == 425:
		return []jobs.Class{jobs.Transient}
	case status == 401 || status == 403 || status == 404:
		return []jobs.Class{jobs.Auth}
	case status == 400 || status == 422:
		return []jobs.Class{jobs.BadRequest}
	default: // a rare 4xx
		return []jobs.Class{jobs.Transient, jobs.Auth, jobs.Context}
	}
}

// A statusTable has a line for each run of statuses of one class.
type statusTable struct {
	lines    strings.Builder
	from, to int
	class    jobs.Class
}

func (t *statusTable) add(status int, class jobs.Class) {
	if class != t.class {
		t.flush()
		t.from, t.class = status, class
	}
	t.to = status
}

func (t *statusTable) flush() {
	if t.class != "" {
		span := strconv.Itoa(t.from)
		if t.to > t.from {
			span += "-" + strconv.Itoa(t.to)
		}
		fmt.Fprintf(&t.lines, "%s %s\n", span, t.class)
	}
	t.class = ""
}

func (t *statusTable) String() string {
	t.flush()
	return t.lines.String()
}

// TestPagesNeverEndARequest: a web page is a proxy's, whatever its status.
func TestPagesNeverEndARequest(t *testing.T) {
	t.Parallel()
	for name, d := range dialects {
		for status := 300; status <= 599; status++ {
			why := d.explain(response{status: status, body: []byte("\n<!DOCTYPE html><TITLE>Oh no</TITLE>")})
			if class := d.classify(why); class.Final() || class == jobs.OK {
				t.Errorf("%s: a page with status %d is %s", name, status, class)
			}
			if !why.page || why.text != "Oh no" {
				t.Errorf("%s: the page was read as %+v", name, why)
			}
		}
	}
}

// TestWordsBeforeStatus: one status carries several classes, and a code decides
// whatever the case of its letters and whether it is the type or the code.
func TestWordsBeforeStatus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status     int
		code, text string
		want       jobs.Class
	}{
		{429, "insufficient_quota", "", jobs.Quota},
		{429, "billing_hard_limit_reached", "", jobs.Quota},
		{403, "Insufficient_Quota", "", jobs.Quota},
		{429, "rate_limit_exceeded", "", jobs.Rate},
		{429, "slow_down", "", jobs.Rate},
		{503, "slow_down", "", jobs.Rate},
		{500, "server_is_overloaded", "", jobs.Overload},
		{400, "context_length_exceeded", "", jobs.Context},
		{413, "", "too big", jobs.Context},
		{400, "", "This model's Maximum Context Length is 8192 tokens.", jobs.Context},
		{400, "content_policy_violation", "", jobs.Content},
		{403, "content_filter", "", jobs.Content},
		{404, "model_not_found", "", jobs.Auth},
		{400, "model_not_found", "", jobs.Auth},
		{429, "", "Request too large for gpt-5 on tokens per min (TPM): Limit 1, Requested 2", jobs.Context},
		{429, "", "You exceeded your current quota", jobs.Rate}, // some say so of a rate
		{500, "", "maximum context length", jobs.Transient},
		{200, "unheard_of", "", jobs.Garbled},
		{200, "invalid_api_key", "", jobs.Auth},
	} {
		for _, why := range []refusal{{status: c.status, code: c.code, text: c.text}, {status: c.status, kind: c.code, text: c.text}} {
			if got := openAI.classify(why); got != c.want {
				t.Errorf("%+v: got %s, want %s", why, got, c.want)
			}
		}
	}
}

// TestRulesAreReachable finds a row that an earlier one hides completely, and
// a class that does not exist. The rows that a dialect takes over from openAIRules
// may be hidden by its own.
func TestRulesAreReachable(t *testing.T) {
	t.Parallel()
	for name, d := range dialects {
		own := d.rules
		if common := len(own) - len(openAIRules); common > 0 && reflect.DeepEqual(own[common:], openAIRules) {
			own = own[:common]
		}
		for i, row := range own {
			if !row.class.Valid() || row.class == jobs.OK {
				t.Errorf("dialect %s: row %d: class %q", name, i, row.class)
			}
			if !reached(own, i) {
				t.Errorf("dialect %s: row %d is never reached: %+v", name, i, row)
			}
		}
	}
}

// reached tells whether any refusal comes as far as a row.
func reached(rules []rule, i int) bool {
	row := rules[i]
	for status := max(row.status.from, 200); status <= max(row.status.to, 200); status++ {
		for _, word := range append([]string{""}, row.words...) {
			for _, text := range append([]string{""}, row.texts...) {
				why := refusal{status: status, code: word, text: text, page: row.page}
				first := slices.IndexFunc(rules, func(other rule) bool { return other.fits(why, word, "", text) })
				if first == i {
					return true
				}
			}
		}
	}
	return false
}
