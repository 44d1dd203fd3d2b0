package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// openInput opens a file of requests, or what stands for one, such as a pipe.
// Reading it ends with ctx.
func openInput(ctx context.Context, path string) (io.ReadCloser, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("no such file: %s; name one of JSONL, - for the standard input, or a folder of texts with --text", path)
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s is a folder: name a file of JSONL, or take every text in it with --text", path)
	case info.Mode().IsRegular():
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		return heeding{file, ctx}, nil
	}
	return untilStopped(ctx, func() (io.Reader, error) { return os.Open(path) }), nil
}

// heeding is a file that never keeps its reader waiting for long.
type heeding struct {
	file *os.File
	ctx  context.Context
}

// Read reads from the file unless ctx has ended.
func (h heeding) Read(p []byte) (int, error) {
	if err := h.ctx.Err(); err != nil {
		return 0, err
	}
	return h.file.Read(p)
}

// Close closes the file.
func (h heeding) Close() error { return h.file.Close() }

// untilStopped reads what open gives, until ctx ends, also while nothing comes.
// A read of a pipe or a terminal cannot be called off: the goroutine that waits
// in one is left behind then, and ends with the next byte or with the program.
func untilStopped(ctx context.Context, open func() (io.Reader, error)) io.ReadCloser {
	out, in := io.Pipe()
	go func() {
		from, err := open()
		if err == nil {
			_, err = io.Copy(in, from)
		}
		_ = in.CloseWithError(err) // never fails; without an error it is the end of the input
		if file, ok := from.(*os.File); ok && file != os.Stdin {
			_ = file.Close() // it was only read
		}
	}()
	stop := context.AfterFunc(ctx, func() { _ = in.CloseWithError(context.Cause(ctx)) })
	return &stoppable{out, stop}
}

type stoppable struct {
	*io.PipeReader
	stop func() bool
}

// Close lets go of what was read.
func (s *stoppable) Close() error {
	s.stop()
	return s.PipeReader.Close()
}
