package jobs_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidegate/jobs"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// work lets a route end so many in each of some looks of five seconds.
func work(s *jobs.Speed, from time.Time, did jobs.Working, ended ...int) time.Time {
	for _, n := range ended {
		from = from.Add(5 * time.Second)
		s.See(from, 5*time.Second, n, did)
	}
	return from
}

func evenly(n, looks int) []int {
	all := make([]int, looks)
	for i := range all {
		all[i] = n
	}
	return all
}

// A speed is that of times in which there was work: neither an outage nor an idle night
// says anything of it, and flickering does.
func TestSpeedIsOfWork(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		then func(s *jobs.Speed, at time.Time) time.Time
		want float64
	}{
		{"an outage", func(s *jobs.Speed, at time.Time) time.Time { return work(s, at, jobs.Stalled, evenly(0, 200)...) }, 20},
		{"an idle night", func(s *jobs.Speed, at time.Time) time.Time { return work(s, at, jobs.Idle, evenly(1, 200)...) }, 20},
		{"calls that take long at first", func(s *jobs.Speed, at time.Time) time.Time {
			return work(s, work(s, at, jobs.Idle, 0), jobs.Busy, evenly(0, 20)...)
		}, 20},
		{"a circuit that flickers", func(s *jobs.Speed, at time.Time) time.Time {
			for range 60 {
				at = work(s, work(s, at, jobs.Stalled, 0), jobs.Busy, 100)
			}
			return at
		}, 10},
		{"a slow-down", func(s *jobs.Speed, at time.Time) time.Time { return work(s, at, jobs.Busy, evenly(50, 60)...) }, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var s jobs.Speed
			at := c.then(&s, work(&s, noon, jobs.Busy, evenly(100, 60)...))
			if rate, wrong := s.Rate(at); math.Abs(rate-c.want) > c.want/20 || wrong <= 0 {
				t.Errorf("%.2f a second ± %.2f, want %.2f", rate, wrong, c.want)
			}
		})
	}
	var none jobs.Speed
	if rate, _ := none.Rate(noon); rate != 0 {
		t.Errorf("of nothing, %v a second", rate)
	}
}

// What was measured long ago, or unsteadily, is less sure.
func TestSpeedSaysHowSureItIs(t *testing.T) {
	t.Parallel()
	var steady, shaky jobs.Speed
	at := work(&steady, noon, jobs.Busy, evenly(100, 240)...)
	for range 10 {
		work(&shaky, work(&shaky, noon, jobs.Busy, evenly(150, 12)...), jobs.Busy, evenly(70, 12)...)
	}
	_, sure := steady.Rate(at)
	_, old := steady.Rate(at.Add(5 * time.Hour))
	_, unsure := shaky.Rate(at)
	if !(sure < 0.1 && old > 2*sure && unsure > 2*sure) {
		t.Errorf("wrong by %.3f, after five hours by %.3f, unsteady by %.3f", sure, old, unsure)
	}
}

// Whatever is seen, a speed is a number.
func TestSpeedIsANumber(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var s jobs.Speed
		at := noon
		for range rapid.IntRange(0, 100).Draw(t, "looks") {
			passed := rapid.Int64Range(-1e9, 60e9).Draw(t, "passed")
			at = at.Add(time.Duration(max(0, passed)))
			s.See(at, time.Duration(passed), rapid.IntRange(0, 1e6).Draw(t, "ended"), jobs.Working(rapid.IntRange(0, 2).Draw(t, "did")))
			rate, wrong := s.Rate(at)
			if math.IsNaN(rate) || math.IsInf(rate, 0) || rate < 0 || math.IsNaN(wrong) || math.IsInf(wrong, 0) || wrong < 0 {
				t.Fatalf("%v a second ± %v", rate, wrong)
			}
		}
	})
}

func minute(n int) time.Time { return noon.Add(time.Duration(n) * time.Minute) }

// Who came before, or goes before, is ahead; who came after is not; who came at about the
// same time may be.
func TestAhead(t *testing.T) {
	t.Parallel()
	p := jobs.Progress{
		CountedAt: minute(60), InHand: 10, Parked: 3,
		Strata: []jobs.Stratum{
			{Priority: 1, From: minute(50), To: minute(50), Jobs: 7},
			{Priority: 2, From: minute(0), To: minute(1), Jobs: 100},
			{Priority: 2, From: minute(20), To: minute(21), Jobs: 50},
			{Priority: 2, From: minute(40), To: minute(41), Jobs: 1000},
			{Priority: 3, From: minute(2), To: minute(2), Jobs: 5000},
		},
	}
	for _, c := range []struct {
		name        string
		turn        jobs.Turn
		least, most int
	}{
		{"in the middle", jobs.Turn{Priority: 2, Last: minute(21), Own: 40}, 7 + 100 + 10, 7 + 100 + 50 + 10 + 3},
		{"a large one", jobs.Turn{Priority: 2, Last: minute(21), Own: 160}, 160, 170},
		{"the last", jobs.Turn{Priority: 3, Last: minute(59), Own: 10}, 6157 + 10, 6157 + 13},
		{"the first", jobs.Turn{Priority: 1, Last: minute(10), Own: 4}, 4, 13},
		{"about to come", jobs.Turn{Priority: 2, Own: 20}, 1157 + 20 + 10, 1157 + 20 + 13},
		{"it came since", jobs.Turn{Priority: 2, Last: minute(61), Own: 20}, 1157 + 20 + 10, 1157 + 20 + 13},
		{"half of it is enqueued", jobs.Turn{Priority: 2, Last: minute(59), Own: 60, Unqueued: 30}, 1157 + 30 + 10, 1157 + 30 + 13},
		{"on several routes", jobs.Turn{Priority: 2, Last: minute(21), Own: 1e6, Routes: []string{"a", "b"}}, 117, 170},
	} {
		if least, most := p.Ahead(&c.turn, nil); least != c.least || most != c.most {
			t.Errorf("%s: %d to %d are ahead, want %d to %d", c.name, least, most, c.least, c.most)
		}
	}
}

// What came since the count is ahead of who came last, too, and not of who came before it.
func TestAheadOfWhatCameSince(t *testing.T) {
	t.Parallel()
	p := jobs.Progress{
		CountedAt: minute(60), SinceAt: minute(62), InHand: 10,
		Strata: []jobs.Stratum{{Priority: 2, From: minute(0), To: minute(59), Jobs: 100}},
		Since:  []jobs.Stratum{{Priority: 1, From: minute(61), To: minute(61), Jobs: 7}, {Priority: 2, From: minute(61), To: minute(62), Jobs: 3000}},
	}
	fair := jobs.Progress{
		CountedAt: minute(60), SinceAt: minute(62),
		Strata: []jobs.Stratum{{Tenant: "large", Jobs: 100}, {Tenant: "small", Jobs: 1}}, Since: []jobs.Stratum{{Tenant: "large", Jobs: 900}, {Tenant: "new", Jobs: 5}},
	}
	for _, c := range []struct {
		name        string
		of          *jobs.Progress
		turn        jobs.Turn
		least, most int
	}{
		{"it is one of them", &p, jobs.Turn{Priority: 2, Last: minute(62), Own: 1}, 3117, 3117},
		{"they are all its own", &p, jobs.Turn{Priority: 2, Last: minute(62), Own: 3000}, 3117, 3117},
		{"it goes before them", &p, jobs.Turn{Priority: 1, Last: minute(62), Own: 1}, 17, 17},
		{"it came after them", &p, jobs.Turn{Priority: 2, Last: minute(63), Own: 5}, 3122, 3122},
		{"it is about to come", &p, jobs.Turn{Priority: 2, Own: 5}, 3122, 3122},
		{"it came before them, and others go before it", &p, jobs.Turn{Priority: 2, Last: minute(30), Own: 5}, 17, 117},
		{"one of many of its tenant's", &fair, jobs.Turn{Tenant: "large", Last: minute(62), Own: 1}, 1006, 1006},
		{"a tenant that came since", &fair, jobs.Turn{Tenant: "new", Last: minute(62), Own: 5}, 11, 11},
		{"a tenant that has not come", &fair, jobs.Turn{Tenant: "other", Own: 2}, 7, 7},
	} {
		if least, most := c.of.Ahead(&c.turn, nil); least != c.least || most != c.most {
			t.Errorf("%s: %d to %d are ahead, want %d to %d", c.name, least, most, c.least, c.most)
		}
	}
	if p.Waiting() != 100 || p.Came() != 3007 {
		t.Errorf("%d waited, and %d came", p.Waiting(), p.Came())
	}
}

// With fair admission, the others have as much by their shares, and no more than they
// have.
func TestAheadOfTenants(t *testing.T) {
	t.Parallel()
	p := jobs.Progress{
		CountedAt: minute(60), InHand: 5,
		Strata: []jobs.Stratum{{Tenant: "large", Jobs: 1e6}, {Tenant: "small", Jobs: 10}, {Tenant: "other", Jobs: 100}},
	}
	weight := func(tenant string) float64 {
		if tenant == "large" {
			return 3
		}
		return 1
	}
	for _, c := range []struct {
		turn        jobs.Turn
		least, most int
	}{
		{jobs.Turn{Tenant: "small", Last: minute(1), Own: 10}, 10 + 30 + 10 + 5, 10 + 30 + 10 + 5},
		{jobs.Turn{Tenant: "other", Last: minute(1), Own: 50}, 50 + 150 + 10 + 5, 100 + 300 + 10 + 5},
		{jobs.Turn{Tenant: "new", Own: 20}, 20 + 60 + 10 + 20 + 5, 20 + 60 + 10 + 20 + 5},
	} {
		if least, most := p.Ahead(&c.turn, weight); least != c.least || most != c.most {
			t.Errorf("%s: %d to %d are ahead, want %d to %d", c.turn.Tenant, least, most, c.least, c.most)
		}
	}
}

// Whoever stands where: at least is at most at most, and at least its own.
func TestAheadIsInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := jobs.Progress{CountedAt: minute(rapid.IntRange(0, 90).Draw(t, "counted")), InHand: rapid.IntRange(0, 400).Draw(t, "in hand"), Parked: rapid.IntRange(0, 50).Draw(t, "parked")}
		for range rapid.IntRange(0, 100).Draw(t, "strata") {
			from := rapid.IntRange(0, 90).Draw(t, "from")
			p.Strata = append(p.Strata, jobs.Stratum{
				Tenant: rapid.SampledFrom([]string{"", "", "a", "b"}).Draw(t, "tenant"), Priority: rapid.IntRange(1, 4).Draw(t, "priority"),
				From: minute(from), To: minute(from + 1), Jobs: rapid.IntRange(0, 1000).Draw(t, "jobs"),
			})
		}
		turn := jobs.Turn{Tenant: "a", Priority: rapid.IntRange(1, 4).Draw(t, "own priority"), Last: minute(rapid.IntRange(0, 90).Draw(t, "last")), Own: rapid.IntRange(1, 5000).Draw(t, "own")}
		least, most := p.Ahead(&turn, nil)
		if least < turn.Own || most < least {
			t.Fatalf("%d to %d", least, most)
		}
		merged := p
		merged.Strata = jobs.MergeStrata(p.Strata, 16, 1)
		if merged.Waiting() != p.Waiting() {
			t.Fatalf("%d wait, and merged %d", p.Waiting(), merged.Waiting())
		}
		last := turn
		last.Own++
		if more, _ := p.Ahead(&last, nil); more < least {
			t.Fatalf("with one more, %d are ahead, and not %d", more, least)
		}
	})
}

func TestForecastInWords(t *testing.T) {
	t.Parallel()
	known := jobs.Forecast{At: noon.Add(130 * time.Minute), Early: noon.Add(125 * time.Minute), Late: noon.Add(136 * time.Minute), Work: 130 * time.Minute, Ahead: 9}
	soon := jobs.Forecast{At: noon.Add(70 * time.Second), Early: noon.Add(65 * time.Second), Late: noon.Add(90 * time.Second), Reason: "without cheap"}
	far := jobs.Forecast{At: noon.Add(30 * time.Hour), Early: noon.Add(29 * time.Hour), Late: noon.Add(32 * time.Hour)}
	for _, c := range []struct {
		said        jobs.Forecast
		text, short string
	}{
		{known, "done by 14:10 UTC ± 6 min", "14:10 UTC ± 6 min"},
		{soon, "done by 12:01:10 UTC ± 20 s (without cheap)", "12:01:10 UTC ± 20 s"},
		{far, "done by Mon 18:00 UTC ± 2 h", "Mon 18:00 UTC ± 2 h"},
		{jobs.Forecast{Work: 40 * time.Minute, Ahead: 9, Reason: "waits for openai"}, "waits for openai; 40 min of work after that", "? (40 min of work)"},
		{jobs.Forecast{Ahead: 9, Reason: "no worker runs"}, "no worker runs", "?"},
		{jobs.Forecast{Ahead: 9}, "not known yet", "?"},
		{jobs.Forecast{}, "nothing waits", "-"},
	} {
		if text, short := c.said.Text(noon), c.said.Short(noon); text != c.text || short != c.short {
			t.Errorf("%q, in short %q, want %q and %q", text, short, c.text, c.short)
		}
	}
	for after, want := range map[time.Duration]string{128 * time.Minute: "will be missed", 133 * time.Minute: "may be missed", 140 * time.Minute: ""} {
		if said := known.Warning(noon.Add(after), noon); !strings.Contains(said, want) || want == "" && said != "" {
			t.Errorf("a deadline after %s: %q, want %q", after, said, want)
		}
	}
	if said := known.Warning(time.Time{}, noon); said != "" {
		t.Errorf("without a deadline: %q", said)
	}
}
