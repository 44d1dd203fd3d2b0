package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidegate/cmd/app/config"
	"tidegate/cmd/app/dashboard"
	"tidegate/jobs"
	"tidegate/store"
)

// pageBatches is how many of the newest batches the page shows, and how many of the oldest
// that go on.
const pageBatches = 8

// A pageReader reads how everything stands, for the page.
type pageReader struct {
	look   *look
	config *config.Config   // as of this reading
	found  map[string]found // by batch; only one reads at a time
	every  time.Duration    // it is found out anew
}

func goOn(batches []jobs.Batch) (n int) {
	for i := range batches {
		if !batches[i].Ended() {
			n++
		}
	}
	return n
}

func (p *pageReader) read(ctx context.Context) (*dashboard.Overview, error) {
	status, err := p.look.store.Glance(ctx, pageBatches)
	if err != nil {
		return nil, err
	}
	fleet, err := p.look.store.Fleet(ctx)
	if err != nil {
		return nil, err
	}
	outlook, err := p.look.forecasts.outlook(ctx)
	if err != nil {
		return nil, err
	}
	p.config = p.look.config()
	o := &dashboard.Overview{At: status.At, Outbox: status.Outbox, Behind: status.Behind, Workers: pageWorkers(&status), Open: status.Open, OpenMore: status.OpenMore()}
	for i := range status.Routes {
		made := pageRoute(&status, &status.Routes[i])
		if made.Waiting+made.InHand > 0 {
			made.Done = pageDone(outlook.Route(made.Name), time.Time{})
		}
		o.Routes = append(o.Routes, made)
	}
	for i := range status.Circuits {
		o.Targets = append(o.Targets, p.target(&status, &fleet, &status.Circuits[i]))
	}
	p.order(o.Targets)
	p.every = foundEvery * time.Duration(max(1, (goOn(status.Batches)+foundOften-1)/foundOften))
	for _, b := range status.Batches {
		made, err := p.batch(ctx, b)
		if err != nil {
			return nil, err
		}
		o.Batches = append(o.Batches, made)
	}
	for _, b := range tight(status.Budgets) {
		view := viewBudgets([]jobs.Budget{b})[0]
		note := dashboard.Note{Title: "The budget of the " + string(b.Scope) + " " + b.Name + " is " + view.State + ".", Text: view.Why}
		o.Budgets = append(o.Budgets, note)
	}
	return o, nil
}

// order puts targets into the order of the configuration, others by their names.
func (p *pageReader) order(targets []dashboard.Target) {
	rank := func(name string) int {
		if i := slices.IndexFunc(p.config.Targets, func(t config.Target) bool { return t.Name == name }); i >= 0 {
			return i
		}
		return len(p.config.Targets)
	}
	slices.SortStableFunc(targets, func(a, b dashboard.Target) int {
		return cmp.Or(cmp.Compare(rank(a.Name), rank(b.Name)), cmp.Compare(a.Name, b.Name))
	})
}

func pageWorkers(status *store.Status) (w dashboard.Workers) {
	for _, one := range viewWorkers(status.Workers) {
		switch one.State {
		case workerAlive:
			w.Alive++
		case workerSilent:
			w.Silent++
		case workerDead:
			w.Dead++
		}
		if one.Supervises {
			w.Supervisor = one.Worker
		}
	}
	return w
}

func pageRoute(status *store.Status, r *store.RouteStatus) dashboard.Route {
	view := viewRoute(status, r)
	made := dashboard.Route{
		Name: view.Route, State: view.State, Why: view.Why, Since: view.Since, Chain: r.Chain, Waiting: view.Waiting, InHand: view.InHand,
		Discarded: view.Discarded, Oldest: view.Oldest, Counted: r.CountedAt,
	}
	for _, pause := range view.Pauses {
		reason := pause.Reason
		if reason == "paused by a person" {
			reason = ""
		}
		made.Pauses = append(made.Pauses, dashboard.Pause{Owner: pause.Owner, Who: ownerName(pause.Owner), Reason: reason, Since: pause.Since})
	}
	return made
}

// target is how a target stands. What it costs and may be asked the configuration here
// knows, if it has targets.
func (p *pageReader) target(status *store.Status, fleet *jobs.Fleet, c *jobs.Circuit) dashboard.Target {
	t := dashboard.Target{
		Name: c.Target, Region: c.Region, Circuit: c.State, Since: c.Since, DownSince: c.DownSince, UntilClosed: c.UntilClosed(status.At),
		Reason: c.Reason, Degraded: c.Degraded, Probed: c.Prober != "",
	}
	if c.CooldownUntil.After(status.At) && !t.UntilClosed {
		t.CooldownUntil = c.CooldownUntil
	}
	for i := range status.Routes {
		if slices.Contains(status.Routes[i].Chain, c.Target) {
			t.Routes = append(t.Routes, status.Routes[i].Route)
		}
	}
	for i := range status.Drills {
		if status.Drills[i].Target == c.Target {
			t.Drill = &status.Drills[i]
		}
	}
	p.pace(&t, fleet)
	i := slices.IndexFunc(p.config.Targets, func(known config.Target) bool { return known.Name == c.Target })
	if i < 0 {
		return t
	}
	known := &p.config.Targets[i]
	t.Model = known.Model
	price := p.config.Pricing(known, status.At)
	t.Unpriced = price.Unknown != ""
	if !t.Unpriced {
		t.Price, t.PriceMore = pagePrice(price.Price)
	}
	if limit := known.Limits.RequestsPerMinute; limit > 0 {
		t.Limit, t.LimitFrom = float64(limit), "as configured"
	}
	return t
}

// pagePrice says a price in short, and what else there is of it.
func pagePrice(p jobs.Price) (short, more string) {
	switch {
	case p.Free:
		return "free", ""
	case p.Output == 0 && p.Input != 0:
		short = fmt.Sprintf("%s\u00a0in", p.Input)
	default:
		short = fmt.Sprintf("%s\u00a0in, %s\u00a0out", p.Input, p.Output)
	}
	if p.CachedInput != p.Input {
		more = fmt.Sprintf("%s cached", p.CachedInput)
	}
	if slices.ContainsFunc(p.Over[:], func(t jobs.Tier) bool { return t.Tokens > 0 }) {
		more = strings.TrimPrefix(more+", more for long prompts", ", ")
	}
	return short, more
}

// pace is how many calls the fleet makes, and may make as far as the provider says, or has
// been seen to take.
func (p *pageReader) pace(t *dashboard.Target, fleet *jobs.Fleet) {
	for i := range fleet.Peers {
		peer := &fleet.Peers[i]
		if peer.Dead {
			continue
		}
		t.PerMinute += peer.Accepted[t.Name] * time.Minute.Seconds()
		if said := peer.Announced[t.Name] * time.Minute.Seconds(); said > t.Limit {
			t.Limit, t.LimitFrom = said, "as it announces"
		}
	}
}

const (
	// foundEvery is how often it is found out what a batch costs that goes on, and when it
	// will be done, if no more than foundOften do; else it is so much less often.
	foundEvery = 6 * time.Second
	foundOften = 8
	// mostFound bounds the batches of which that is remembered.
	mostFound = 200
)

// found is what was found out about a batch.
type found struct {
	cost  string
	done  dashboard.Done
	ended int // of its requests, then
	final bool
	at    time.Time
}

// batch is how far a batch is. What it costs is added up now and then, and once when it has
// ended.
func (p *pageReader) batch(ctx context.Context, b jobs.Batch) (dashboard.Batch, error) {
	made := dashboard.Batch{Batch: b}
	last, known := p.found[b.ID]
	if !known || !last.final && (b.Ended() || time.Since(last.at) >= p.every) {
		var err error
		if last, err = p.find(ctx, &b, made.Ends()); err != nil {
			return made, err
		}
		if len(p.found) >= mostFound || p.found == nil {
			p.found = map[string]found{}
		}
		p.found[b.ID] = last
	}
	made.Cost, made.Done = last.cost, last.done
	return made, nil
}

func (p *pageReader) find(ctx context.Context, b *jobs.Batch, ended int) (found, error) {
	is := found{ended: ended, final: b.Ended(), at: time.Now()}
	var err error
	if is.cost, err = p.look.batchCost(ctx, b.ID, ended); err != nil || is.final {
		return is, err
	}
	said, deadline, err := p.look.forecasts.Batch(ctx, b)
	is.done = pageDone(said, deadline)
	return is, err
}

// batchCost is what a batch has cost, as a person reads it.
func (l *look) batchCost(ctx context.Context, id string, ended int) (string, error) {
	cost, exact, priced, err := l.store.BatchCost(ctx, id, ended)
	if err != nil {
		return "", err
	}
	if text := jobs.CostText(cost, !priced); exact {
		return text, nil
	} else {
		return "≈ " + text, nil
	}
}

// pageDone is a forecast as the page shows it.
func pageDone(f jobs.Forecast, deadline time.Time) dashboard.Done {
	done := dashboard.Done{Why: f.Reason}
	if f.Known() {
		done.At, done.Margin = f.At, jobs.Span(f.Margin())
	} else if f.Ahead > 0 || f.Reason != "" {
		done.Why = f.Text(time.Time{}) // in which is no time of day
	}
	done.Missed, done.MayMiss = f.Misses(deadline)
	return done
}
