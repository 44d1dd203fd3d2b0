package embedded

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func startNATSIn(t *testing.T, cfg NATSConfig) *NATS {
	t.Helper()
	n, err := StartNATS(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Stop)
	return n
}

// connect opens a JetStream client that closes with the test.
func connect(t *testing.T, n *NATS) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect(n.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func TestNATSKeepsItsStreams(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "nats")
	first := startNATSIn(t, NATSConfig{Dir: dir})
	js := connect(t, first)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "KEPT", Subjects: []string{"kept.>"}}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := js.Publish(t.Context(), "kept.message", []byte("hello")); err != nil {
			t.Fatal(err)
		}
	}
	first.Stop()
	await(t, "nobody listens after Stop", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(first.URL(), "nats://"))
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	second := startNATSIn(t, NATSConfig{Dir: dir, Port: first.Port()})
	if second.URL() != first.URL() {
		t.Errorf("it came back at %s, and was at %s", second.URL(), first.URL())
	}
	stream, err := connect(t, second).Stream(t.Context(), "KEPT")
	if err != nil {
		t.Fatal(err)
	}
	if got := stream.CachedInfo().State.Msgs; got != 3 {
		t.Errorf("the stream holds %d messages, not 3", got)
	}
	if message, err := stream.GetMsg(t.Context(), 3); err != nil || string(message.Data) != "hello" {
		t.Errorf("the last message: %v %v", message, err)
	}
}

func TestNATSListensOnLoopbackAndCleansUp(t *testing.T) {
	t.Parallel()
	n := startNATSIn(t, NATSConfig{})
	if !strings.HasPrefix(n.URL(), "nats://127.0.0.1:") {
		t.Errorf("it listens at %s", n.URL())
	}
	n.Stop()
	n.Stop() // again does nothing
	if _, err := os.Stat(n.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Stop, %s is still there (%v)", n.Dir(), err)
	}
}

func TestNATSRefusals(t *testing.T) {
	t.Parallel()
	running := startNATSIn(t, NATSConfig{Dir: t.TempDir()})
	unwritable := filepath.Join(t.TempDir(), "file")
	write(t, filepath.Dir(unwritable), "file", "")
	for name, test := range map[string]struct {
		cfg  NATSConfig
		kind error
		says string
	}{
		"the port is taken":   {NATSConfig{Port: running.Port()}, ErrPortInUse, "another port"},
		"the folder is taken": {NATSConfig{Dir: running.Dir()}, ErrInUse, running.Dir()},
		"not our address":     {NATSConfig{Host: "192.0.2.1", Port: 4222}, nil, "192.0.2.1:4222"},
		"nor with any port":   {NATSConfig{Host: "192.0.2.1"}, nil, "192.0.2.1"},
		"no folder":           {NATSConfig{Dir: unwritable}, nil, unwritable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := StartNATS(t.Context(), test.cfg)
			if err == nil || test.kind != nil && !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("starting: %v", err)
			}
		})
	}
}

func TestNATSLogTellsWarningsOnly(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var said []string
	n := startNATSIn(t, NATSConfig{Log: func(line string) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, line)
	}})
	n.server.Noticef("news")
	n.server.Debugf("details")
	n.server.Warnf("a %s", "warning")
	n.server.Errorf("an %s", "error")
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(said, "; "); got != "a warning; an error" {
		t.Errorf("it says %q", got)
	}
}
