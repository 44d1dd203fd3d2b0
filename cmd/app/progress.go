package app

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// plainEvery is how often progress is told where it cannot be redrawn.
const plainEvery = 5 * time.Second

// A progress shows how far long work is: a bar on a terminal, a line every few
// seconds elsewhere. Safe for concurrent use.
type progress struct {
	out   io.Writer
	what  string
	bars  *mpb.Progress // nil: no terminal
	bar   *mpb.Bar
	mu    sync.Mutex
	total int
	now   int
	note  string
	told  time.Time
}

// newProgress begins to show progress of what, of total steps; zero: not known.
func newProgress(out io.Writer, what string, total int) *progress {
	p := &progress{out: out, what: what, total: total, told: time.Now()}
	if !redraws(out) {
		return p
	}
	terminal, _ := bare(out).(io.Writer) // it is one
	p.bars = mpb.New(mpb.WithOutput(terminal), mpb.WithWidth(48), mpb.WithRefreshRate(100*time.Millisecond))
	p.bar = p.bars.New(int64(total), mpb.BarStyle().Lbound(" ").Filler("━").Tip("━").Padding("─").Rbound(" "),
		mpb.PrependDecorators(decor.Name(what, decor.WCSyncSpaceR), decor.CountersNoUnit("%d / %d", decor.WCSyncSpace)),
		mpb.AppendDecorators(decor.Percentage(decor.WC{W: 5}), decor.Any(func(decor.Statistics) string { return p.noted("  ") })))
	return p
}

// Set says how many steps are done.
func (p *progress) Set(done int) {
	if p.bar != nil {
		p.bar.SetCurrent(int64(done))
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = done
	if time.Since(p.told) < plainEvery {
		return
	}
	p.told = time.Now()
	note := p.note
	if note != "" {
		note = ", " + note
	}
	if p.total > 0 {
		fmt.Fprintf(p.out, "%s: %d of %d%s\n", p.what, done, p.total, note)
	} else {
		fmt.Fprintf(p.out, "%s: %d%s\n", p.what, done, note)
	}
}

// Note says something beside the progress from now on.
func (p *progress) Note(note string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.note = visible(note)
}

// noted is the note behind something; empty: there is none.
func (p *progress) noted(behind string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.note == "" {
		return ""
	}
	return behind + p.note
}

// Say writes a line that stays, above the bar.
func (p *progress) Say(format string, args ...any) {
	line := visible(fmt.Sprintf(format, args...)) + "\n"
	if p.bars != nil {
		_, _ = p.bars.Write([]byte(line))
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprint(p.out, line)
}

// Done ends it; the bar stays as it stands.
func (p *progress) Done() {
	if p.bar == nil {
		return
	}
	if !p.bar.Completed() {
		p.bar.Abort(false)
	}
	p.bars.Wait()
}
