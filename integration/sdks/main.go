package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"

	"tidegate/integration/bench"
)

func main() { bench.Main("sdks", run) }

func run(ctx context.Context, args []string) error {
	program, err := parse(args)
	if err != nil {
		return err
	}
	stage, err := open(ctx, program)
	if err != nil {
		return err
	}
	defer stage.close()
	return stage.playAll(ctx)
}

func parse(args []string) (program string, err error) {
	flags := flag.NewFlagSet("sdks", flag.ContinueOnError)
	flags.StringVar(&program, "program", "bin/tidegate", "the built tidegate")
	return program, flags.Parse(args)
}

// A part is a process of checks, with what is done around it.
type part struct {
	name          string
	before, after func(context.Context) error // nil: nothing
}

func (s *stage) parts() []part {
	return []part{
		{name: "uploads"},
		{name: "lists"},
		{name: "errors"},
		{name: "cancelling", before: s.verb("pause", route), after: s.verb("resume", route)},
		{name: "repeated", after: s.oneBatch},
	}
}

// playAll plays all parts, also behind one that failed.
func (s *stage) playAll(ctx context.Context) error {
	fmt.Printf("openai %s for Node, at %s:\n", sdkVersion, s.base)
	var failed []error
	for _, part := range s.parts() {
		err := s.play(ctx, part)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		failed = append(failed, err, s.dev.Alive())
	}
	return errors.Join(failed...)
}

func (s *stage) play(ctx context.Context, p part) error {
	if p.before != nil {
		if err := p.before(ctx); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, s.node, "check.mjs", p.name)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), s.env...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	failed := cmd.Run()
	if failed != nil {
		failed = fmt.Errorf("%s: a check failed (%w)", p.name, failed)
	}
	if p.after != nil {
		return errors.Join(failed, p.after(ctx))
	}
	return failed
}
