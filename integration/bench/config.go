package bench

import (
	"cmp"
	"fmt"

	"tidegate/jobs"
)

// shutdown is short: a call takes milliseconds here.
const shutdown = "5s"

// configText is the configuration of a stage's workers.
func configText(postgres, nats string, c StageConfig) string {
	limits := ""
	if c.RequestsPerMinute > 0 {
		limits = fmt.Sprintf("\n    limits: {requests_per_minute: %d}", c.RequestsPerMinute)
	}
	batches := ""
	if c.MaxLines > 0 && c.MaxBytes > 0 {
		batches = fmt.Sprintf("batches: {max_lines: %d, max_bytes: %d}\n", c.MaxLines, c.MaxBytes)
	}
	if c.Retention != "" {
		batches += "retention: " + c.Retention + "\n"
	}
	if c.Door {
		batches += "nats_door: true\n"
	}
	admission := cmp.Or(c.Admission, jobs.AdmissionDirect)
	return fmt.Sprintf(`postgres: %q
nats: %q
targets:
  - name: %[3]s
    provider: %[3]s
    base_url: %[4]s
    model: sim
    price: {input: 0.1, output: 0.4}%[5]s
routes:
  - name: %[3]s
    chain: [%[3]s]
    admission: %[8]s
worker: {concurrency: %[6]d, shutdown_timeout: %[7]s}
%[9]s`, postgres, nats, Route, c.Provider.BaseURL, limits, c.Concurrency, shutdown, admission, batches)
}
