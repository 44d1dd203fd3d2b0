package alerts

import (
	"context"
	"maps"
	"net/url"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/template"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// What is here runs the tests of the alert rules with Prometheus's own engine, parser and
// templates, as `promtool test rules` does, which takes minutes to build. Ours are alone
// the series in memory and the few lines of how an alert comes to fire.

const (
	rulesFolder = "../../../deploy/prometheus/"
	step        = time.Minute // between two evaluations
)

// A ruleTests is a file as promtool takes it.
type ruleTests struct {
	RuleFiles []string    `yaml:"rule_files"`
	Every     string      `yaml:"evaluation_interval"`
	Tests     []ruleGroup `yaml:"tests"`
}

type ruleGroup struct {
	Name     string
	Interval string
	Series   []struct{ Series, Values string } `yaml:"input_series"`
	Alerts   []alertTest                       `yaml:"alert_rule_test"`
}

type alertTest struct {
	At    string  `yaml:"eval_time"`
	Alert string  `yaml:"alertname"`
	Want  []alert `yaml:"exp_alerts"`
}

type alert struct {
	Labels      map[string]string `yaml:"exp_labels"`
	Annotations map[string]string `yaml:"exp_annotations"`
}

// inMemory are series as a test writes them.
type inMemory []*storage.SeriesEntry

// Querier is for storage.Queryable.
func (m inMemory) Querier(int64, int64) (storage.Querier, error) { return querier{series: m}, nil }

type querier struct {
	storage.LabelQuerier
	series inMemory
}

// Select is for storage.Querier.
func (q querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	var found []storage.Series
	for _, s := range q.series {
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(s.Labels().Get(m.Name)) }) {
			found = append(found, s)
		}
	}
	return &seriesSet{left: found}
}

// A seriesSet hands out series, one by one.
type seriesSet struct {
	left []storage.Series
	now  storage.Series
}

// Next is for storage.SeriesSet.
func (s *seriesSet) Next() bool {
	if len(s.left) == 0 {
		return false
	}
	s.now, s.left = s.left[0], s.left[1:]
	return true
}

// At is for storage.SeriesSet.
func (s *seriesSet) At() storage.Series { return s.now }

// Err is for storage.SeriesSet.
func (s *seriesSet) Err() error { return nil }

// Warnings is for storage.SeriesSet.
func (s *seriesSet) Warnings() annotations.Annotations { return nil }

// Close is for storage.Querier.
func (q querier) Close() error { return nil }

// readRules reads the rules by Prometheus's own reader.
func readRules(t *testing.T) []rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile(rulesFolder+"tidegate.rules.yaml", false, model.UTF8Validation, promQL, nil)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return groups.Groups[0].Rules
}

var promQL = parser.NewParser(parser.Options{})

func loaded(t *testing.T, g *ruleGroup) inMemory {
	t.Helper()
	var all inMemory
	for _, s := range g.Series {
		name, values, err := promQL.ParseSeriesDesc(s.Series + " " + s.Values)
		if err != nil {
			t.Fatalf("%s: %v", s.Series, err)
		}
		var samples []chunks.Sample
		for i, v := range values {
			if !v.Omitted {
				samples = append(samples, sample{timestamp.FromTime(time.Unix(0, 0).Add(time.Duration(i) * step)), v.Value})
			}
		}
		all = append(all, storage.NewListSeries(name, samples))
	}
	return all
}

// firing evaluates a rule minute by minute up to a time, and says what it fires then.
func firing(t *testing.T, engine *promql.Engine, series inMemory, rule *rulefmt.Rule, at time.Duration) []alert {
	t.Helper()
	since := map[uint64]time.Time{}
	var fires []alert
	for now := time.Unix(0, 0); !now.After(time.Unix(0, 0).Add(at)); now = now.Add(step) {
		fires = nil
		query, err := engine.NewInstantQuery(t.Context(), series, nil, rule.Expr, now)
		if err != nil {
			t.Fatal(err)
		}
		result := query.Exec(t.Context())
		vector, err := result.Vector()
		if err != nil {
			t.Fatalf("%s: %v", rule.Alert, err)
		}
		active := map[uint64]time.Time{}
		for _, s := range vector {
			key := s.Metric.Hash()
			active[key] = now
			if began, was := since[key]; was {
				active[key] = began
			}
			if now.Sub(active[key]) >= time.Duration(rule.For) {
				fires = append(fires, fired(t, rule, s, now))
			}
		}
		query.Close()
		since = active
	}
	return fires
}

// fired is what people are told.
func fired(t *testing.T, rule *rulefmt.Rule, s promql.Sample, now time.Time) alert {
	t.Helper()
	known := s.Metric.Map()
	delete(known, model.MetricNameLabel)
	a := alert{Labels: maps.Clone(known), Annotations: map[string]string{}}
	maps.Copy(a.Labels, rule.Labels)
	for name, text := range rule.Annotations {
		data := template.AlertTemplateData(known, nil, "", s)
		expanded, err := template.NewTemplateExpander(t.Context(), "{{$labels := .Labels}}{{$value := .Value}}"+text, rule.Alert, data,
			model.Time(timestamp.FromTime(now)), nil, &url.URL{}, nil).Expand()
		if err != nil {
			t.Fatal(err)
		}
		a.Annotations[name] = expanded
	}
	return a
}

// A sample is a number at a time.
type sample struct {
	at    int64
	value float64
}

func (s sample) T() int64                      { return s.at }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.value }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }

func TestAlertsFireAndStaySilent(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(rulesFolder + "tidegate.test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file ruleTests
	if err := yaml.UnmarshalWithOptions(text, &file, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if file.Every != "1m" || len(file.RuleFiles) != 1 {
		t.Fatalf("evaluated each %s, of %v", file.Every, file.RuleFiles)
	}
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1_000_000, Timeout: time.Minute, Parser: promQL})
	t.Cleanup(func() { _ = engine.Close() })
	rules := map[string]rulefmt.Rule{}
	for _, r := range readRules(t) {
		rules[r.Alert] = r
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	for i := range file.Tests {
		g := &file.Tests[i]
		series := loaded(t, g)
		for _, test := range g.Alerts {
			rule, known := rules[test.Alert]
			at, err := model.ParseDuration(test.At)
			if !known || err != nil || g.Interval != "1m" {
				t.Fatalf("%s: %s at %s: %v", g.Name, test.Alert, test.At, err)
			}
			got := firing(t, engine, series, &rule, time.Duration(at))
			fires[rule.Alert] = fires[rule.Alert] || len(test.Want) > 0
			silent[rule.Alert] = silent[rule.Alert] || len(test.Want) == 0
			if diff := cmp.Diff(append([]alert{}, test.Want...), append([]alert{}, got...)); diff != "" {
				t.Errorf("%s: %s after %s (-want +got):\n%s", g.Name, test.Alert, test.At, diff)
			}
		}
	}
	for name := range rules {
		if !fires[name] || !silent[name] {
			t.Errorf("%s: no test has it fire, or none has it be silent", name)
		}
	}
}
