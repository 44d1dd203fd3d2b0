package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// stopGrace is how long a process may take to end in order.
const stopGrace = 20 * time.Second

var errEnded = errors.New("without an error")

// A Process is one that was started here, and ends with us. It is safe for
// concurrent use.
type Process struct {
	cmd   *exec.Cmd
	log   string // the file that it writes to
	ended chan struct{}
	err   error // how it ended; only to be read after ended is closed
}

// Start starts a program that writes to a log file, as StartCommand does.
func Start(log, program string, args ...string) (*Process, error) {
	return StartCommand(log, exec.Command(program, args...))
}

// StartCommand starts a command that writes to a log file. On Linux it is killed
// when we die, which is when the thread that forked it does: so a thread is kept
// for it, whose goroutine waits for its end.
func StartCommand(log string, cmd *exec.Cmd) (*Process, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // the process writes it
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = attributes()
	p := &Process{cmd: cmd, log: log, ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	return p, nil
}

// Alive is an error, with the end of its log, if the process has ended.
func (p *Process) Alive() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s ended by itself: %w; it says:\n%s", p.cmd.Args[1], cmp.Or(p.err, errEnded), p.tail())
	default:
		return nil
	}
}

// Log is the file that it writes to.
func (p *Process) Log() string { return p.log }

// PeakMB is the most memory that it had at once, while it lives.
func (p *Process) PeakMB() float64 { return PeakMB(p.cmd.Process.Pid) }

// tail is the end of the log.
func (p *Process) tail() string {
	const most = 2000 // bytes: some 20 lines
	text, _ := os.ReadFile(p.log)
	return string(text[max(0, len(text)-most):])
}

// Stop asks the process to end, forces it if it does not, and waits.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // an error: it has ended
	select {
	case <-p.ended:
	case <-time.After(stopGrace):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// Output runs a program to its end. Its error holds what the program said.
func Output(ctx context.Context, program string, args ...string) error {
	text, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w; it says:\n%s", program, args[0], err, text)
	}
	return nil
}
