package worker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"tidegate/jobs"
)

// A debt is the deadlines of a database, on a fake clock.
type debt struct {
	mu    sync.Mutex
	owed  []owed        // by deadline and id
	price time.Duration // for looking at one request
	away  bool
	seen  int // requests that were looked at, those that were looked at again included
	most  int // in one look
}

type owed struct {
	place     jobs.Due
	committed time.Time
	ended     time.Time
}

// due adds n requests of one deadline, which are committed some time after it.
func (d *debt) due(n int, deadline time.Time, late time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for range n {
		place := jobs.Due{Deadline: deadline, RequestID: fmt.Sprintf("%08d", len(d.owed))}
		d.owed = append(d.owed, owed{place: place, committed: deadline.Add(late)})
	}
	slices.SortFunc(d.owed, func(a, b owed) int { return order(a.place, b.place) })
}

func order(a, b jobs.Due) int {
	return cmp.Or(a.Deadline.Compare(b.Deadline), cmp.Compare(a.RequestID, b.RequestID))
}

// sweep is what the store does.
func (d *debt) sweep(ctx context.Context, s jobs.Sweep) (swept jobs.Swept, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	page, err := d.page(ctx, s)
	if err != nil {
		return swept, err
	}
	for _, o := range page {
		if o.ended.IsZero() {
			o.ended = time.Now()
			swept.Ended++
		}
		swept.Last = o.place
	}
	swept.Seen = len(page)
	d.seen, d.most = d.seen+len(page), max(d.most, len(page))
	return swept, nil
}

// page requires the lock, and is without it while it takes its time.
func (d *debt) page(ctx context.Context, s jobs.Sweep) (page []*owed, err error) {
	now := time.Now()
	for i := range d.owed {
		at := i
		if s.Latest {
			at = len(d.owed) - 1 - i
		}
		o := &d.owed[at]
		behind := s.Behind == (jobs.Due{}) || s.Latest == (order(o.place, s.Behind) < 0) && o.place != s.Behind
		near := o.place.Deadline.After(now.Add(-s.Ago)) || !s.Latest && s.Behind != (jobs.Due{})
		if len(page) < s.AtMost && behind && near && !o.place.Deadline.After(now) && !o.committed.After(now) {
			page = append(page, o)
		}
	}
	wait := time.Duration(len(page)) * d.price
	if d.away {
		wait = time.Hour
	}
	d.mu.Unlock()
	defer d.mu.Lock()
	return page, sleepUntil(ctx, wait)
}

// open are those that have not ended, and the longest that one had to wait.
func (d *debt) open() (open int, longest time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, o := range d.owed {
		if o.ended.IsZero() {
			open++
			continue
		}
		longest = max(longest, o.ended.Sub(o.committed))
	}
	return open, longest
}

// looked is how many requests were looked at, and how many of them at once.
func (d *debt) looked() (seen, most int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.seen, d.most
}

// However many deadlines pass together, each request is looked at a dozen times:
// as its deadline passes, for those that are committed late, and looking back.
func TestExpireMany(t *testing.T) {
	inRealm(t, 1, func(t *testing.T, r *realm) {
		d := &debt{}
		r.looks(d.sweep)
		pass(3 * time.Second)
		const many = 6 * expireMost
		d.due(many, time.Now().Add(time.Second), 0)
		pass(3 * time.Minute)
		open, longest := d.open()
		if seen, most := d.looked(); open > 0 || longest > 5*time.Second || most > expireMost || seen > 15*many {
			t.Errorf("%d are open, one waited %s; %d looks at %d requests, %d in one", open, longest, seen, many, most)
		}
	})
}

// A step is as small as Postgres needs it to be, and none is made in vain twice.
func TestExpireOnASlowDatabase(t *testing.T) {
	inRealm(t, 1, func(t *testing.T, r *realm) {
		d := &debt{price: 5 * time.Millisecond} // 200 a second
		r.looks(d.sweep)
		pass(3 * time.Second)
		d.due(6000, time.Now().Add(time.Second), 0)
		pass(4 * time.Minute)
		if open, longest := d.open(); open > 0 || longest > 3*time.Minute {
			t.Errorf("%d are open, one waited %s", open, longest)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.epoch != 1 {
			t.Errorf("the lead changed hands: epoch %d", r.epoch)
		}
	})
}

// A deadline is seen to whenever it passed: while nobody supervised, while
// Postgres was away, and before its transaction was committed.
func TestExpireWhatWasMissed(t *testing.T) {
	inRealm(t, 1, func(t *testing.T, r *realm) {
		began := time.Now()
		d := &debt{}
		r.looks(d.sweep)
		d.due(1, began.Add(-expireBack+time.Minute), 0) // a day before anybody looked
		d.due(3*expireMost, began.Add(-2*time.Hour), 0)
		d.due(1, began.Add(-2*expireBack), 0) // and too long before
		pass(time.Minute)
		if open, _ := d.open(); open != 1 {
			t.Errorf("of a day's, %d are open", open-1)
		}
		for _, c := range []struct {
			why                  string
			late, within, passes time.Duration
			away                 bool
		}{
			{"at once", 0, 2 * time.Second, 10 * time.Second, false},
			{"committed late", expireOverlap - time.Second, overlapEvery + 2*time.Second, 2 * time.Minute, false},
			{"committed much too late", 3 * time.Hour, backEvery + 2*time.Second, 4 * time.Hour, false},
			{"Postgres was away", 0, 10 * time.Minute, 15 * time.Minute, true},
		} {
			d.mu.Lock()
			d.owed, d.away = nil, c.away
			d.mu.Unlock()
			d.due(1, time.Now().Add(time.Second), c.late)
			if c.away {
				pass(5 * time.Minute)
				d.mu.Lock()
				d.away = false
				d.mu.Unlock()
			}
			pass(c.passes)
			if open, longest := d.open(); open > 0 || longest > c.within {
				t.Errorf("%s: %d are open, one waited %s", c.why, open, longest)
			}
		}
	})
}

// While so many deadlines pass together that the sweeps take minutes, what is
// committed late is found nevertheless.
func TestExpireLateOnesAmongMany(t *testing.T) {
	inRealm(t, 1, func(t *testing.T, r *realm) {
		d := &debt{price: 125 * time.Microsecond}
		r.looks(d.sweep)
		pass(3 * time.Second)
		now := time.Now()
		d.due(8*expireMost, now.Add(time.Second), 0)
		for i := range 60 {
			d.due(1, now.Add(time.Duration(i)*time.Second), expireOverlap-time.Second)
		}
		pass(5 * time.Minute)
		if open, longest := d.open(); open > 0 || longest > 2*time.Minute {
			t.Errorf("%d are open, one waited %s", open, longest)
		}
	})
}
