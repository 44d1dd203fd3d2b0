package integration

import (
	"encoding/json"
	"go/ast"
	"go/token"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidegate/cmd/app"
	"tidegate/cmd/app/config"
)

// find asks the program for the command that args name and lets it parse
// their flags; nothing is run.
func find(t *testing.T, args []string) (defaults func(flag string) string) {
	t.Helper()
	root := app.New()
	verb, rest, err := root.Find(args)
	if err != nil || verb == root {
		t.Fatalf("the program has no verb for %q: %v", args, err)
	}
	if err := verb.ParseFlags(rest); err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	if err := verb.ValidateArgs(verb.Flags().Args()); err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return func(flag string) string { return verb.Flag(flag).DefValue }
}

// TestComposeSpeaksTheProgramsVerbs: every command and health check that runs
// the program is one that it has, with flags that it has.
func TestComposeSpeaksTheProgramsVerbs(t *testing.T) {
	t.Parallel()
	for name, service := range readComposition(t).Services {
		if !service.ours() {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			find(t, service.Command)
			if test := service.Healthcheck.Test; len(test) > 0 {
				if len(test) < 3 || test[0] != "CMD" || test[1] != "/tidegate" {
					t.Fatalf("the health check is %q: the image has nothing but /tidegate", test)
				}
				find(t, test[2:])
			}
		})
	}
}

func TestImageSpeaksTheProgramsVerbs(t *testing.T) {
	t.Parallel()
	all := stages(t)
	var args []string
	if err := json.Unmarshal([]byte(value(all[len(all)-1], "CMD")), &args); err != nil {
		t.Fatalf("CMD is not in exec form, and the image has no shell: %v", err)
	}
	if service := readComposition(t).Services["serve"]; !slices.Equal(args, service.Command) {
		t.Errorf("the image runs %q and compose %q", args, service.Command)
	}
	find(t, args)
}

// TestComposePublishesDefaultPorts: what a person has learnt on one machine
// holds for containers.
func TestComposePublishesDefaultPorts(t *testing.T) {
	t.Parallel()
	services := readComposition(t).Services
	for name, verb := range map[string]string{"serve": "serve", "simulator": "simulate"} {
		address := find(t, []string{verb})("listen")
		_, port, err := net.SplitHostPort(address)
		if err != nil || !slices.Equal(services[name].inside(), []string{port}) {
			t.Errorf("tidegate %s listens on %s, compose publishes %v", verb, address, services[name].Ports)
		}
	}
}

// TestProgramReadsTheEnvironment that compose sets: each name is a string in
// the program's source.
func TestProgramReadsTheEnvironment(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, file := range readTree(t, os.DirFS("..")).sources {
		if file.test || file.room != "cmd/app" && file.room != "cmd/app/config" {
			continue
		}
		ast.Inspect(file.File, func(node ast.Node) bool {
			if text, ok := node.(*ast.BasicLit); ok && text.Kind == token.STRING {
				if name, err := strconv.Unquote(text.Value); err == nil {
					known[name] = true
				}
			}
			return true
		})
	}
	for name, service := range readComposition(t).Services {
		if !service.ours() {
			continue
		}
		for variable := range maps.Keys(service.Environment) {
			if !known[variable] {
				t.Errorf("%s sets %s, which the program does not read", name, variable)
			}
		}
	}
}

// TestConfigurationsAreTaken by the program's own parser, without a warning and
// with everything set that they ask for.
func TestConfigurationsAreTaken(t *testing.T) {
	t.Parallel()
	environment := map[string]string{
		"DATABASE_URL": "postgres://tidegate@127.0.0.1:5432/tidegate",
		"NATS_URL":     "nats://127.0.0.1:4222",
	}
	lookup := func(name string) (string, bool) {
		if strings.HasSuffix(name, "_API_KEY") {
			return "a-key", true
		}
		value, set := environment[name]
		return value, set
	}
	for _, name := range []string{composeConfig, exampleConfig} {
		conf, warnings, err := config.Load(name, lookup, config.Known{})
		if err != nil || len(warnings) > 0 {
			t.Fatalf("%s: %v %v", name, err, warnings)
		}
		if conf.Postgres.Reveal() != environment["DATABASE_URL"] || conf.NATS.Reveal() != environment["NATS_URL"] {
			t.Errorf("%s does not take Postgres and NATS from the environment", name)
		}
	}
}

// TestComposeHasTheSimulatedProviders that one machine has, at the simulator's
// address.
func TestComposeHasTheSimulatedProviders(t *testing.T) {
	t.Parallel()
	got, _, err := config.Load(composeConfig, func(string) (string, bool) { return "", false }, config.Known{})
	if err != nil {
		t.Fatal(err)
	}
	want := config.DefaultSimulated("http://simulator:8090")
	if diff := cmp.Diff(want.Targets, got.Targets); diff != "" {
		t.Errorf("targets (-one machine +compose):\n%s", diff)
	}
	if diff := cmp.Diff(want.Routes, got.Routes); diff != "" {
		t.Errorf("routes (-one machine +compose):\n%s", diff)
	}
}
