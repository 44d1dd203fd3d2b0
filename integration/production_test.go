package integration

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"tidegate/cmd/app"
	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
)

// A running command is one that ends with its context.
type running struct {
	*testing.T
	out, errors written
	stop        func() int // ends it in order and returns its exit code
}

// run starts a command in this process that goes on until it is stopped.
func run(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int, 1)
	r := &running{T: t}
	args = append([]string{"--data", t.TempDir()}, args...)
	go func() { code <- app.Execute(ctx, args, &r.out, &r.errors) }()
	r.stop = sync.OnceValue(func() int {
		cancel()
		return <-code
	})
	t.Cleanup(func() {
		if code := r.stop(); code != 0 {
			t.Errorf("tidegate %s: exit code %d\n%s", strings.Join(args, " "), code, r.errors.String())
		}
	})
	return r
}

// await finds what a pattern's group matches in the command's messages.
func (r *running) await(pattern string) (found string) {
	r.Helper()
	form := regexp.MustCompile(pattern)
	fixture.Await(r.T, soon, "it says "+pattern, func() bool {
		match := form.FindStringSubmatch(r.errors.String())
		if len(match) > 1 {
			found = match[1]
		}
		return len(match) > 1
	})
	return found
}

// TestProductionLayout: simulate, migrate, two workers and serve, each a command
// of its own, on a database and a NATS of somebody else's. NATS is away when the
// workers start.
func TestProductionLayout(t *testing.T) {
	t.Parallel()
	providers := run(t, "simulate", "--listen", "127.0.0.1:0")
	base := providers.await(`cheap +(http://\S+)/cheap/v1`)
	conf := write(t, "tidegate.yaml", config.DefaultSimulated(base).String())
	server := fixture.NATS(t)
	server.Stop()
	where := []string{"--config", conf, "--database-url", fixture.EmptyDatabase(t), "--nats-url", server.URL()}
	with := func(args ...string) []string { return append(args, where...) }

	if got := tidegate(t, with("migrate")...); got.code != 0 {
		t.Fatalf("migrate: %+v", got)
	}
	for range 2 {
		run(t, with("work")...)
	}
	health := run(t, with("serve", "--listen", "127.0.0.1:0")...).await(`(http://\S+)`)
	if got := tidegate(t, with("enqueue", write(t, "in.jsonl", numbered(12, openaiLine)...), "--wait")...); got.code != 0 || !strings.Contains(got.out, "12 answered") {
		t.Errorf("enqueue: %+v", got)
	}
	d := &devProcess{process: &process{T: t}, HTTP: health}
	if status, body := d.get("/v1/status"); status != http.StatusOK || lastLine[statusView](t, body).Outbox == nil || *lastLine[statusView](t, body).Outbox != 13 {
		t.Errorf("with NATS away, /v1/status says %d %s", status, body)
	}
	fixture.RestartNATS(t, server)
	fixture.Await(t, soon, "the events went out", func() bool {
		_, body := d.get("/v1/status")
		return *lastLine[statusView](t, body).Outbox == 0
	})
	got := tidegate(t, with("watch", "--from-start", "--count", "12", "--json")...)
	custom := map[string]bool{}
	for _, e := range decodeLines[struct {
		CustomID string `json:"custom_id"`
	}](t, got.out) {
		custom[e.CustomID] = true
	}
	if len(custom) != 12 || !custom[fmt.Sprintf("line-%d", 11)] {
		t.Errorf("watch: %+v", got)
	}
}
