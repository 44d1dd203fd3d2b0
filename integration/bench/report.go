package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// Machine says where, on what and of what figures were taken, in one line.
func (g *Ground) Machine() string {
	return fmt.Sprintf("%d cores of %s, %s/%s, %s, PostgreSQL %s, commit %s, %s",
		runtime.NumCPU(), processor(), runtime.GOOS, runtime.GOARCH, runtime.Version(), g.postgres.Installation().Version, g.version(), time.Now().UTC().Format(time.DateOnly))
}

func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo") // elsewhere than on Linux there is none
	return modelName(string(text))
}

// modelName finds the processor's name in what Linux says of it.
func modelName(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "an unnamed processor"
}

// version is what the measured program says it was built from.
func (g *Ground) version() string {
	said, err := exec.Command(g.program, "--version").Output()
	if err != nil {
		return "unknown"
	}
	return lastWord(string(said))
}

func lastWord(text string) string {
	words := strings.Fields(text)
	if len(words) == 0 {
		return "unknown"
	}
	return words[len(words)-1]
}

// Bars are what figures are held to. The zero value is ready to use.
type Bars struct{ missed []string }

// AtMost holds a figure to the most that it may be. One that is not there is
// missed, too.
func (b *Bars) AtMost(name string, got *float64, most float64) {
	switch {
	case got == nil:
		b.missed = append(b.missed, fmt.Sprintf("%s: never, to reach: %g", name, most))
	case !(*got <= most):
		b.missed = append(b.missed, fmt.Sprintf("%s: %g, to reach: %g", name, *got, most))
	}
}

// Err names the bars that were missed; nil: none was.
func (b *Bars) Err() error {
	if len(b.missed) == 0 {
		return nil
	}
	return fmt.Errorf("missed:\n  %s", strings.Join(b.missed, "\n  "))
}

// Finish prints the JSON object, after the table unless it is to stand alone, and
// then says which bars were missed.
func (o *Options) Finish(w io.Writer, table string, object any, bars *Bars) error {
	if !o.JSON {
		fmt.Fprintln(w, table)
	}
	if err := json.NewEncoder(w).Encode(object); err != nil {
		return err
	}
	if err := bars.Err(); !o.NoBars {
		return err
	}
	return nil
}

// Number is a figure that is there.
func Number[N int | int64 | float64](n N) *float64 {
	f := float64(n)
	return &f
}

// Seconds is a duration in seconds, to the hundredth.
func Seconds(d time.Duration) *float64 { return Round(d.Seconds(), 100) }

// Round rounds to a part of one, as in 100 for hundredths.
func Round(f, parts float64) *float64 {
	if f < 0 {
		return Number(-float64(int64(-f*parts+0.5)) / parts)
	}
	return Number(float64(int64(f*parts+0.5)) / parts)
}

// Share is part of whole, in thousandths; of nothing it is nothing.
func Share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return *Round(float64(part)/float64(whole), 1000)
}

// Cell is a figure as a table has it.
func Cell(f *float64) string {
	if f == nil {
		return "never"
	}
	return fmt.Sprintf("%g", *f)
}
