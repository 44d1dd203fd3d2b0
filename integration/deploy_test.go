package integration

import (
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/schema"
	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

// What is here stands in for an engine, which a machine that tests need not
// have: docker-compose.yml, the Dockerfile and the configuration are held to
// their formats, to each other and, in deploy_verbs_test.go, to the program.

const (
	composeFile   = "../docker-compose.yml"
	dockerfile    = "../deploy/Dockerfile"
	composeConfig = "../deploy/compose/tidegate.yaml"
	exampleConfig = "../deploy/tidegate.example.yaml"
)

// A composition is what these tests read of docker-compose.yml.
type composition struct {
	Services map[string]service
	Volumes  map[string]any
}

type service struct {
	Image string
	Build struct {
		Context    string
		Dockerfile string
	}
	Command     []string
	Environment map[string]string
	Volumes     []string
	Ports       []string
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	Healthcheck struct{ Test []string }
	CapDrop     []string `yaml:"cap_drop"`
	ReadOnly    bool     `yaml:"read_only"`
}

// ours tells whether the service runs the program.
func (s service) ours() bool { return s.Build.Dockerfile != "" }

// inside are the ports that the service's containers listen on, as published.
func (s service) inside() (ports []string) {
	for _, port := range s.Ports {
		ports = append(ports, port[strings.LastIndex(port, ":")+1:])
	}
	return ports
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func decode(t *testing.T, name string, into any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(read(t, name)), into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func readComposition(t *testing.T) composition {
	t.Helper()
	var file composition
	decode(t, composeFile, &file)
	return file
}

func TestComposeFollowsItsSchema(t *testing.T) {
	t.Parallel()
	var file map[string]any
	decode(t, composeFile, &file)
	if err := schema.Validate(file); err != nil {
		t.Errorf("%s: %v", composeFile, err)
	}
	file["services"].(map[string]any)["serve"].(map[string]any)["prots"] = []any{"1:1"}
	if schema.Validate(file) == nil {
		t.Error("the schema let a misspelt key pass")
	}
}

func TestComposeHasEveryService(t *testing.T) {
	t.Parallel()
	file := readComposition(t)
	want := []string{"migrate", "nats", "postgres", "serve", "simulator", "work"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(file.Services))); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
	for name, service := range file.Services {
		for _, port := range service.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s: port %s is published beyond this machine", name, port)
			}
		}
		if !service.ours() {
			continue
		}
		if filepath.Join("..", service.Build.Context, service.Build.Dockerfile) != dockerfile {
			t.Errorf("%s is built from %+v", name, service.Build)
		}
		if !service.ReadOnly || !slices.Equal(service.CapDrop, []string{"ALL"}) {
			t.Errorf("%s may write its own image or keeps capabilities", name)
		}
	}
	if nats := strings.Join(file.Services["nats"].Command, " "); !strings.Contains(nats, "-js -sd /data") {
		t.Errorf("nats runs %q: JetStream must be on, and kept", nats)
	}
}

// TestComposeStartsInOrder: whoever is waited for can say that it is ready,
// and nothing of ours touches a table before it is there.
func TestComposeStartsInOrder(t *testing.T) {
	t.Parallel()
	services := readComposition(t).Services
	for name, service := range services {
		for other, on := range service.DependsOn {
			awaited, there := services[other]
			if !there {
				t.Errorf("%s waits for %s, which is no service", name, other)
			}
			if on.Condition == "service_healthy" && len(awaited.Healthcheck.Test) < 2 {
				t.Errorf("%s waits until %s is healthy, which never says so", name, other)
			}
		}
	}
	for _, name := range []string{"serve", "work"} {
		for other, condition := range map[string]string{
			"postgres": "service_healthy", "nats": "service_healthy", "migrate": "service_completed_successfully",
		} {
			if got := services[name].DependsOn[other].Condition; got != condition {
				t.Errorf("%s waits for %s until %q, want %q", name, other, got, condition)
			}
		}
	}
}

// TestComposeKeepsData: what Postgres and NATS store is on named volumes.
func TestComposeKeepsData(t *testing.T) {
	t.Parallel()
	file := readComposition(t)
	for name, folder := range map[string]string{"postgres": "/var/lib/postgresql/data", "nats": "/data"} {
		if !slices.Contains(file.Services[name].Volumes, name+":"+folder) {
			t.Errorf("%s keeps %v, want %s on a volume", name, file.Services[name].Volumes, folder)
		}
		if _, named := file.Volumes[name]; !named {
			t.Errorf("there is no volume %s", name)
		}
	}
}

// TestComposeAddresses: each URL in the environment and the configuration
// names a service and a port that this service listens on.
func TestComposeAddresses(t *testing.T) {
	t.Parallel()
	services := readComposition(t).Services
	listens := func(whose, address string) {
		t.Helper()
		parsed, err := url.Parse(address)
		if err != nil {
			t.Errorf("%s: %v", whose, err)
			return
		}
		if !slices.Contains(services[parsed.Hostname()].inside(), parsed.Port()) {
			t.Errorf("%s goes to %s, where nothing listens", whose, parsed.Host)
		}
	}
	passwords := regexp.MustCompile(`\$\{\w+:-(\w+)\}`)
	for name, service := range services {
		if !service.ours() {
			continue
		}
		listens(name+" DATABASE_URL", passwords.ReplaceAllString(service.Environment["DATABASE_URL"], "$1"))
		listens(name+" NATS_URL", service.Environment["NATS_URL"])
		if i := slices.Index(service.Command, "--listen"); i >= 0 {
			_, port, err := net.SplitHostPort(service.Command[i+1])
			if err != nil || !slices.Equal(service.inside(), []string{port}) {
				t.Errorf("%s listens on %s and publishes %v", name, service.Command[i+1], service.Ports)
			}
		}
	}
	var config struct {
		Targets []struct {
			Name    string
			BaseURL string `yaml:"base_url"`
		}
	}
	decode(t, composeConfig, &config)
	for _, target := range config.Targets {
		listens("target "+target.Name, target.BaseURL)
	}
}

var variable = regexp.MustCompile(`\$\{(\w+)\}`)

// variables are the names of the environment that a configuration uses, but
// for those in comments.
func variables(t *testing.T, name string) (names []string) {
	t.Helper()
	var tree any
	decode(t, name, &tree)
	text, err := yaml.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range variable.FindAllStringSubmatch(string(text), -1) {
		names = append(names, match[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// TestComposeMountsItsConfiguration: the file is there, lies where the
// program is told to look, and uses no variable that is not set.
func TestComposeMountsItsConfiguration(t *testing.T) {
	t.Parallel()
	for name, service := range readComposition(t).Services {
		if !service.ours() {
			continue
		}
		source, target, _ := strings.Cut(strings.Join(service.Volumes, " "), ":")
		if filepath.Join("..", source) != composeConfig || target != service.Environment["TIDEGATE_CONFIG"]+":ro" {
			t.Errorf("%s mounts %v and reads %s", name, service.Volumes, service.Environment["TIDEGATE_CONFIG"])
		}
		want := append(variables(t, composeConfig), "TIDEGATE_CONFIG")
		slices.Sort(want)
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(service.Environment))); diff != "" {
			t.Errorf("%s: environment (-used +set):\n%s", name, diff)
		}
	}
}

// An instruction is one of a Dockerfile, its lines joined.
type instruction struct{ verb, rest string }

// stages splits the Dockerfile at each FROM.
func stages(t *testing.T) (all [][]instruction) {
	t.Helper()
	text := strings.ReplaceAll(read(t, dockerfile), "\\\n", " ")
	for line := range strings.Lines(text) {
		line = strings.Join(strings.Fields(line), " ")
		if line == "" || line[0] == '#' {
			continue
		}
		verb, rest, _ := strings.Cut(line, " ")
		if verb == "FROM" {
			all = append(all, nil)
		}
		if len(all) == 0 {
			t.Fatalf("%s: %s stands before the first FROM", dockerfile, line)
		}
		all[len(all)-1] = append(all[len(all)-1], instruction{verb, rest})
	}
	return all
}

// value is what the last instruction of that verb says.
func value(stage []instruction, verb string) (rest string) {
	for _, step := range stage {
		if step.verb == verb {
			rest = step.rest
		}
	}
	return rest
}

func TestDockerfileBuildsStatically(t *testing.T) {
	t.Parallel()
	all := stages(t)
	if len(all) != 2 {
		t.Fatalf("%d stages, want one that builds and one that runs", len(all))
	}
	build := value(all[0], "RUN")
	for _, want := range []string{
		"CGO_ENABLED=0", "-trimpath", "type=cache,target=/go/pkg/mod", "type=cache,target=/root/.cache/go-build",
		"-X tidegate/cmd/app.version=$VERSION", "-o /out/tidegate ./cmd/tidegate",
	} {
		if !strings.Contains(build, want) {
			t.Errorf("the build lacks %q: %s", want, build)
		}
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "../go.mod"))
	if version == nil || !strings.HasSuffix(all[0][0].rest, "golang:"+version[1]+" AS build") {
		t.Errorf("it is built with %q, and go.mod says %v", all[0][0].rest, version)
	}
	if !strings.Contains(read(t, "../Makefile"), "-X tidegate/cmd/app.version=") {
		t.Error("make build and the image set different version variables")
	}
}

func TestDockerfileRunsAsNobody(t *testing.T) {
	t.Parallel()
	all := stages(t)
	final := all[len(all)-1]
	want := map[string]string{
		"FROM": "scratch", "USER": "65532:65532", "ENTRYPOINT": `["/tidegate"]`, "EXPOSE": "8080",
		"COPY": "--from=build /out/tidegate /tidegate",
	}
	for verb, rest := range want {
		if got := value(final, verb); got != rest {
			t.Errorf("%s %s, want %s", verb, got, rest)
		}
	}
	certificates := instruction{"COPY", "--from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/"}
	if !slices.Contains(final, certificates) {
		t.Error("the image has no certificates: no call to a provider could be trusted")
	}
	if value(final, "RUN") != "" {
		t.Error("the last stage runs something, and has nothing to run it with")
	}
	if ports := readComposition(t).Services["serve"].inside(); !slices.Equal(ports, strings.Fields(value(final, "EXPOSE"))) {
		t.Errorf("serve listens on %v, the image exposes %s", ports, value(final, "EXPOSE"))
	}
}

// TestImageGetsEverySource copies what .dockerignore lets through and asks the
// go command whether the program is whole: a new folder that nobody let in
// would break the build of the image, and nothing else.
func TestImageGetsEverySource(t *testing.T) {
	t.Parallel()
	context := t.TempDir()
	lines := strings.Fields(read(t, "../.dockerignore"))
	if !slices.Contains(lines, "*") {
		t.Error(".dockerignore must begin by keeping everything out")
	}
	for _, line := range lines {
		if allowed, ok := strings.CutPrefix(line, "!"); ok {
			copySources(t, filepath.Join("..", allowed), filepath.Join(context, allowed))
		}
	}
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/tidegate")
	list.Dir = context
	list.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly")
	complaints := &strings.Builder{}
	list.Stderr = complaints
	if err := list.Run(); err != nil {
		t.Errorf("the image lacks sources: %v\n%s", err, complaints)
	}
}

// copySources copies a file or a folder, less what .dockerignore keeps out of
// every folder: tests and their data.
func copySources(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(name string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if entry.Name() == "testdata" {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, "_test.go") {
			return nil
		}
		rest, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rest)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(target, text, 0o644)
	})
	if err != nil {
		t.Error(err)
	}
}

// TestCIRunsMakeCI: a developer's `make ci` and both descriptions of CI are
// one and the same.
func TestCIRunsMakeCI(t *testing.T) {
	t.Parallel()
	if !strings.HasSuffix(read(t, "../.ci/run"), "\nexec make ci\n") {
		t.Error(".ci/run does not end in make ci")
	}
	var workflow struct {
		Permissions map[string]string
		Jobs        map[string]struct {
			Timeout int `yaml:"timeout-minutes"`
			Steps   []struct {
				Run string
			}
		}
	}
	decode(t, "../.github/workflows/ci.yml", &workflow)
	if diff := cmp.Diff(map[string]string{"contents": "read"}, workflow.Permissions); diff != "" {
		t.Errorf("permissions (-want +got):\n%s", diff)
	}
	job := workflow.Jobs["ci"]
	if len(job.Steps) == 0 || job.Steps[len(job.Steps)-1].Run != "make ci" || job.Timeout == 0 {
		t.Errorf("the workflow does not end in make ci, within a time: %+v", job)
	}
}

// TestMakeHelpExplainsEveryTarget but those that only other targets use.
func TestMakeHelpExplainsEveryTarget(t *testing.T) {
	t.Parallel()
	makefile := read(t, "../Makefile")
	helped, err := exec.CommandContext(t.Context(), "make", "-s", "-C", "..").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`(?m)^\.PHONY: (\S+)$`).FindAllStringSubmatch(makefile, -1) {
		explained := regexp.MustCompile(`(?m)^  ` + match[1] + ` +\S`).Match(helped)
		if !explained && match[1] != "race-ready" {
			t.Errorf("make help says nothing of %s", match[1])
		}
	}
}
