package dashboard

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/jobs"
)

// nothing is a past of which nothing is written down.
type nothing struct{}

func (nothing) RouteSamples(context.Context, time.Time) ([]jobs.RouteSample, error) { return nil, nil }

func (nothing) TargetSamples(context.Context, time.Time) ([]jobs.TargetSample, error) {
	return nil, nil
}

func (nothing) Transitions(context.Context, time.Time) ([]jobs.Transition, error) { return nil, nil }

// A counter counts how often it is read.
type counter struct {
	reads  int
	failed []bool // what was told
	err    error
}

func (c *counter) hub() *hub {
	return &hub{
		read: func(context.Context) (*Overview, error) {
			c.reads++
			return well(), c.err
		},
		history: &history{records: nothing{}}, render: newRenderer("v1"), viewers: map[*viewer]bool{}, now: time.Now,
		failed: func(err error) { c.failed = append(c.failed, err != nil) },
	}
}

func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// As long as somebody looks, it is read every two seconds, however many look; then it is
// not.
func TestHubReadsWhileSomebodyLooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &counter{}
		h := c.hub()
		pass(time.Minute)
		if c.reads != 0 {
			t.Errorf("nobody looks, and it is read %d times", c.reads)
		}
		var all []*viewer
		for range 20 {
			v, ok := h.enter(windows[0])
			if !ok {
				t.Fatal("there is no place")
			}
			all = append(all, v)
		}
		pass(time.Minute + time.Second)
		if c.reads != 31 {
			t.Errorf("in a minute it is read %d times", c.reads)
		}
		for _, v := range all {
			h.leave(v)
		}
		pass(time.Second)
		before := c.reads
		pass(time.Hour)
		if c.reads != before {
			t.Errorf("nobody looks any more, and it is read %d times", c.reads-before)
		}
		v, _ := h.enter(windows[1]) // and again
		pass(time.Second)
		if c.reads != before+1 {
			t.Errorf("who comes anew sees what is old: %d readings", c.reads-before)
		}
		h.leave(v)
		pass(time.Second)
	})
}

// Beyond so many nobody more may look.
func TestHubHasAnEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := (&counter{}).hub()
		var all []*viewer
		for range mostViewers {
			v, _ := h.enter(windows[0])
			all = append(all, v)
		}
		if _, ok := h.enter(windows[0]); ok {
			t.Error("one more is let in")
		}
		for _, v := range all {
			h.leave(v)
		}
		pass(time.Second)
	})
}

// What was read stands while it cannot be read anew, and the page says so.
func TestHubShowsWhatStood(t *testing.T) {
	t.Parallel()
	c := &counter{}
	h := c.hub()
	h.refresh(t.Context(), 0)
	c.err = errors.New("away")
	h.refresh(t.Context(), 0)
	v := h.view(windows[0])
	if v == nil || v.Away == nil || v.Away.Headline.Text != "All flows" || v.Headline.Mood != alarm || v.Headline.Text != "It cannot be read how everything stands" || v.Headline.Since.IsZero() {
		t.Fatalf("it shows %+v", v)
	}
	first := v.Headline.Since
	c.err = context.DeadlineExceeded
	h.refresh(t.Context(), 0)
	if v := h.view(windows[0]); v.Headline.Text != "Postgres does not answer" || !v.Headline.Since.Equal(first) {
		t.Errorf("it says %+v", v.Headline)
	}
	if made, err := h.sections(windows[0]); err != nil || len(made) != len(parts) {
		t.Errorf("%d sections, %v", len(made), err)
	}
	c.err = nil
	h.refresh(t.Context(), time.Hour) // it was not read: that is no reason to wait
	if v := h.view(windows[0]); v.Away != nil {
		t.Error("it is back, and the page says that it is away")
	}
}
