package integration

import (
	"net/url"
	"strconv"
	"strings"
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"tidegate/integration/fixture"
)

// natsOf runs a server that lets one user in, on a port and with the streams of before.
func natsOf(t *testing.T, dir, password string, port int) *natsserver.Server {
	t.Helper()
	return startNATS(t, &natsserver.Options{Host: "127.0.0.1", Port: port, StoreDir: dir, JetStream: true, NoSigs: true, NoLog: true, Username: "u", Password: password})
}

// TestNATSThatRefusesUs: a worker that NATS lets in no more, as while credentials are
// replaced, says so once and goes on asking; when it is let in again its events go out.
func TestNATSThatRefusesUs(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	dir := t.TempDir()
	srv := natsOf(t, dir, "right", natsserver.RANDOM_PORT)
	at, err := url.Parse(srv.ClientURL())
	check(t, err)
	port, err := strconv.Atoi(at.Port())
	check(t, err)
	at.User = url.UserPassword("u", "right")
	worker := run(t, "work", "--config", write(t, "tidegate.yaml", s.config.String()), "--database-url", s.URL, "--nats-url", at.String())
	sent := func(results int) func() bool {
		return func() bool {
			return s.count("SELECT count(*) FROM tidegate.results") == results && s.count("SELECT count(*) FROM tidegate.outbox") == 0
		}
	}
	s.enqueue(1, nil)
	fixture.Await(t, soon, "the worker is let in", sent(1))
	srv.Shutdown()
	srv.WaitForShutdown()
	srv = natsOf(t, dir, "wrong", port)
	fixture.Await(t, soon, "it was refused often", func() bool { stats, err := srv.Varz(nil); return err == nil && stats.TotalConnections > 4 })
	s.enqueue(2, nil)
	fixture.Await(t, soon, "both are answered", func() bool { return s.count("SELECT count(*) FROM tidegate.results") == 3 })
	if got := tidegate(t, "doctor", "--database-url", s.URL, "--nats-url", at.String()); !strings.Contains(got.out, "lets us in by no means") || strings.Contains(got.out+got.errors, "right") {
		t.Errorf("%+v", got)
	}
	srv.Shutdown()
	srv.WaitForShutdown()
	natsOf(t, dir, "right", port)
	fixture.Await(t, soon, "the events are out", sent(3))
	for says, times := range map[string]int{"NATS is away": 2, "uthorization violation": 1, "NATS is back": 1} {
		if n := strings.Count(worker.errors.String(), says); n == 0 || n > times {
			t.Errorf("it said %q %d times:\n%s", says, n, worker.errors.String())
		}
	}
	for line := range strings.Lines(worker.errors.String()) {
		if !strings.HasPrefix(line, "{") {
			t.Errorf("a line that is no JSON: %s", line)
		}
	}
}
