package integration

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing/simulator"
)

// A terminal is a real one, of 80 by 24, and what a program wrote there.
type terminal struct {
	*testing.T
	keys   *os.File // what a person has: the keyboard, and the screen
	inside *os.File // what a program has
	screen *written
	before unix.Termios
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	check(t, err)
	n, err := unix.IoctlGetUint32(int(keys.Fd()), unix.TIOCGPTN)
	check(t, err)
	check(t, unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0))
	inside, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	check(t, err)
	check(t, unix.IoctlSetWinsize(int(inside.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}))
	before, err := unix.IoctlGetTermios(int(inside.Fd()), unix.TCGETS)
	check(t, err)
	term := &terminal{T: t, keys: keys, inside: inside, screen: &written{}, before: *before}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(term.screen, keys) // ends with an error when nobody has the other side
	}()
	t.Cleanup(func() {
		_ = inside.Close()
		_ = keys.Close()
		<-read
	})
	return term
}

// start runs the program there, and returns how it ends.
func (term *terminal) start(p program, args ...string) (*exec.Cmd, <-chan error) {
	term.Helper()
	return term.startAs(p, "xterm-256color", args...)
}

// startAs is start on a terminal of some kind.
func (term *terminal) startAs(p program, kind string, args ...string) (*exec.Cmd, <-chan error) {
	term.Helper()
	cmd := exec.Command(string(p), args...)
	cmd.Env, cmd.Dir = append(os.Environ(), "TERM="+kind), term.TempDir()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = term.inside, term.inside, term.inside
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	check(term.T, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	term.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, ended
}

func (term *terminal) press(keys string) {
	term.Helper()
	_, err := term.keys.WriteString(keys)
	check(term.T, err)
}

func (term *terminal) shows(text string) {
	term.Helper()
	fixture.Await(term.T, soon, fmt.Sprintf("the terminal shows %q", text), func() bool { return strings.Contains(term.screen.String(), text) })
}

// asBefore checks that the terminal is what it was.
func (term *terminal) asBefore() {
	term.Helper()
	after, err := unix.IoctlGetTermios(int(term.inside.Fd()), unix.TCGETS)
	check(term.T, err)
	if *after != term.before {
		term.Errorf("the terminal was %+v, and is %+v", term.before, *after)
	}
	fixture.Await(term.T, soon, "it has its own screen and its cursor back", func() bool {
		shown := term.screen.String()
		left, entered := strings.LastIndex(shown, "\x1b[?1049l"), strings.LastIndex(shown, "\x1b[?1049h")
		return entered >= 0 && left > entered && strings.LastIndex(shown, "\x1b[?25h") > strings.LastIndex(shown, "\x1b[?25l")
	})
}

// The live view, in a real terminal: it shows what there is, its keys do what they say, and
// the terminal is as before, however it ends.
func TestLiveStatus(t *testing.T) {
	t.Parallel()
	p := buildProgram(t)
	st := newStage(t, staging{})
	st.work(nil)
	st.down("*", simulator.Fault{Mode: simulator.Unavailable})
	st.enqueue(20, nil)
	fixture.Await(t, soon, "the route holds", func() bool {
		return st.count("SELECT count(*) FROM tidegate.circuits WHERE state <> 'closed'") == 3
	})
	args := []string{"status", "--watch", "--every", "200ms", "--database-url", st.URL}
	t.Run("keys", func(t *testing.T) {
		term := newTerminal(t)
		cmd, ended := term.start(p, args...)
		for _, text := range []string{"ROUTE", summaries, "sim-cheap", "BATCH", "q quit"} {
			term.shows(text)
		}
		term.press("s")
		term.shows("sorted by waiting")
		term.press("pn")
		term.shows("nothing was done")
		paused := func() bool {
			return st.count("SELECT count(*) FROM tidegate.pauses WHERE owner = $1", jobs.OwnerPerson) > 0
		}
		term.press("py")
		fixture.Await(t, soon, "it is paused", paused)
		term.shows("is paused")
		fixture.Await(t, soon, "it is resumed", func() bool {
			if paused() { // what it asks is of its last look
				term.press("py")
			}
			return !paused()
		})
		check(t, unix.IoctlSetWinsize(int(term.inside.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 5, Col: 20}))
		check(t, cmd.Process.Signal(syscall.SIGWINCH))
		term.press("q")
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
		term.asBefore()
	})
	t.Run("SIGTERM", func(t *testing.T) {
		term := newTerminal(t)
		cmd, ended := term.start(p, args...)
		term.shows("q quit")
		check(t, cmd.Process.Signal(syscall.SIGTERM))
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
		term.asBefore()
	})
	t.Run("Ctrl-C", func(t *testing.T) {
		term := newTerminal(t)
		_, ended := term.start(p, args...)
		term.shows("q quit")
		term.press("\x03")
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
		term.asBefore()
	})
	t.Run("no terminal", func(t *testing.T) {
		r := p.start(t, nil, args...)
		fixture.Await(t, soon, "lines come, also of when the circuit is not being probed", func() bool {
			return strings.Count(r.out.String(), "route "+summaries) > 1 && strings.Contains(r.out.String(), "target sim-cheap: open")
		})
		r.signal(syscall.SIGTERM)
		if code := r.end(); code != 0 || strings.Contains(r.out.String(), "\x1b") {
			t.Errorf("exit code %d:\n%q", code, r.out.String())
		}
	})
	t.Run("no terminal, JSON", func(t *testing.T) {
		r := p.start(t, nil, append(args, "--json")...)
		fixture.Await(t, soon, "lines come", func() bool { return strings.Count(r.out.String(), "\n") > 1 })
		r.signal(syscall.SIGTERM)
		if code := r.end(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		if view := lastLine[map[string]any](t, strings.SplitAfter(r.out.String(), "\n")[0]); view["routes"] == nil {
			t.Errorf("a line is %v", view)
		}
	})
}

// TestStatusOnADumbTerminal: one that can move no cursor gets lines.
func TestStatusOnADumbTerminal(t *testing.T) {
	t.Parallel()
	st := newStage(t, staging{})
	st.work(nil)
	st.settle(st.enqueue(1, nil))
	term := newTerminal(t)
	cmd, ended := term.startAs(buildProgram(t), "dumb", "status", "--watch", "--every", "200ms", "--database-url", st.URL)
	term.shows("route summaries: flows")
	check(t, cmd.Process.Signal(syscall.SIGINT))
	check(t, <-ended)
	if said := term.screen.String(); strings.Contains(said, "\x1b") {
		t.Errorf("it says %q", said)
	}
}
