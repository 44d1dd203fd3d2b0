package routing

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidegate/jobs"
)

func drawOutlook(t *rapid.T) outlook {
	var typical outages
	for range rapid.IntRange(0, 20).Draw(t, "outages") {
		typical.add(time.Duration(rapid.Int64Range(0, int64(100*time.Hour)).Draw(t, "length")))
	}
	return outlook{
		extra: jobs.MicroUSD(rapid.Int64Range(-1000, 1e9).Draw(t, "extra")),
		value: jobs.MicroUSD(rapid.Int64Range(0, math.MaxInt64).Draw(t, "value")),
		spare: rapid.OneOf(
			rapid.Just(endless),
			rapid.Map(rapid.Int64Range(-int64(time.Hour), int64(100*time.Hour)), func(n int64) time.Duration { return time.Duration(n) }),
		).Draw(t, "spare"),
		outage: outage{
			age:     time.Duration(rapid.Int64Range(0, int64(1000*time.Hour)).Draw(t, "age")),
			known:   time.Duration(rapid.Int64Range(0, int64(100*time.Hour)).Draw(t, "known")),
			ends:    rapid.Bool().Draw(t, "ends"),
			typical: typical,
		},
	}
}

// A number of a decision is always one that can be read, and stored.
func TestWorthIsANumber(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o := drawOutlook(t)
		late := o.outage.late(o.spare)
		if math.IsNaN(late) || late < 0 || late > 1 {
			t.Fatalf("a chance of %v", late)
		}
		if worth := o.worth(); worth < 0 || worth > mostWorth {
			t.Fatalf("not to wait is worth %d", worth)
		}
		if lasts := o.lasts(); lasts < 0 || o.spare != endless && lasts > max(o.spare, 0) {
			t.Fatalf("it waits for %s with %s to spare", lasts, o.spare)
		}
	})
}

// Less to spare, an older outage and a smaller extra cost never make a request wait
// that did not wait before.
func TestPatienceIsMonotone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o := drawOutlook(t)
		worse := o
		worse.extra -= jobs.MicroUSD(rapid.Int64Range(0, 1e9).Draw(t, "less extra"))
		if by := time.Duration(rapid.Int64Range(0, int64(100*time.Hour)).Draw(t, "less to spare")); worse.spare == endless {
			worse.spare = by
		} else {
			worse.spare -= by
		}
		worse.outage.age += time.Duration(rapid.Int64Range(0, int64(100*time.Hour)).Draw(t, "older"))
		worse.outage.known += time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "known for longer"))
		before, waits := o.waits()
		after, still := worse.waits()
		rounding := before / 1e9 // of a chance that is next to one
		if still && !waits || after < before-rounding {
			t.Fatalf("worth %d and waits: %t; then worth %d and waits: %t", before, waits, after, still)
		}
	})
}

// What a wait lasts is when the law would say no: a request that comes back then
// does not wait again, and one that comes back before does.
func TestWaitLastsUntilTheLawSaysNo(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o := drawOutlook(t)
		o.extra, o.value = max(1, o.extra), o.value%1e9
		if o.spare = min(o.spare, 100*time.Hour); o.outage.known >= o.spare {
			o.outage.known = 0
		}
		if _, waits := o.waits(); !waits {
			return
		}
		lasts := o.lasts()
		at := func(d time.Duration) bool {
			then := o
			then.spare -= d
			then.outage.age += d
			then.outage.known = max(0, then.outage.known-d)
			_, waits := then.waits()
			return waits
		}
		if at(lasts) {
			t.Fatalf("after %s it still waits", lasts)
		}
		if early := max(lasts-time.Second-o.spare/1024, 0); !at(early) {
			t.Fatalf("after %s it waits no more, and it is to wait for %s", early, lasts)
		}
	})
}

func TestPatienceByExample(t *testing.T) {
	t.Parallel()
	const cheap, dear = 1000, 2000
	of := func(spare, age time.Duration) *outlook {
		return &outlook{extra: dear - cheap, value: valueOf * dear, spare: spare, outage: outage{age: age}}
	}
	for _, c := range []struct {
		name  string
		o     *outlook
		waits bool
	}{
		{"a day to spare, an outage of a minute", of(24*time.Hour, time.Minute), true},
		{"a day to spare, an outage of three hours", of(24*time.Hour, 3*time.Hour), true},
		{"ten minutes to spare", of(10*time.Minute, 0), false},
		{"half an hour to spare, just out", of(30*time.Minute, 0), true},
		{"half an hour to spare, out for three hours", of(30*time.Minute, 3*time.Hour), false},
		{"the latest start has come", of(0, 0), false},
		{"no deadline", of(endless, 100*time.Hour), true},
	} {
		if _, waits := c.o.waits(); waits != c.waits {
			t.Errorf("%s: waits: %t; worth %s", c.name, waits, c.o.worth())
		}
	}
	hint := of(5*time.Hour, time.Minute)
	hint.outage.known = 6 * time.Hour
	if _, waits := hint.waits(); waits {
		t.Error("it waits for what the provider said comes too late")
	}
	hint.outage.known, hint.outage.ends = 4*time.Hour, true
	if worth, waits := hint.waits(); !waits || worth != 0 {
		t.Errorf("a cooldown that ends in time is worth %s to skip", worth)
	}
}

// Outages of the target itself count, the more the more were seen.
func TestOwnOutagesCount(t *testing.T) {
	t.Parallel()
	var long outages
	before := long.longer(time.Hour)
	for range 50 {
		long.add(5 * time.Hour)
	}
	if after := long.longer(time.Hour); before > 0.11 || before < 0.09 || after < 0.8 {
		t.Errorf("longer than an hour: %.2f as typical, %.2f where 50 lasted for five hours", before, after)
	}
	for range 1000 {
		long.add(time.Second)
	}
	if long.seen != 50 {
		t.Error("a hiccup is no outage")
	}
}

func TestNeed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		backlog int
		by      drain
		window  time.Duration
		want    time.Duration
	}{
		{0, drain{1, 1}, 0, 3 * time.Second},
		{600, drain{1, 1}, 0, 10*time.Minute + 3*time.Second},
		{600, drain{math.Inf(1), math.Inf(1)}, time.Hour, 6*time.Minute + 3*time.Second},
		{600, drain{}, 100 * time.Hour, 30*time.Minute + 3*time.Second},
		{600, drain{1e-300, 1e-300}, 0, longestDrain + 3*time.Second},
		{900, drain{1, 0.5}, 0, 30*time.Minute + 3*time.Second},
		{1800, drain{1, 0.5}, 0, time.Hour + 3*time.Second},
		{1860, drain{1, 0.5}, 0, time.Hour + time.Minute + 3*time.Second}, // of which one minute after the trouble
		{60, drain{1, 0}, 0, time.Hour + time.Minute + 3*time.Second},
	} {
		if got := need(time.Second, c.backlog, c.by, c.window); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}
