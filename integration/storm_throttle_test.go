package integration

import (
	"fmt"
	"testing"
	"time"

	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing/simulator"
)

// TestThrottleOfAFleet: every call of two workers meets a 429, which says when to
// come back or does not. No circuit opens, few calls are wasted, and the backlog
// drains when it is over.
func TestThrottleOfAFleet(t *testing.T) {
	t.Parallel()
	const lasts = 4 * time.Second
	for name, story := range map[string]struct {
		wait time.Duration
		most int // 429s, of both workers
	}{
		// Both have a few calls out when it begins, and then one or two a second.
		"with Retry-After": {time.Second, 2 * (atOnce + 4*2)},
		"without":          {0, 2 * (2*atOnce + 4*2)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStorm(t, staging{config: oneTarget})
			s.crews(2, nil)
			batch := s.enqueue(5*inHand, nil)
			s.awaitResults(inHand)
			s.down("*", simulator.Fault{Mode: simulator.RateLimit, RetryAfter: story.wait, For: lasts})
			s.drained(batch)
			if n := s.calls(jobs.Rate); n == 0 || n > story.most {
				t.Errorf("%d calls met a 429 in %s, at most %d", n, lasts, story.most)
			}
			s.neverOpened()
		})
	}
}

// neverOpened checks that no circuit was ever anything but closed.
func (s *storm) neverOpened() {
	s.Helper()
	if n := s.count("SELECT count(*) FROM tidegate.circuits WHERE generation > 0 OR state <> 'closed'"); n != 0 {
		s.Errorf("%d circuits have opened", n)
	}
	if n := len(s.told("tidegate.v1.circuits." + cheap + ".open")); n != 0 {
		s.Errorf("%d events say that one did", n)
	}
}

// TestHardLimitOfAProvider: it takes so many calls a second and says so with a
// 429, and nothing else. Two workers find out, and keep near it. How fast this machine
// is at the same time shows beside them, where there is no limit, once they have met it.
func TestHardLimitOfAProvider(t *testing.T) {
	t.Parallel()
	const perSecond, part = 20, 120
	for _, form := range []simulator.RetryForm{simulator.RetryNone, simulator.RetryMilliseconds} {
		t.Run(string(form), func(t *testing.T) {
			t.Parallel()
			s := newStorm(t, staging{config: oneTarget})
			check(t, s.sim.SetCapacity("cheap", simulator.Capacity{PerSecond: perSecond, RetryAfter: form}))
			s.crews(2, nil)
			began, requests := time.Now(), part
			batches := []jobs.Batch{s.enqueue(part, nil)}
			fixture.Await(t, soon, "a call meets a 429, or all are answered", func() bool { return s.calls(jobs.Rate) > 0 || s.results() == part })
			if s.calls(jobs.Rate) > 0 { // however late that is, enough are left for when they know
				requests += part
				batches = append(batches, s.enqueue(part, func(i int, r *jobs.Request) { r.CustomID, r.Body = fmt.Sprintf("m-%03d", i), body(part+i) }))
			}
			free := newStorm(t, staging{config: oneTarget})
			free.crews(2, nil)
			freely := free.enqueue(part, nil)
			for i := range batches {
				batches[i] = s.awaitBatch(batches[i])
			}
			took := time.Since(began)
			s.drained(batches...)
			s.neverOpened()
			free.drained(freely)
			// What it costs to find out is what is on its way at the first 429, and some
			// seconds that are measured with the burst in them; then they know.
			finding, known, answers := s.refusedSince(findsOut)
			if most := perSecond + int(findsOut.Seconds()*perSecond); finding > most {
				t.Errorf("%d 429s until they know, at most %d", finding, most)
			}
			if share := float64(known) / float64(answers); finding > 0 && (answers < part/3 || share > 0.2) {
				t.Errorf("then there are %d 429s for %d answers", known, answers)
			}
			best := max(time.Second/perSecond, free.each(part)) * time.Duration(requests)
			if took > 3*best {
				t.Errorf("it took %s, where %s would do", took, best)
			}
			t.Logf("%d 429s, then %d for %d answers, %s of %s", finding, known, answers, took, best)
		})
	}
}

// each is how long one of so many requests took, from the first call to the last.
func (s *storm) each(requests int) time.Duration {
	s.Helper()
	const query = "SELECT (extract(epoch FROM max(at) - min(at)) * 1000000)::bigint FROM tidegate.attempts"
	return time.Duration(s.count(query)) * time.Microsecond / time.Duration(requests)
}

// findsOut is how long workers may take, from the first 429 on, to find out what a
// provider takes.
const findsOut = 3 * time.Second

// refusedSince counts the 429s until so long after the first one, and from then on, with
// the answers then.
func (s *storm) refusedSince(after time.Duration) (until, then, answers int) {
	s.Helper()
	const query = `WITH known AS (SELECT min(at) + $1::interval AS at FROM tidegate.attempts WHERE class = 'RATE')
		SELECT count(*) FILTER (WHERE class = 'RATE' AND a.at < k.at), count(*) FILTER (WHERE class = 'RATE' AND a.at >= k.at), count(*) FILTER (WHERE class = 'OK' AND a.at >= k.at)
		FROM tidegate.attempts a, known k`
	check(s.T, s.Pool.QueryRow(s.Context(), query, after).Scan(&until, &then, &answers))
	return until, then, answers
}

// TestConfiguredLimitIsTheFleets: a limit a minute is what two workers call
// together, whatever the time that one looks at, but for half a second that may
// be saved up.
func TestConfiguredLimitIsTheFleets(t *testing.T) {
	t.Parallel()
	const perSecond = 20
	s := newStorm(t, staging{config: func(c *config.Config) {
		oneTarget(c)
		c.Targets[0].Limits.RequestsPerMinute = 60 * perSecond
	}})
	s.crews(2, nil)
	fixture.Await(t, soon, "both know of each other", func() bool { return s.count("SELECT count(*) FROM tidegate.workers WHERE beats > 5") == 2 })
	began := time.Now()
	batch := s.enqueue(150, nil)
	s.drained(batch)
	calls := s.since(began, time.Now())
	// Half a second saved up; and when a share moves from one to the other, what
	// both have saved up by then.
	const burst = perSecond/2 + 2
	for i := range calls {
		for j := i + 1; j < len(calls); j++ {
			span := calls[j].began.Sub(calls[i].began)
			if n, most := j-i+1, burst+int(perSecond*span.Seconds())+1; n > most {
				t.Fatalf("%d calls within %s, at most %d", n, span, most)
			}
		}
	}
	if took, best := calls[len(calls)-1].began.Sub(began), 150/perSecond*time.Second; took > 2*best {
		t.Errorf("it took %s, where %s would do", took, best)
	}
}
