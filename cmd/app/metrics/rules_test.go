package metrics_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// A rule is an alert of Prometheus. That it fires, and stays silent, is tested in
// integration/testdata/alerts.
type rule struct {
	Alert, Expr, For string
	Labels           struct{ Severity string }
	Annotations      struct{ Summary, Runbook string }
}

func readRules(t *testing.T) []rule {
	t.Helper()
	text, err := os.ReadFile("../../../deploy/prometheus/tidegate.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return file.Groups[0].Rules
}

// Every alert leads to a section that tells what to do.
func TestAlertsHaveRunbooks(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/OPERATING.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^### (Tidegate\w+)$`).FindAllStringSubmatch(string(text), -1) {
		sections[heading[1]] = true
	}
	for _, r := range readRules(t) {
		if !sections[r.Alert] || r.Annotations.Runbook != "docs/OPERATING.md#"+strings.ToLower(r.Alert) || r.Annotations.Summary == "" {
			t.Errorf("%s: no section, or no annotation that leads there: %v", r.Alert, r.Annotations)
		}
		if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels.Severity) {
			t.Errorf("%s has the severity %q", r.Alert, r.Labels.Severity)
		}
		delete(sections, r.Alert)
	}
	if len(sections) > 0 {
		t.Errorf("sections of alerts that there are not: %v", slices.Collect(maps.Keys(sections)))
	}
}

// scrapers are labels that Prometheus adds, and that people choose.
var scrapers = map[string]bool{"instance": true, "job": true, "route": true, "target": true}

var (
	selectors = regexp.MustCompile(`\b((?:tidegate|gen_ai|process|go)_[a-z0-9_]+)(?:\{([^}]*)\})?`)
	matchers  = regexp.MustCompile(`([a-z_]+)(=~|!=|=)"([^"]*)"`)
)

// unknown says what of an expression no scrape has: names, labels, and values of labels
// that come from lists in the code.
func unknown(known []series, expr string) (missing []string) {
	for _, selector := range selectors.FindAllStringSubmatch(expr, -1) {
		wanted := matchers.FindAllStringSubmatch(selector[2], -1)
		if !slices.ContainsFunc(known, func(s series) bool { return s.name == selector[1] && s.fits(wanted) }) {
			missing = append(missing, selector[0])
		}
	}
	return missing
}

// series are one of a scrape.
type series struct {
	name   string
	labels map[string]string
}

func (s series) fits(wanted [][]string) bool {
	for _, m := range wanted {
		value, has := s.labels[m[1]]
		fits := value == m[3]
		switch m[2] {
		case "=~":
			fits = regexp.MustCompile("^(" + m[3] + ")$").MatchString(value)
		case "!=":
			fits = value != m[3]
		}
		if !scrapers[m[1]] && (!has || !fits) {
			return false
		}
	}
	return true
}

// scraped is all that /metrics shows when everything has happened.
func scraped(t *testing.T) (all []series) {
	t.Helper()
	families, _ := scrape(t, busy(t))
	for name, family := range families {
		for _, m := range family.Metric {
			for _, suffix := range []string{"", "_bucket", "_sum", "_count"} {
				if (m.Histogram != nil) != (suffix != "") {
					continue
				}
				s := series{name + suffix, map[string]string{}}
				for _, l := range m.Label {
					s.labels[l.GetName()] = l.GetValue()
				}
				all = append(all, s)
			}
		}
	}
	return all
}

func TestAlertsNameWhatThereIs(t *testing.T) {
	t.Parallel()
	known := scraped(t)
	for _, r := range readRules(t) {
		if missing := unknown(known, r.Expr); len(missing) > 0 || !selectors.MatchString(r.Expr) {
			t.Errorf("%s: /metrics has no %s", r.Alert, missing)
		}
	}
	if missing := unknown(known, `max(tidegate_queue_jobs{state="wating"}) + tidegate_queue_jbos{route="x"} + tidegate_queue_jobs{stat!="x"}`); len(missing) != 3 {
		t.Errorf("the check would let anything pass: %v", missing)
	}
}
