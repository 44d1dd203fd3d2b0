package app

import (
	"context"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// glanceMS is how often it is looked whether a command goes on, while it is
// waited for its reader to go, in milliseconds.
const glanceMS = 100

// whileRead returns a context that ends with ctx, or when nobody reads out any
// more, as when `head` has seen enough: a command that has nothing to write would
// not hear of that. Only a pipe tells. Call done in the end.
func whileRead(ctx context.Context, out io.Writer) (read context.Context, done func()) {
	read, cancel := context.WithCancel(ctx)
	file, ok := bare(out).(*os.File)
	if !ok {
		return read, cancel
	}
	if info, err := file.Stat(); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return read, cancel
	}
	var looking sync.WaitGroup
	looking.Go(func() {
		defer cancel()
		pipe := []unix.PollFd{{Fd: int32(file.Fd())}} // asks for errors alone
		for read.Err() == nil && pipe[0].Revents == 0 {
			_, _ = unix.Poll(pipe, glanceMS) // what interrupts it is tried again
		}
	})
	return read, func() { cancel(); looking.Wait() }
}
