package bench

import (
	"strings"
	"testing"

	"tidegate/cmd/app/config"
	"tidegate/jobs"
)

// The program takes the configuration that is written for it.
func TestConfigIsValid(t *testing.T) {
	t.Parallel()
	text := configText("postgres://tidegate@/hold?host=%2Ftmp%2Fa", "nats://127.0.0.1:4222", StageConfig{
		Provider: &Provider{BaseURL: "http://127.0.0.1:4711/hold/v1"}, Concurrency: 25, RequestsPerMinute: 30_000, Admission: jobs.AdmissionFair, MaxLines: 70_000, MaxBytes: 1 << 30,
	})
	conf, warnings, err := config.Parse([]byte(text), "bench.yaml", func(string) (string, bool) { return "", false }, config.Known{})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v, warnings %v, of\n%s", err, warnings, text)
	}
	_, routes := conf.Build()
	if len(routes) != 1 || routes[0].Name != Route || len(routes[0].Chain) != 1 || routes[0].Chain[0].Name != Route {
		t.Errorf("its routes are %+v", routes)
	}
	if routes[0].Admission != jobs.AdmissionFair {
		t.Errorf("its admission is %q", routes[0].Admission)
	}
	if !strings.Contains(text, "limits: {requests_per_minute: 30000}") {
		t.Errorf("the target's limit is not in\n%s", text)
	}
	if conf.Batches.MaxLines != 70_000 || conf.Batches.MaxBytes != 1<<30 {
		t.Errorf("batches have the limits %+v", conf.Batches)
	}
	if conf.Worker.Concurrency != 25 || conf.Postgres.Reveal() != "postgres://tidegate@/hold?host=%2Ftmp%2Fa" {
		t.Errorf("it says %+v", conf)
	}
}
