package app

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tidegate/worker"
)

// A timingFlag is how fast a worker notices what becomes of others, as in
// "beat=100ms,dead=1s". It is for tests, which are in more of a hurry than a
// production, and so it is hidden: all workers of a fleet must have the same.
type timingFlag struct{ worker.Timing }

func registerTiming(cmd *cobra.Command, timing *timingFlag) {
	cmd.Flags().Var(timing, "timing", "for tests: how fast a worker notices things, as in beat=100ms,dead=1s; all workers must have the same")
	_ = cmd.Flags().MarkHidden("timing") // an error: there is no such flag
}

// fields are the parts of a timing, by the name that a person gives them.
func (f *timingFlag) fields() map[string]*time.Duration {
	t := &f.Timing
	return map[string]*time.Duration{
		"beat": &t.Beat, "stale": &t.Stale, "dead": &t.Dead, "read": &t.Read,
		"lease": &t.Lease, "hold": &t.Hold, "probe": &t.Probe, "stuck": &t.Stuck, "look": &t.Look, "sweep": &t.Sweep,
	}
}

// Set reads a flag.
func (f *timingFlag) Set(text string) error {
	fields := f.fields()
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		field := fields[name]
		if field == nil {
			return fmt.Errorf("%q is none of %s", name, strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		}
		span, err := time.ParseDuration(value)
		if err != nil || span <= 0 {
			return fmt.Errorf("%s: %q is not a time above zero, as in 100ms", name, value)
		}
		*field = span
	}
	return nil
}

// String says what was set.
func (f *timingFlag) String() string {
	var set []string
	for name, span := range f.fields() {
		if *span > 0 {
			set = append(set, name+"="+span.String())
		}
	}
	slices.Sort(set)
	return strings.Join(set, ",")
}

// Type is what help calls the value.
func (f *timingFlag) Type() string { return "times" }
