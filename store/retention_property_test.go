package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"tidegate/jobs"
	"tidegate/store"
)

// keepDays is how long an attic keeps things, in days of its own.
const keepDays = 3

// A keepsake is a request, and what must become of it.
type keepsake struct {
	request jobs.Request
	endedOn int // the day; below zero: it has not ended
	failed  bool
	owed    bool // its event
}

// A bundle is a batch of them.
type bundle struct {
	id      string
	of      []*keepsake
	endedOn int     // the day; below zero: it has not ended
	readBy  *bundle // a retry that has not enqueued all it took
}

// An attic is a database whose days pass when they are told to.
type attic struct {
	*world
	held    jobs.Lead
	day     int
	singles []*keepsake
	bundles []*bundle
	places  map[string]jobs.RemovalPlace // where the last step of each kind ended
	ids     int
}

// For any order of accepting, ending, publishing, retrying, passing days and removing:
// what has not ended is there, what is young is there with its result, what others
// need is there; and when a sweep comes to its end, all that is old has gone.
func TestRemovalTakesWhatIsOld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.SaveRoutes(t.Context(), routesOf("summaries", "a")); err != nil {
		t.Fatal(err)
	}
	held := w.lead("lead")
	w.limit(ofAcme, 0, 1_000_000)
	w.exec("UPDATE tidegate.budgets SET spent = 77, spent_today = 7")
	rapid.Check(t, func(r *rapid.T) {
		w.exec("TRUNCATE tidegate.requests, tidegate.results, tidegate.batches, tidegate.batch_work, tidegate.outbox, tidegate.suspects, tidegate.river_job, tidegate.waiting")
		w.exec("DELETE FROM tidegate.budgets WHERE scope = 'batch'")
		a := &attic{world: w, held: held, places: map[string]jobs.RemovalPlace{}}
		r.Repeat(map[string]func(*rapid.T){
			"single": a.acceptSingle, "batch": a.acceptBatch, "end": a.end, "end more": a.end, "day": a.passDay, "relay": a.relay, "republish": a.republish,
			"retry": a.retry, "enqueue": a.enqueue, "remove": a.remove, "remove more": a.remove, "sweep": a.sweep, "": a.holds,
		})
		a.sweep(r)
		a.holds(r)
	})
	if b := w.budget(ofAcme); b.Spent != 77 || b.SpentToday != 7 {
		t.Errorf("the budget is %+v", b)
	}
}

func (a *attic) newRequest(batch string) *keepsake {
	a.ids++
	id := uuid.Must(uuid.NewV7())
	if a.ids%3 == 0 { // a producer may bring any
		id = uuid.New()
	}
	return &keepsake{endedOn: -1, request: jobs.Request{
		ID: id.String(), Tenant: "acme", Route: "summaries", BatchID: batch, CustomID: fmt.Sprint("c", a.ids), Body: []byte(body), CreatedAt: time.Now(),
	}}
}

func (a *attic) acceptSingle(*rapid.T) {
	k := a.newRequest("")
	a.write("", []jobs.Request{k.request})
	a.singles = append(a.singles, k)
}

func (a *attic) acceptBatch(r *rapid.T) {
	b := &bundle{id: store.NewBatchID(), endedOn: -1}
	var requests []jobs.Request
	for range rapid.IntRange(1, 6).Draw(r, "requests") {
		k := a.newRequest(b.id)
		b.of, requests = append(b.of, k), append(requests, k.request)
	}
	a.write(b.id, requests)
	a.exec("INSERT INTO tidegate.budgets (scope, name, total, set_by) VALUES ('batch', $1, 5, 'producer')", b.id)
	a.bundles = append(a.bundles, b)
}

// end ends one request that has not ended.
func (a *attic) end(r *rapid.T) {
	var open []*keepsake
	owner := map[*keepsake]*bundle{}
	for _, k := range a.singles {
		if k.endedOn < 0 {
			open = append(open, k)
		}
	}
	for _, b := range a.bundles {
		for _, k := range b.of {
			if k.endedOn < 0 {
				open, owner[k] = append(open, k), b
			}
		}
	}
	if len(open) == 0 {
		r.Skip()
	}
	k := rapid.SampledFrom(open).Draw(r, "request")
	entry := answered(&k.request)
	if k.failed = rapid.Bool().Draw(r, "failed"); k.failed {
		entry = ended(&k.request, jobs.StateRefused)
	}
	if n := a.commit(entry); n != 1 {
		r.Fatalf("%d results of one that had not ended", n)
	}
	k.endedOn, k.owed = a.day, true
	if b := owner[k]; b != nil && !slices.ContainsFunc(b.of, func(k *keepsake) bool { return k.endedOn < 0 }) {
		b.endedOn = a.day
		if err := a.EndBatch(a.t.Context(), b.id, 0); err != nil { // a retry has files
			r.Fatal(err)
		}
	}
}

// passDay makes everything older by a day.
func (a *attic) passDay(*rapid.T) {
	a.day++
	for _, sql := range []string{
		"UPDATE tidegate.requests SET created_at = created_at - interval '1 day'",
		"UPDATE tidegate.results SET stored_at = stored_at - interval '1 day'",
		"UPDATE tidegate.batches SET created_at = created_at - interval '1 day', ended_at = ended_at - interval '1 day'",
		"UPDATE tidegate.outbox SET created_at = created_at - interval '1 day'",
	} {
		a.exec(sql)
	}
	for kind, place := range a.places {
		if !place.At.IsZero() {
			place.At = place.At.Add(-24 * time.Hour)
			a.places[kind] = place
		}
	}
}

func (a *attic) every(do func(*keepsake)) {
	for _, k := range a.singles {
		do(k)
	}
	for _, b := range a.bundles {
		for _, k := range b.of {
			do(k)
		}
	}
}

func (a *attic) relay(r *rapid.T) {
	for _, event := range a.owed() {
		if event.Result != nil && event.Result.Tenant == "" || event.Batch != nil && event.Batch.Tenant == "" {
			r.Errorf("an event of nothing: %+v", event)
		}
	}
	a.every(func(k *keepsake) { k.owed = false })
}

// republish owes the event of a request that may have been removed.
func (a *attic) republish(r *rapid.T) {
	var all []*keepsake
	a.every(func(k *keepsake) { all = append(all, k) })
	if len(all) == 0 {
		r.Skip()
	}
	k := rapid.SampledFrom(all).Draw(r, "request")
	n, err := a.Republish(a.t.Context(), "", k.request.ID)
	if err != nil {
		r.Fatal(err)
	}
	if n == 1 {
		k.owed = true
	}
}

// retry makes a batch of what failed of another one.
func (a *attic) retry(r *rapid.T) {
	var may []*bundle
	for _, b := range a.bundles {
		if b.endedOn >= 0 && b.readBy == nil && slices.ContainsFunc(b.of, func(k *keepsake) bool { return k.failed }) {
			may = append(may, b)
		}
	}
	if len(may) == 0 {
		r.Skip()
	}
	b := rapid.SampledFrom(may).Draw(r, "batch")
	made, err := a.CreateRetry(a.t.Context(), jobs.Retry{ID: store.NewBatchID(), Of: b.id, CreatedAt: time.Now()}, store.Once{})
	if err != nil { // it was removed, or is tried again already
		r.Skip()
	}
	again := &bundle{id: made.ID, endedOn: -1}
	for _, k := range b.of {
		if k.failed {
			again.of = append(again.of, a.newRequest(made.ID))
		}
	}
	b.readBy = again
}

// enqueue has a retry read the batch that it tries again.
func (a *attic) enqueue(r *rapid.T) {
	for _, b := range a.bundles {
		again := b.readBy
		if again == nil {
			continue
		}
		n := 0
		for _, err := range a.FailedBehind(a.t.Context(), b.id, uuid.Nil, []jobs.Class{jobs.Content}) {
			if err != nil {
				r.Fatal(err)
			}
			n++
		}
		if n != len(again.of) {
			r.Fatalf("%s is to be tried again, and has %d of %d failed requests", b.id, n, len(again.of))
		}
		requests := make([]jobs.Request, len(again.of))
		for i, k := range again.of {
			requests[i] = k.request
		}
		err := pgx.BeginFunc(a.t.Context(), a.pool, func(tx pgx.Tx) error {
			if _, err := store.Advance(a.t.Context(), tx, again.id, store.Enqueued{}, store.Enqueued{Requests: n}); err != nil {
				return err
			}
			return store.InsertRequests(a.t.Context(), tx, requests)
		})
		if err != nil {
			r.Fatal(err)
		}
		b.readBy = nil
		a.bundles = append(a.bundles, again)
		return
	}
	r.Skip()
}

func (a *attic) step(kind string, atMost int) jobs.Removed {
	a.t.Helper()
	do := a.RemoveBatches
	if kind == "singles" {
		do = a.RemoveSingles
	}
	done, err := do(a.t.Context(), a.held, jobs.RemovalStep{Keep: keepDays * 24 * time.Hour, Behind: a.places[kind], AtMost: atMost})
	if err != nil {
		a.t.Fatal(err)
	}
	if done.Requests > atMost {
		a.t.Errorf("a step of %d removed %d", atMost, done.Requests)
	}
	if a.places[kind] = done.Place; !done.More {
		delete(a.places, kind)
	}
	return done
}

// remove does one step from where the last one ended.
func (a *attic) remove(r *rapid.T) {
	a.step(rapid.SampledFrom([]string{"batches", "singles"}).Draw(r, "kind"), rapid.IntRange(1, 4).Draw(r, "rows"))
}

// sweep removes until there is nothing more, and then looks whether all has gone.
func (a *attic) sweep(r *rapid.T) {
	atMost := rapid.IntRange(1, 4).Draw(r, "rows")
	for _, kind := range []string{"batches", "singles"} {
		delete(a.places, kind)
		for a.step(kind, atMost).More {
		}
	}
	old := func(day int) bool { return day >= 0 && a.day-day > keepDays }
	for _, k := range a.singles {
		if old(k.endedOn) && !k.owed && a.isThere(k) {
			r.Errorf("%s ended on day %d, it is day %d, and it is there", k.request.ID, k.endedOn, a.day)
		}
	}
	for _, b := range a.bundles {
		if old(b.endedOn) && b.readBy == nil && !slices.ContainsFunc(b.of, func(k *keepsake) bool { return k.owed }) && a.number("SELECT count(*) FROM tidegate.outbox WHERE batch_id = $1", b.id) == 0 {
			if n := a.number("SELECT (SELECT count(*) FROM tidegate.batches WHERE id = $1) + (SELECT count(*) FROM tidegate.requests WHERE batch_id = $1) + (SELECT count(*) FROM tidegate.budgets WHERE name = $1)", b.id); n != 0 {
				r.Errorf("%s ended on day %d, it is day %d, and %d rows of it are there", b.id, b.endedOn, a.day, n)
			}
		}
	}
	if n := a.number("SELECT count(*) FROM tidegate.results r WHERE NOT EXISTS (SELECT FROM tidegate.requests q WHERE q.id = r.request_id)"); n != 0 {
		r.Errorf("%d results of no request", n)
	}
}

func (a *attic) isThere(k *keepsake) bool {
	a.t.Helper()
	return a.number("SELECT count(*) FROM tidegate.requests WHERE id = $1", k.request.ID) == 1
}

// holds checks that what must be there is.
func (a *attic) holds(r *rapid.T) {
	young := func(day int) bool { return day < 0 || a.day-day < keepDays }
	check := func(k *keepsake) {
		if !a.isThere(k) {
			r.Fatalf("%s is gone: it ended on day %d of %d (%+v)", k.request.ID, k.endedOn, a.day, k)
		}
		if k.endedOn >= 0 && a.number("SELECT count(*) FROM tidegate.results WHERE request_id = $1", k.request.ID) != 1 {
			r.Fatalf("the result of %s is gone", k.request.ID)
		}
	}
	for _, k := range a.singles {
		if young(k.endedOn) || k.owed {
			check(k)
		}
	}
	for _, b := range a.bundles {
		batch, err := a.Batch(a.t.Context(), b.id)
		if young(b.endedOn) && err != nil {
			r.Fatalf("%s: %v", b.id, err)
		}
		if err != nil { // nobody sees it: whatever is left of it is to go
			if b.readBy != nil || slices.ContainsFunc(b.of, func(k *keepsake) bool { return k.owed }) {
				r.Fatalf("%s is removed while it is needed: %+v", b.id, b)
			}
			continue
		}
		if b.endedOn >= 0 && batch.Completed+batch.Failed != len(b.of) {
			r.Fatalf("%s is %+v", b.id, batch)
		}
		for _, k := range b.of {
			check(k)
		}
	}
}
