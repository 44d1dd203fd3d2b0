package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// ErrUnready is that the machine lacks what the program needs. What wraps it says
// what to install.
var ErrUnready = errors.New("this machine is not ready")

// Main runs a benchmark until it ends or is interrupted, and exits: with 1 when
// it failed or missed a bar, and with 2 on ErrUnready. What it started has ended
// by then.
func Main(name string, run func(ctx context.Context, args []string) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		if errors.Is(err, ErrUnready) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

// Options are the flags that every benchmark has.
type Options struct {
	Program string // the built tidegate
	JSON    bool   // the object alone, without the table
	NoBars  bool   // a bar that is missed is no failure
}

// Register adds the flags.
func (o *Options) Register(flags *flag.FlagSet) {
	flags.StringVar(&o.Program, "program", "bin/tidegate", "the built tidegate")
	flags.BoolVar(&o.JSON, "json", false, "print the JSON object alone, without the table")
	flags.BoolVar(&o.NoBars, "no-bars", false, "do not fail when a bar is missed, as with other sizes than the usual")
}

// Say prints what goes on, for who waits.
func Say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
