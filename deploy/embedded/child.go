package embedded

import (
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// A child is a process of ours that ends when we do, on Linux even if we are
// killed.
type child struct {
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // how it ended; only to be read after ended is closed
}

// spawn starts the command. A process that dies with its parent dies with the
// thread that forked it, so a thread is kept for it: the goroutine that forks
// also waits, and ends with the child, for which end waits in turn.
func spawn(cmd *exec.Cmd) (*child, error) {
	c := &child{cmd: cmd, ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := cmd.Start()
		started <- err
		if err == nil {
			c.err = cmd.Wait()
			close(c.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting a program of PostgreSQL: %w", err)
	}
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// outcome is how the child ended, nil if well. It waits for the end.
func (c *child) outcome() error {
	<-c.ended
	return c.err
}

// A rung of a ladder: what to send, and how long to wait for its effect.
type rung struct {
	signal syscall.Signal
	wait   time.Duration
}

var (
	politely = []rung{{syscall.SIGINT, 10 * time.Second}, {syscall.SIGQUIT, 5 * time.Second}, {syscall.SIGKILL, 2 * time.Second}}
	atOnce   = []rung{{syscall.SIGQUIT, 2 * time.Second}, {syscall.SIGKILL, 2 * time.Second}}
)

// end goes down the ladder until the child has ended. It returns an error if
// that took more than the first rung, or if the child had ended before, badly.
func (c *child) end(ladder []rung) error {
	for i, step := range ladder {
		_ = c.cmd.Process.Signal(step.signal) // an error: it has ended
		select {
		case <-c.ended:
			if i > 0 {
				return fmt.Errorf("process %d ignored %s for %s and was ended by %s", c.pid(), ladder[0].signal, ladder[0].wait, step.signal)
			}
			return c.err
		case <-time.After(step.wait):
		}
	}
	return fmt.Errorf("process %d does not end", c.pid())
}
