package integration

import (
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// floors is the drawing of the house: a package imports packages of lower
// floors only, never its neighbours. A room may be drawn before it is built.
var floors = map[string]int{
	"cmd/tidegate": 6,

	"cmd/app": 5,

	"cmd/app/config":         4,
	"routing/replay/logfile": 4,
	"routing/replay/page":    4,

	"routing/replay": 3,

	"cmd/app/dashboard": 2,
	"cmd/app/riverpage": 2,
	"cmd/app/metrics":   2,
	"cmd/app/tracing":   2,
	"deploy/embedded":   2,
	"jobs/batchapi":     2,
	"jobs/queue":        2,
	"routing":           2,
	"routing/prices":    2,
	"routing/provider":  2,
	"routing/simulator": 2,
	"worker":            2,
	"worker/publish":    2,
	"worker/webhook":    2,

	"jobs/expect": 1,
	"store":       1,

	"jobs":       0,
	"migrations": 0,
}

// homes gives every library outside the standard one its only importers. A
// library without a row has no home, and nobody imports it. jobs stands in no
// row: it imports the standard library alone.
var homes = map[string][]string{
	"charm.land/bubbletea":                  {"cmd/app"},
	"github.com/charmbracelet/x/ansi":       {"cmd/app"},
	"github.com/failsafe-go/failsafe-go":    {"routing"},
	"github.com/fsnotify/fsnotify":          {"cmd/app"},
	"github.com/go-analyze/charts":          {"cmd/app/dashboard", "routing/replay/page"},
	"github.com/goccy/go-yaml":              {"cmd/app", "cmd/app/config"},
	"github.com/google/uuid":                {"cmd/app", "jobs/queue", "store", "worker"},
	"github.com/jackc/pgx":                  {"cmd/app", "cmd/app/riverpage", "deploy/embedded", "jobs/queue", "migrations", "store", "worker"},
	"github.com/nats-io":                    {"cmd/app", "deploy/embedded", "worker/publish"},
	"github.com/parquet-go/parquet-go":      {"routing/replay/logfile"},
	"github.com/prometheus/client_golang":   {"cmd/app/metrics"},
	"github.com/riverqueue/river":           {"cmd/app/riverpage", "jobs/queue", "migrations", "worker"},
	"github.com/rs/zerolog":                 {"cmd/app", "cmd/app/dashboard", "cmd/app/riverpage", "jobs/batchapi", "worker", "worker/publish"},
	"github.com/santhosh-tekuri/jsonschema": {"jobs/expect"},
	"github.com/spf13":                      {"cmd/app"},
	"github.com/tiktoken-go/tokenizer":      {"routing"},
	"github.com/vbauerster/mpb":             {"cmd/app"},
	"go.opentelemetry.io/otel":              {"cmd/app/tracing"},
	"golang.org/x/sync":                     {"cmd/app", "routing", "routing/replay/logfile", "worker"},
	"golang.org/x/sys":                      {"cmd/app", "deploy/embedded"},
	"golang.org/x/term":                     {"cmd/app"},
	"riverqueue.com/riverui":                {"cmd/app/riverpage"},
	"golang.org/x/time":                     {"routing"},
}

// guests take a library as far as these names and no further: the producer's
// transaction passes through, a pool goes to River, and SQL stays in store.
var guests = map[string]map[string][]string{
	"cmd/app/riverpage": {"github.com/jackc/pgx/v5": {"Tx"}, "github.com/jackc/pgx/v5/pgxpool": {"Pool"}},
	"jobs/queue":        {"github.com/jackc/pgx/v5": {"BeginFunc", "Tx"}, "github.com/jackc/pgx/v5/pgxpool": {"Pool"}},
	"worker":            {"github.com/jackc/pgx/v5": {"BeginFunc", "Tx"}, "github.com/jackc/pgx/v5/pgxpool": {"Pool"}},
}

// folders are the only ones at the top, beside those that begin with a dot and
// bin, which make fills.
var folders = []string{"bin", "cmd", "deploy", "docs", "integration", "jobs", "migrations", "routing", "store", "worker"}

// Sizes that no function, file or interface passes. Tests may be longer.
const (
	maxFunctionLines    = 60
	maxFileLines        = 400
	maxInterfaceMethods = 4
)

func TestArchitecture(t *testing.T) {
	t.Parallel()
	house := readTree(t, os.DirFS(".."))
	if len(house.sources) == 0 {
		t.Fatal("there is no Go file in the house: the test looks at the wrong folder")
	}
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, finding := range rule(house) {
				t.Error(finding)
			}
		})
	}
}

// TestArchitectureRejects runs the same rules over small houses that are wrong
// in one way each. What must be found, all of it, is in the house's want.txt.
func TestArchitectureRejects(t *testing.T) {
	t.Parallel()
	cases, err := fs.Sub(os.DirFS("testdata"), "architecture")
	if err != nil {
		t.Fatal(err)
	}
	entries, err := fs.ReadDir(cases, ".")
	if err != nil {
		t.Fatal(err)
	}
	proven := map[string]bool{}
	for _, entry := range entries {
		house, err := fs.Sub(cases, entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		got := findings(readTree(t, house), proven)
		want, err := fs.ReadFile(house, "want.txt")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.Split(strings.TrimSpace(string(want)), "\n"), got); diff != "" {
			t.Errorf("%s: findings (-want +got):\n%s", entry.Name(), diff)
		}
	}
	for name := range rules {
		if !proven[name] {
			t.Errorf("no house under testdata/architecture breaks the rule %q", name)
		}
	}
}

// findings runs every rule and marks those that found something as proven.
func findings(house *tree, proven map[string]bool) []string {
	var all []string
	for name, rule := range rules {
		found := rule(house)
		proven[name] = proven[name] || len(found) > 0
		all = append(all, found...)
	}
	slices.Sort(all)
	return all
}
