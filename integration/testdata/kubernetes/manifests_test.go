package kubernetes

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const root = "../../../deploy/kubernetes/"

// A scaled is what of KEDA's ScaledObject is used here: its own types bring a controller
// along.
type scaled struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name      string            `json:"name"`
		Namespace string            `json:"namespace"`
		Labels    map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		ScaleTargetRef struct {
			Name string `json:"name"`
		} `json:"scaleTargetRef"`
		MinReplicaCount int32 `json:"minReplicaCount"`
		MaxReplicaCount int32 `json:"maxReplicaCount"`
		PollingInterval int32 `json:"pollingInterval"`
		CooldownPeriod  int32 `json:"cooldownPeriod"`
		Triggers        []struct {
			Type       string            `json:"type"`
			MetricType string            `json:"metricType"`
			Metadata   map[string]string `json:"metadata"`
		} `json:"triggers"`
	} `json:"spec"`
}

// kinds are those that may stand in a manifest, each with its type.
var kinds = map[string]func() any{
	"apps/v1 Deployment":                  func() any { return &apps.Deployment{} },
	"v1 Service":                          func() any { return &core.Service{} },
	"v1 ConfigMap":                        func() any { return &core.ConfigMap{} },
	"v1 Secret":                           func() any { return &core.Secret{} },
	"v1 Namespace":                        func() any { return &core.Namespace{} },
	"policy/v1 PodDisruptionBudget":       func() any { return &policy.PodDisruptionBudget{} },
	"networking.k8s.io/v1 NetworkPolicy":  func() any { return &networking.NetworkPolicy{} },
	"keda.sh/v1alpha1 ScaledObject":       func() any { return &scaled{} },
	"monitoring.coreos.com/v1 PodMonitor": func() any { return &monitoring.PodMonitor{} },
}

// build has kustomize put a folder together, and reads each object of it by its type: a
// field that there is not is an error.
func build(t *testing.T, folder string) []any {
	t.Helper()
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), root+folder)
	if err != nil {
		t.Fatal(err)
	}
	text, err := made.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	objects, err := decode(text)
	if err != nil {
		t.Fatalf("%s: %v", folder, err)
	}
	return objects
}

func decode(text []byte) (objects []any, err error) {
	for one := range bytes.SplitSeq(text, []byte("\n---\n")) {
		var meta struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
		}
		if err := yaml.Unmarshal(one, &meta); err != nil {
			return nil, err
		}
		what := meta.APIVersion + " " + meta.Kind
		if kinds[what] == nil {
			return nil, fmt.Errorf("there is no type for %s", what)
		}
		object := kinds[what]()
		if err := yaml.UnmarshalStrict(one, object); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		objects = append(objects, object)
	}
	return objects, nil
}

// all picks those of one type.
func all[T any](objects []any) (picked []*T) {
	for _, object := range objects {
		if one, is := object.(*T); is {
			picked = append(picked, one)
		}
	}
	return picked
}

// withOperator is an overlay of these tests: the base, with the component for the
// Prometheus operator.
const withOperator = "../../integration/testdata/kubernetes/operator"

var folders = []string{"base", "overlays/example", withOperator}

func TestManifestsAreOfTheirTypes(t *testing.T) {
	t.Parallel()
	for folder, want := range map[string]int{"base": 8, "overlays/example": 11, withOperator: 9} {
		if got := len(build(t, folder)); got != want {
			t.Errorf("%s has %d objects, want %d", folder, got, want)
		}
	}
	for wrong, says := range map[string]string{
		"apiVersion: apps/v1\nkind: Deployment\nspec: {replica: 2}":                      "replica",
		"apiVersion: v1\nkind: Service\nspec: {ports: [{port: eighty}]}":                 "int32",
		"apiVersion: extensions/v1beta1\nkind: Deployment":                               "there is no type",
		"apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nspec: {maxReplicas: 2}":       "maxReplicas",
		"apiVersion: policy/v1\nkind: PodDisruptionBudget\nspec: {minAvailable: {a: b}}": "minAvailable",
		"apiVersion: monitoring.coreos.com/v1\nkind: PodMonitor\nspec: {endpoints: []}":  "endpoints",
	} {
		if _, err := decode([]byte(wrong)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q is taken: %v", wrong, err)
		}
	}
}

// Pods may do what they need, and no more: as the restricted standard of Kubernetes has it.
func TestPodsAreConfined(t *testing.T) {
	t.Parallel()
	for _, folder := range folders {
		for _, d := range all[apps.Deployment](build(t, folder)) {
			pod := d.Spec.Template.Spec
			if s := pod.SecurityContext; s == nil || !is(s.RunAsNonRoot) || s.RunAsUser == nil || *s.RunAsUser == 0 || s.SeccompProfile == nil || s.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
				t.Errorf("%s: its pods are confined by %+v", d.Name, s)
			}
			if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
				t.Errorf("%s: its pods have a key to the cluster", d.Name)
			}
			for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
				s := c.SecurityContext
				if s == nil || !is(s.ReadOnlyRootFilesystem) || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) {
					t.Errorf("%s/%s: confined by %+v", d.Name, c.Name, s)
				}
				if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().Cmp(*c.Resources.Requests.Memory()) < 0 {
					t.Errorf("%s/%s: it asks for %+v", d.Name, c.Name, c.Resources)
				}
			}
		}
	}
}

func is(yes *bool) bool { return yes != nil && *yes }

// What selects something selects it: services, budgets, policies and scalers find their
// pods, ports have their names, and probes ask where somebody listens.
func TestManifestsFitTogether(t *testing.T) {
	t.Parallel()
	for _, folder := range folders {
		objects := build(t, folder)
		deployments := map[string]*apps.Deployment{}
		for _, d := range all[apps.Deployment](objects) {
			deployments[d.Name] = d
			if !selects(d.Spec.Selector.MatchLabels, d) {
				t.Errorf("%s does not select its own pods", d.Name)
			}
			checkProbes(t, d)
		}
		for _, s := range all[core.Service](objects) {
			if d := deployments["tidegate-serve"]; !selects(s.Spec.Selector, d) || ports(d)[s.Spec.Ports[0].TargetPort.StrVal] == 0 {
				t.Errorf("the service %s leads nowhere", s.Name)
			}
		}
		for _, b := range all[policy.PodDisruptionBudget](objects) {
			if !selects(b.Spec.Selector.MatchLabels, deployments[b.Name]) {
				t.Errorf("the budget %s is of nobody", b.Name)
			}
		}
		for _, p := range all[networking.NetworkPolicy](objects) {
			checkPolicy(t, p, deployments)
		}
		for _, m := range all[monitoring.PodMonitor](objects) {
			checkMonitor(t, m, deployments)
		}
		for _, s := range all[scaled](objects) {
			d := deployments[s.Spec.ScaleTargetRef.Name]
			if d == nil || d.Spec.Replicas != nil || s.Metadata.Namespace != d.Namespace {
				t.Errorf("the scaler %s scales %+v", s.Metadata.Name, d)
			}
		}
	}
}

func selects(labels map[string]string, d *apps.Deployment) bool {
	for name, value := range labels {
		if d == nil || d.Spec.Template.Labels[name] != value {
			return false
		}
	}
	return len(labels) > 1 // by the program and its part: not the pods of others
}

// checkMonitor holds that Prometheus finds the pods of every part, by a port that they have,
// where they listen for it and are let be asked.
func checkMonitor(t *testing.T, m *monitoring.PodMonitor, deployments map[string]*apps.Deployment) {
	t.Helper()
	for name, d := range deployments {
		if m.Namespace != d.Namespace || len(m.Spec.Selector.MatchLabels) == 0 {
			t.Errorf("%s looks in %q, by %v", m.Name, m.Namespace, m.Spec.Selector.MatchLabels)
		}
		for label, value := range m.Spec.Selector.MatchLabels {
			if d.Spec.Template.Labels[label] != value {
				t.Errorf("%s does not find %s", m.Name, name)
			}
		}
		for _, label := range m.Spec.PodTargetLabels {
			if d.Spec.Template.Labels[label] == "" {
				t.Errorf("%s: pods of %s have no label %s", m.Name, name, label)
			}
		}
		for _, e := range m.Spec.PodMetricsEndpoints {
			port := ""
			if e.Port != nil {
				port = *e.Port
			}
			if fmt.Sprint(ports(d)[port]) != d.Spec.Template.Annotations["prometheus.io/port"] || e.Path != "" && e.Path != "/metrics" {
				t.Errorf("%s asks %s at the port %q for %q", m.Name, name, port, e.Path)
			}
		}
	}
	if len(m.Spec.PodMetricsEndpoints) != 1 || len(deployments) == 0 {
		t.Errorf("%s asks %d ports of %d", m.Name, len(m.Spec.PodMetricsEndpoints), len(deployments))
	}
}

func ports(d *apps.Deployment) map[string]int32 {
	named := map[string]int32{}
	for _, c := range d.Spec.Template.Spec.Containers {
		for _, p := range c.Ports {
			named[p.Name] = p.ContainerPort
		}
	}
	return named
}

func checkProbes(t *testing.T, d *apps.Deployment) {
	t.Helper()
	pod := d.Spec.Template.Spec
	if at := d.Spec.Template.Annotations; at["prometheus.io/scrape"] != "true" || at["prometheus.io/port"] != fmt.Sprint(ports(d)["metrics"]) {
		t.Errorf("%s: Prometheus is told of %v", d.Name, at)
	}
	for _, c := range pod.Containers {
		for path, probe := range map[string]*core.Probe{"/healthz": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
			if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path || ports(d)[probe.HTTPGet.Port.StrVal] == 0 {
				t.Errorf("%s/%s: %s is asked by %+v", d.Name, c.Name, path, probe)
			}
		}
	}
	var settings struct {
		Worker struct {
			Timeout string `json:"shutdown_timeout"`
		} `json:"worker"`
	}
	for _, folder := range folders {
		for _, config := range all[core.ConfigMap](build(t, folder)) {
			if err := yaml.Unmarshal([]byte(config.Data["tidegate.yaml"]), &settings); err != nil {
				t.Fatal(err)
			}
		}
		calls, err := time.ParseDuration(settings.Worker.Timeout)
		if grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second; err != nil || grace < calls+20*time.Second {
			t.Errorf("%s is killed after %s; calls have %s: %v", d.Name, grace, calls, err)
		}
	}
}

func checkPolicy(t *testing.T, p *networking.NetworkPolicy, deployments map[string]*apps.Deployment) {
	t.Helper()
	if len(p.Spec.PodSelector.MatchLabels) == 0 {
		t.Errorf("%s is for the pods of everybody", p.Name)
	}
	for _, in := range p.Spec.Ingress {
		for _, port := range in.Ports {
			found := false
			for _, d := range deployments {
				found = found || ports(d)[port.Port.StrVal] != 0
			}
			if !found || len(in.From) == 0 {
				t.Errorf("%s lets in %s from %+v", p.Name, port.Port.StrVal, in.From)
			}
		}
		for _, from := range in.From {
			if from.PodSelector != nil {
				t.Errorf("%s: labels are added to the selector of %+v", p.Name, from)
			}
		}
	}
	for _, out := range p.Spec.Egress {
		for _, to := range out.To {
			if to.PodSelector != nil {
				t.Errorf("%s: labels are added to the selector of %+v", p.Name, to)
			}
		}
	}
}

// Pods reach what they need: names, Postgres, NATS, providers, and a collector of spans.
func TestPolicyLetsOutWhatIsNeeded(t *testing.T) {
	t.Parallel()
	out := map[string]bool{}
	for _, p := range all[networking.NetworkPolicy](build(t, "base")) {
		for _, rule := range p.Spec.Egress {
			for _, port := range rule.Ports {
				out[fmt.Sprint(*port.Protocol, " ", port.Port.IntVal)] = true
			}
		}
	}
	for _, port := range []string{"UDP 53", "TCP 53", "TCP 5432", "TCP 4222", "TCP 443", "TCP 4318", "TCP 4317"} {
		if !out[port] {
			t.Errorf("%s is shut: %v", port, out)
		}
	}
}

// Every variable that the configuration names is in the Secret.
func TestConfigurationFindsItsVariables(t *testing.T) {
	t.Parallel()
	objects := build(t, "overlays/example")
	secret := all[core.Secret](objects)[0]
	for _, config := range all[core.ConfigMap](objects) {
		for _, part := range strings.Split(config.Data["tidegate.yaml"], "${")[1:] {
			name, _, _ := strings.Cut(part, "}")
			if secret.Data[name] == nil {
				t.Errorf("%s is not in the Secret", name)
			}
		}
	}
	for _, d := range all[apps.Deployment](objects) {
		for _, c := range slices.Concat(d.Spec.Template.Spec.InitContainers, d.Spec.Template.Spec.Containers) {
			if len(c.EnvFrom) != 1 || c.EnvFrom[0].SecretRef.Name != secret.Name || c.VolumeMounts[0].MountPath != "/etc/tidegate" {
				t.Errorf("%s/%s has %+v", d.Name, c.Name, c.EnvFrom)
			}
		}
	}
}
