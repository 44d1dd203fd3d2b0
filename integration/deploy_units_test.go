package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"tidegate/cmd/app"
	"tidegate/cmd/app/config"
	"tidegate/routing/provider"
)

const (
	unitFiles = "../deploy/systemd"
	manifests = "../deploy/kubernetes"
)

// A unit is the settings of a systemd unit, by section and name.
type unit map[string][]string

func readUnit(t *testing.T, path string) unit {
	t.Helper()
	settings, section := unit{}, ""
	for line := range strings.Lines(read(t, path)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]")
		default:
			name, value, found := strings.Cut(line, "=")
			if !found || section == "" {
				t.Fatalf("%s: %q is no setting", path, line)
			}
			settings[section+"."+name] = append(settings[section+"."+name], value)
		}
	}
	return settings
}

// Units run what there is, stop in order, start again, and may do little else.
func TestSystemdUnits(t *testing.T) {
	t.Parallel()
	for name, run := range map[string][]string{"tidegate-serve": {"serve"}, "tidegate-work@": {"work"}, "tidegate-migrate": {"migrate"}} {
		u := readUnit(t, filepath.Join(unitFiles, name+".service"))
		words := strings.Fields(u["Service.ExecStart"][0])
		if words[0] != "/usr/local/bin/tidegate" {
			t.Errorf("%s runs %v", name, words)
		}
		if command, rest, err := app.New().Find(words[1:]); err != nil || command.Name() != run[0] || len(rest) > 0 {
			t.Errorf("%s runs %v, which is %s: %v", name, words, command.Name(), err)
		}
		for setting, want := range map[string]string{
			"NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes", "DynamicUser": "yes",
			"UMask": "0077", "EnvironmentFile": "/etc/tidegate/environment",
		} {
			if got := u["Service."+setting]; len(got) == 0 || got[0] != want {
				t.Errorf("%s: %s=%v, want %q", name, setting, got, want)
			}
		}
		if run[0] == "migrate" {
			continue
		}
		stops, err := time.ParseDuration(u["Service.TimeoutStopSec"][0])
		if err != nil || stops < config.DefaultShutdownTimeout+20*time.Second {
			t.Errorf("%s is killed after %v, and calls have %s: %v", name, stops, config.DefaultShutdownTimeout, err)
		}
		if !slices.Equal(u["Service.Restart"], []string{"always"}) || !slices.Equal(u["Unit.Requires"], []string{"tidegate-migrate.service"}) || !strings.Contains(u["Unit.After"][0], "tidegate-migrate.service") || !strings.Contains(u["Service.ExecReload"][0], "-HUP") {
			t.Errorf("%s: %v", name, u)
		}
	}
}

// Where systemd is, it takes them: an instance of work, and with the program in its place.
func TestSystemdTakesTheUnits(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("there is no systemd-analyze here: TestSystemdUnits reads the units")
		return
	}
	dir := t.TempDir()
	var units []string
	for name, as := range map[string]string{"tidegate-serve": "tidegate-serve", "tidegate-work@": "tidegate-work@1", "tidegate-migrate": "tidegate-migrate"} {
		text := strings.ReplaceAll(read(t, filepath.Join(unitFiles, name+".service")), "/usr/local/bin/tidegate", "/bin/true") // it must be there
		path := filepath.Join(dir, as+".service")
		check(t, os.WriteFile(path, []byte(text), 0o600))
		units = append(units, path)
	}
	if said, err := exec.Command(analyze, append([]string{"verify"}, units...)...).CombinedOutput(); err != nil || strings.Contains(string(said), dir) {
		t.Errorf("systemd says: %v\n%s", err, said)
	}
}

// The configurations for clusters are good ones.
func TestManifestsHaveGoodConfigurations(t *testing.T) {
	t.Parallel()
	lookup := func(name string) (string, bool) {
		return map[string]string{
			"DATABASE_URL": "postgres://u@h/db", "NATS_URL": "nats://h", "OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k",
		}[name], true
	}
	for _, folder := range []string{"base", "overlays/example"} {
		path := filepath.Join(manifests, folder, "tidegate.yaml")
		if conf, warnings, err := config.Load(path, lookup, config.Known{Dialects: provider.Dialects()}); err != nil || len(warnings) > 0 || len(conf.Routes) != 1 {
			t.Errorf("%s: %v, %v", path, warnings, err)
		}
	}
}

// What KEDA asks is a number of seconds, and not that of routes that are paused.
func TestScalerAsksForTheAge(t *testing.T) {
	t.Parallel()
	var object struct {
		Spec struct {
			Triggers []struct{ Metadata map[string]string }
		}
	}
	check(t, yaml.Unmarshal([]byte(read(t, filepath.Join(manifests, "components/keda/scaledobject.yaml"))), &object))
	query := object.Spec.Triggers[0].Metadata["query"]
	st := newStage(t, staging{})
	st.prepare()
	age := func() (seconds float64) {
		check(t, st.Pool.QueryRow(t.Context(), query).Scan(&seconds))
		return seconds
	}
	if got := age(); got != 0 {
		t.Errorf("while nothing waits it is %v", got)
	}
	st.enqueue(3, nil)
	_, err := st.Pool.Exec(t.Context(), "UPDATE tidegate.river_job SET scheduled_at = now() - interval '10 minutes' WHERE id = (SELECT min(id) FROM tidegate.river_job)")
	check(t, err)
	if got := age(); got < 600 || got > 700 {
		t.Errorf("the oldest has waited for ten minutes, and it is %v", got)
	}
	_, err = st.Pool.Exec(t.Context(), "INSERT INTO tidegate.pauses (route, owner) VALUES ($1, 'circuit')", summaries)
	check(t, err)
	if got := age(); got != 0 {
		t.Errorf("of a route that is paused it is %v", got)
	}
}
