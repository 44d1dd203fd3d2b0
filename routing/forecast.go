package routing

import (
	"math"
	"slices"
	"strings"
	"time"

	"tidegate/jobs"
)

const (
	// within is how many standard deviations eight of ten values are within.
	within = 1.2816
	// unmeasured is what a speed may be wrong by that follows from limits alone.
	unmeasured = 0.4
	// saturated is the part of what a target takes from which on routes are in each
	// other's way there.
	saturated = 0.75
	// progressOld is after what time nobody is thought to work who has said nothing.
	progressOld = time.Minute
	// oftenDown is how often a target is down, about: outages last half an hour in the
	// mean, and are a twentieth of the time.
	oftenDown = 10 * time.Hour
	// longestForecast bounds what can be said of a speed that is next to nothing.
	longestForecast = 50 * 365 * 24 * time.Hour
)

// Forecasts say when what waits will be done, as the fleet stood at one moment.
//
//	speed = what ended in a second, lately, while there was work
//	        or what the targets take that may be called, where some may not
//	time  = jobs ahead ÷ speed, as routes that end leave their part of a shared target
//	        to others
//	range = how wrong the speed may be: by chance, by how steady it is, by its age
//
// While a route holds there is no time: nobody knows when an outage ends, if the provider
// has not said it. They are only read, and so safe for concurrent use.
type Forecasts struct {
	now    time.Time     // of this machine
	ahead  time.Duration // of the database's clock
	routes map[string]*forecastRoute
	order  []*forecastRoute
}

// A forecastRoute is a route as a forecast sees it.
type forecastRoute struct {
	seen    *jobs.Progress
	ahead   float64 // jobs that are not done
	rate    float64 // a second; zero: not known
	wrong   float64
	waits   string        // for what it waits, so that nobody can say; empty: it does not
	until   time.Duration // it waits for, and no longer; zero: it does not
	slow    string        // why it is slower than usual
	on      []*target     // that may be called
	between float64       // what ended since it was counted
}

// Forecasts makes forecasts of what the fleet says and what its supervisor has seen. The
// router must have followed the fleet.
func (r *Router) Forecasts(fleet *jobs.Fleet, seen []jobs.Progress) *Forecasts {
	f := &Forecasts{now: r.now(), ahead: fleet.Ahead, routes: map[string]*forecastRoute{}}
	plan := r.plan.Load()
	for i := range seen {
		p := &seen[i]
		made := &forecastRoute{seen: p, ahead: float64(p.InHand + p.Waiting())}
		f.routes[p.Route] = made
		f.order = append(f.order, made)
		if made.rate, made.wrong = p.Speed.Rate(f.there()); p.At.Before(f.there().Add(-progressOld)) {
			made.waits = "no worker runs"
		} else if !p.Served {
			made.waits = "no worker works it"
		}
		made.paused(fleet.Pauses)
		if known := plan.routes[p.Route]; known != nil && len(known.chain) > 0 {
			r.stands(f, made, known)
		}
		if made.waits == "" && made.until == 0 && !p.CountedAt.IsZero() { // what was done since it was counted
			done := made.rate * f.there().Sub(p.CountedAt).Seconds()
			made.between = max(0, min(done, made.ahead))
		}
		made.ahead += float64(p.Came())
	}
	slices.SortFunc(f.order, func(a, b *forecastRoute) int { return strings.Compare(a.seen.Route, b.seen.Route) })
	return f
}

// there is the time by the database's clock.
func (f *Forecasts) there() time.Time { return f.now.Add(f.ahead) }

// paused says who pauses the route, but for its circuits.
func (m *forecastRoute) paused(pauses []jobs.Pause) {
	for i := range pauses {
		switch p := &pauses[i]; {
		case p.Route != m.seen.Route || m.waits != "":
		case p.Owner == jobs.OwnerPerson:
			m.waits = "waits for a person to resume it"
		case p.Owner == jobs.OwnerBudget:
			m.waits = "waits for its budget"
		}
	}
}

// stands says what of the route's targets may be called, and how much that is.
func (r *Router) stands(f *Forecasts, m *forecastRoute, known *route) {
	var takes, guessed, all drain
	var shut []string
	var until time.Duration // the first that is back, as it said itself
	for _, target := range known.chain {
		ready, at := target.circuit.readiness()
		all.add(r.drains(target, startsUsage.Input+startsUsage.Output))
		if ready == Flowing {
			m.on = append(m.on, target)
			takes.add(r.drains(target, 0))
			guessed.add(r.drains(target, startsUsage.Input+startsUsage.Output))
			continue
		}
		shut = append(shut, target.Name)
		wait := at.Sub(f.now)
		if outage := target.circuit.outage(); ready == Shut && outage.ends && wait < jobs.LongestCooldown && (until == 0 || wait < until) {
			until = wait
		}
	}
	switch {
	case len(m.on) == 0:
		m.holds(shut, until)
	case len(shut) > 0:
		m.limit(takes)
		m.slow = "without " + list(shut, "and")
		if all, _ := r.Starts(m.seen.Route, int(m.ahead)); !all && m.waits == "" {
			m.waits = "waits for " + list(shut, "or") + ", which costs less"
		}
	}
	if guess := guessed.answers; m.rate == 0 {
		if len(m.on) == 0 {
			guess = all.takes
		}
		if !math.IsInf(guess, 1) {
			m.rate, m.wrong = guess, unmeasured
		}
	}
}

// holds says how long a route waits of whose chain no target may be called.
func (m *forecastRoute) holds(shut []string, until time.Duration) {
	switch {
	case m.waits != "":
	case until > 0:
		m.until, m.slow = until, "after a pause that "+list(shut, "or")+" asked for"
	default:
		m.waits = "waits for " + list(shut, "or")
	}
}

// limit bounds a speed by what the targets take that are left.
func (m *forecastRoute) limit(takes drain) {
	if takes.takes < m.rate {
		m.rate, m.wrong = takes.takes, math.Hypot(m.wrong, unmeasured/2)
	}
}

func list(names []string, and string) string {
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " " + and + " " + names[n-1]
	}
	return strings.Join(names, "")
}

// Route says when what waits on a route now, and is in hand, will be done.
func (f *Forecasts) Route(name string) jobs.Forecast {
	m := f.routes[name]
	if m == nil {
		return jobs.Forecast{}
	}
	return f.Until(name, m.ahead, m.ahead, min(1, m.ahead))
}

// Until says when so many jobs of a route will be done, those that are in its queue and
// in hand counted from the front: between least and most, as they stood when they were
// counted last. Of these, own are not done now.
func (f *Forecasts) Until(name string, least, most, own float64) jobs.Forecast {
	m := f.routes[name]
	if m == nil {
		return jobs.Forecast{Ahead: whole(most), Reason: "nobody has worked its route yet"}
	}
	least, most = max(own, min(least, most)-m.between), max(own, most-m.between)
	said := jobs.Forecast{Ahead: whole((least + most) / 2), Reason: m.waits}
	if most <= 0 {
		return jobs.Forecast{}
	}
	if m.rate <= 0 {
		return said
	}
	sure, may := f.crowded(m)
	expected := f.lasts(m, (least+most)/2, sure)
	if said.Work = lasting(expected); m.waits != "" {
		return said
	}
	early, late := f.lasts(m, least, may), f.lasts(m, most, sure)
	wide := math.Exp(within * m.wrong)
	tail := m.tail()
	at := func(seconds float64) time.Time {
		return f.there().Add(m.until + lasting(seconds))
	}
	said.At, said.Early, said.Late = at(expected+tail), at(early/wide), at(late*wide*(1+unforeseen(late))+6*tail+1)
	said.Reason = m.slow
	return said
}

// unforeseen is which part of a time is lost to outages that nobody foresees, in nine of ten
// cases at most: of a short one none.
func unforeseen(seconds float64) float64 {
	return bothDown * min(1, seconds/oftenDown.Seconds())
}

// lasting is so many seconds, within what can be said.
func lasting(seconds float64) time.Duration {
	return time.Duration(min(seconds, longestForecast.Seconds()) * float64(time.Second))
}

func whole(n float64) int { return int(math.Ceil(n)) }

// tail is how many seconds the last answer takes that is not yet there when its call
// begins.
func (m *forecastRoute) tail() float64 {
	if m.rate <= 0 {
		return 0
	}
	return min(float64(m.seen.InHand), m.seen.Speed.Slow.N) / m.rate / 4
}

// lasts is how many seconds a route takes for so many of its jobs. With release, routes
// that end leave their part of a target to those who want it, too.
func (f *Forecasts) lasts(m *forecastRoute, jobs float64, release bool) float64 {
	if alone := jobs / m.rate; !release || math.IsInf(alone, 1) { // at a rate of next to nothing
		return alone
	}
	left := make([]float64, len(f.order))
	rates := make([]float64, len(f.order))
	for i, other := range f.order {
		if other.works() {
			left[i], rates[i] = max(0, other.ahead-other.between), other.rate
		}
		if other == m {
			left[i], rates[i] = jobs, m.rate
		}
	}
	return f.flow(m, left, rates)
}

// works tells whether a route is being worked.
func (m *forecastRoute) works() bool {
	return m.waits == "" && m.until == 0 && m.rate > 0 && m.ahead-m.between >= 1
}

// flow lets all routes work until one of them is done, again and again, until m is.
func (f *Forecasts) flow(m *forecastRoute, left, rates []float64) float64 {
	passed := 0.0
	for range f.order {
		step := math.Inf(1)
		for i := range f.order {
			if rates[i] > 0 && left[i] > 0 {
				step = min(step, left[i]/rates[i])
			}
		}
		if math.IsInf(step, 1) {
			break
		}
		passed += step
		var over []int
		for i := range f.order {
			if rates[i] > 0 && left[i] > 0 {
				if left[i] -= rates[i] * step; left[i] <= 1e-9*rates[i] {
					left[i], over = 0, append(over, i)
				}
			}
		}
		for _, i := range over {
			if f.order[i] == m {
				return passed
			}
			f.release(i, left, rates)
		}
	}
	return passed
}

// release gives the rate of a route that is done to those that want its targets, too, as
// they have it.
func (f *Forecasts) release(done int, left, rates []float64) {
	sum := 0.0
	for i, other := range f.order {
		if left[i] > 0 && rates[i] > 0 && f.order[done].shares(other) {
			sum += rates[i]
		}
	}
	if sum > 0 {
		factor := (sum + rates[done]) / sum
		for i, other := range f.order {
			if left[i] > 0 && rates[i] > 0 && f.order[done].shares(other) {
				rates[i] *= factor
			}
		}
	}
	rates[done] = 0
}

// shares tells whether two routes are in each other's way.
func (m *forecastRoute) shares(other *forecastRoute) bool {
	return slices.ContainsFunc(m.on, func(t *target) bool { return slices.Contains(other.on, t) })
}

// crowded tells whether the routes that share targets with this one are known to be in
// each other's way there, so that what one leaves is another's; and whether they may be.
func (f *Forecasts) crowded(m *forecastRoute) (sure, may bool) {
	sure = len(m.on) > 0
	for _, target := range m.on {
		takes, used := target.pace.capacity(0), 0.0
		for _, other := range f.order {
			if other.works() && slices.Contains(other.on, target) {
				used += other.rate / float64(len(other.on))
			}
		}
		full := !math.IsInf(takes, 1) && used >= saturated*takes
		sure, may = sure && full, may || full || target.Limits.Concurrency > 0
	}
	return sure, may
}
