package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"tidegate/integration/fixture"
)

// TestProgram runs the program itself, as a process of its own.
func TestProgram(t *testing.T) {
	t.Parallel()
	p := buildProgram(t)
	for name, test := range map[string]func(*testing.T, program){
		"dev runs the whole thing":             devRunsTheWholeThing,
		"dev drains and goes on":               devDrainsAndGoesOn,
		"dev killed leaves no server":          devKilledLeavesNoServer,
		"dev ends with its server":             devEndsWithItsServer,
		"dev without Postgres says what to do": devWithoutPostgres,
		"demo survives its outage":             demoSurvives,
		"wrong use ends with 2":                wrongUseEndsWithTwo,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, p)
		})
	}
}

// A program is the path of a built one.
type program string

// A build is the program as all tests share it: it takes seconds to link. Safe for
// concurrent use.
type build struct {
	args []string // of go build, beside those that every one has
	once sync.Once
	dir  string
	err  error
}

// They are globals because all tests of a binary share them, and TestMain removes them.
var (
	raced = build{args: asBuilt()}
	plain build
)

// asBuilt is how the tests are built, so that most comes out of the cache, and a data
// race ends the program with code 66.
func asBuilt() []string {
	info, ok := debug.ReadBuildInfo()
	if ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		return []string{"-race"}
	}
	return nil
}

// buildProgram builds as the test was built.
func buildProgram(t *testing.T) program {
	t.Helper()
	return raced.program(t)
}

// program is the built one. Whoever comes while it is built waits.
func (b *build) program(t *testing.T) program {
	t.Helper()
	b.once.Do(b.make)
	check(t, b.err)
	return program(filepath.Join(b.dir, "tidegate"))
}

func (b *build) make() {
	if b.dir, b.err = os.MkdirTemp("", "tidegate-built-"); b.err != nil {
		return
	}
	args := append([]string{"build", "-o", b.dir + string(filepath.Separator)}, b.args...)
	if out, err := exec.Command("go", append(args, "tidegate/cmd/tidegate")...).CombinedOutput(); err != nil {
		b.err = fmt.Errorf("building the program: %w\n%s", err, out)
	}
}

func (b *build) remove() error { return os.RemoveAll(b.dir) } // of "" there is nothing

// A process is a program that runs.
type process struct {
	*testing.T
	cmd         *exec.Cmd
	out, errors *written
	ended       chan struct{}
}

// start runs the program with settings of its environment. It is killed with
// the test, if it did not end before.
func (p program) start(t *testing.T, environment []string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(string(p), args...)
	cmd.Env = append(os.Environ(), environment...)
	cmd.Dir = t.TempDir() // no configuration lies there
	r := &process{T: t, cmd: cmd, out: &written{}, errors: &written{}, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = r.out, r.errors
	check(t, cmd.Start())
	go func() {
		_ = cmd.Wait() // end reads how
		close(r.ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-r.ended
		if t.Failed() {
			t.Logf("tidegate %s\n%s%s", strings.Join(args, " "), r.out, r.errors)
		}
	})
	return r
}

// end waits for the end and returns the exit code.
func (r *process) end() int {
	r.Helper()
	fixture.Await(r.T, soon, "the program ended", func() bool {
		select {
		case <-r.ended:
			return true
		default:
			return false
		}
	})
	return r.cmd.ProcessState.ExitCode()
}

func (r *process) signal(signal syscall.Signal) {
	r.Helper()
	check(r.T, r.cmd.Process.Signal(signal))
}

// awaitOut waits until the program has said something.
func (r *process) awaitOut(says string) {
	r.Helper()
	fixture.Await(r.T, soon, "the program says "+says, func() bool {
		select {
		case <-r.ended:
			r.Fatalf("it ended with %v", r.cmd.ProcessState)
		default:
		}
		return strings.Contains(r.out.String(), says)
	})
}

// written is what a process wrote. It is safe for concurrent use.
type written struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *written) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// dataFolder is one with a short path, which every user can reach.
func dataFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tg-")
	check(t, err)
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	check(t, os.Chmod(dir, 0o711))
	return dir
}

// livingIn counts the processes that have their working directory below dir,
// as every process of a private Postgres has.
func livingIn(ctx context.Context, t *testing.T, dir string) int {
	t.Helper()
	real, err := filepath.EvalSymlinks(dir)
	check(t, err)
	if runtime.GOOS != "linux" {
		list, err := exec.CommandContext(ctx, "ps", "-A", "-o", "command=").Output()
		check(t, err)
		return strings.Count(string(list), real)
	}
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	check(t, err)
	living := 0
	for _, link := range links {
		where, err := os.Readlink(link)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.ESRCH) {
			continue // it ended meanwhile, or is somebody else's
		}
		check(t, err)
		if strings.HasPrefix(where, real) {
			living++
		}
	}
	return living
}

func wrongUseEndsWithTwo(t *testing.T, p program) {
	for _, args := range [][]string{{"nonsense"}, {"status", "--nonsense"}, {"dev", "now"}} {
		r := p.start(t, nil, args...)
		if code := r.end(); code != 2 || !strings.Contains(r.errors.String(), "--help") || r.out.String() != "" {
			t.Errorf("%v: exit code %d", args, code)
		}
	}
	if r := p.start(t, nil, "--version"); r.end() != 0 || !strings.HasPrefix(r.out.String(), "tidegate version ") {
		t.Error("it does not say its version")
	}
}
