package integration

import (
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"tidegate/integration/fixture"
)

// TestDrillAndItsTerminal runs the program itself: a signal is the whole
// process's.
func TestDrillAndItsTerminal(t *testing.T) {
	t.Parallel()
	heard := make(chan os.Signal, 1) // what ignores SIGHUP, as under nohup, has its children ignore it, too
	signal.Notify(heard, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(heard) })
	p := buildProgram(t)
	for name, test := range map[string]func(*testing.T, *stage, program){
		"it ends with it":                      drillEndsWithItsTerminal,
		"with nohup it does not":               drillOutlivesItsTerminal,
		"a pipe that nobody reads ends it not": drillOutlivesItsReader,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, staging{})
			s.prepare()
			test(t, s, p)
		})
	}
}

// drillArgs is a drill that nobody ends for an hour.
func (s *stage) drillArgs() []string {
	return []string{"drill", "--target", s.config.Targets[0].Name, "--for", "1h", "--database-url", s.URL}
}

func (s *stage) awaitDrills(n int) {
	s.Helper()
	fixture.Await(s.T, soon, "so many drills are on", func() bool { return s.drilling() == n })
}

// A shell that ends and its terminal both say so: a second word must not end the
// program before it has ended the drill, nor after that, whenever it comes.
func drillEndsWithItsTerminal(t *testing.T, s *stage, p program) {
	r := p.start(t, nil, s.drillArgs()...)
	s.awaitDrills(1)
	r.signal(syscall.SIGHUP)
	for said, until := error(nil), time.Now().Add(soon); said == nil && time.Now().Before(until); {
		said = r.cmd.Process.Signal(syscall.SIGHUP) // until there is nobody to hear it
	}
	if code := r.end(); code != 0 || s.drilling() != 0 || !strings.Contains(r.out.String(), "Nobody called") {
		t.Errorf("exit code %d, %d drills", code, s.drilling())
	}
}

func drillOutlivesItsTerminal(t *testing.T, s *stage, p program) {
	args := append([]string{"-c", `trap "" HUP; exec "$0" "$@"`, string(p)}, s.drillArgs()...)
	r := program("sh").start(t, nil, args...)
	s.awaitDrills(1)
	r.signal(syscall.SIGHUP)
	s.must("status") // takes longer than a signal that is heard
	if s.drilling() != 1 {
		t.Error("it ended the drill")
	}
	r.signal(syscall.SIGTERM)
	if code := r.end(); code != 0 || s.drilling() != 0 {
		t.Errorf("exit code %d, %d drills", code, s.drilling())
	}
}

func drillOutlivesItsReader(t *testing.T, s *stage, p program) {
	// The reader goes before the drill says its first word.
	args := append([]string{"-c", `{ "$0" "$@" 2>&1; echo "exit code $?" >&3; } 3>&2 | :`, string(p)}, s.drillArgs()...)
	r := program("sh").start(t, nil, args...)
	s.awaitDrills(1)
	s.must("drill", "--end", s.config.Targets[0].Name)
	if r.end(); !strings.Contains(r.errors.String(), "exit code 1\n") {
		t.Errorf("it ended with %q", r.errors)
	}
}
