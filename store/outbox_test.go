package store_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
)

// names says which requests and batches events are about.
func names(events []jobs.Event) []string {
	var out []string
	for _, e := range events {
		if e.Batch != nil {
			out = append(out, e.Batch.ID)
			continue
		}
		out = append(out, e.Result.CustomID)
	}
	return out
}

func TestRelayOldestFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requests := w.accept("batch_1", 4)
	for _, i := range []int{2, 0, 3, 1} {
		w.commit(answered(&requests[i]))
	}
	want := []string{"doc-2", "doc-0", "doc-3", "doc-1", "batch_1"}
	for range 2 { // nothing is acknowledged: all of it stays
		last, err := w.Relay(t.Context(), 0, 3, func(events []jobs.Event) ([]bool, error) {
			if diff := cmp.Diff(want[:3], names(events)); diff != "" {
				t.Errorf("the oldest three (-want +got):\n%s", diff)
			}
			return all(3, false), nil
		})
		if last == 0 || err != nil {
			t.Errorf("it ends with %d, %v", last, err)
		}
		last, err = w.Relay(t.Context(), last, 3, func(events []jobs.Event) ([]bool, error) {
			if diff := cmp.Diff(want[3:], names(events)); diff != "" {
				t.Errorf("the others (-want +got):\n%s", diff)
			}
			return all(2, false), nil
		})
		if last != 0 || err != nil {
			t.Errorf("there are no more, but it ends with %d, %v", last, err)
		}
	}
	if diff := cmp.Diff(want, names(w.owed())); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	last, err := w.Relay(t.Context(), 0, 3, func([]jobs.Event) ([]bool, error) { panic("there is nothing to send") })
	if last != 0 || err != nil {
		t.Errorf("an empty outbox ends with %d, %v", last, err)
	}
}

func TestRelayForgetsWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	broken := errors.New("the line is cut")
	for _, c := range []struct {
		name string
		sent []bool
		err  error
		left []string
	}{
		{"all", []bool{true, true, true}, nil, nil},
		{"some", []bool{true, false, true}, nil, []string{"doc-1"}},
		{"fewer answers than events", []bool{true}, nil, []string{"doc-1", "doc-2"}},
		{"an error and no answer", nil, broken, []string{"doc-0", "doc-1", "doc-2"}},
		{"an error after some", []bool{true, true, false}, broken, []string{"doc-2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			requests := w.accept("", 3)
			for i := range requests {
				w.commit(answered(&requests[i]))
			}
			last, err := w.Relay(t.Context(), 0, 3, func([]jobs.Event) ([]bool, error) { return c.sent, c.err })
			if last == 0 || !errors.Is(err, c.err) {
				t.Errorf("it ends with %d, %v", last, err)
			}
			if diff := cmp.Diff(c.left, names(w.owed())); diff != "" {
				t.Errorf("left (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("more answers than events", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		requests := w.accept("", 1)
		w.commit(answered(&requests[0]))
		if _, err := w.Relay(t.Context(), 0, 500, func([]jobs.Event) ([]bool, error) { return all(2, true), nil }); err == nil {
			t.Error("it believed them")
		}
		if len(w.owed()) != 1 {
			t.Error("the event is gone")
		}
	})
}

// Two relays at once: while one has rows in hand, the other gets others.
func TestRelaysNeverShareARow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const total = 40
	requests := w.accept("", total)
	for i := range requests {
		w.commit(answered(&requests[i]))
	}
	var first, second []string
	_, err := w.Relay(t.Context(), 0, total/2, func(events []jobs.Event) ([]bool, error) {
		first = names(events)
		_, err := w.Relay(t.Context(), 0, total, func(events []jobs.Event) ([]bool, error) {
			second = names(events)
			return all(len(events), true), nil
		})
		return all(len(events), true), err
	})
	if err != nil || len(first) != total/2 || len(second) != total/2 {
		t.Fatalf("%d and %d of %d, %v", len(first), len(second), total, err)
	}
	for _, name := range second {
		if slices.Contains(first, name) {
			t.Errorf("both have %s", name)
		}
	}
	if left := w.owed(); len(left) != 0 {
		t.Errorf("%d are left", len(left))
	}
}

func TestManyRelays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const total, relays = 300, 4
	requests := w.accept("", total)
	w.commit(entries(requests, sequence(total))...)
	var mu sync.Mutex
	sent := map[string]int{}
	var parts sync.WaitGroup
	for range relays {
		parts.Go(func() {
			for {
				last, err := w.Relay(t.Context(), 0, 7, func(events []jobs.Event) ([]bool, error) {
					mu.Lock()
					defer mu.Unlock()
					for _, name := range names(events) {
						sent[name]++
					}
					return all(len(events), true), nil
				})
				if err != nil {
					t.Error(err)
				}
				if last == 0 {
					return
				}
			}
		})
	}
	parts.Wait()
	for name, n := range sent {
		if n != 1 {
			t.Errorf("%s was sent %d times", name, n)
		}
	}
	if len(sent) != total {
		t.Errorf("%d of %d were sent", len(sent), total)
	}
}

func sequence(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func TestEventsSayWhatTheStoreKnows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requests := w.accept("batch_1", 2)
	small, large := answered(&requests[0]), answered(&requests[1])
	small.Result.Body = bytes.Repeat([]byte("x"), jobs.MaxEventBody)
	large.Result.Body = bytes.Repeat([]byte("x"), jobs.MaxEventBody+1)
	w.commit(small)
	w.commit(large)
	owed := w.owed()
	if len(owed) != 3 {
		t.Fatalf("%d events", len(owed))
	}
	for i, want := range []jobs.Result{*small.Result, *large.Result} {
		got := owed[i].Result
		if got.BodyBytes != len(want.Body) {
			t.Errorf("the body of %d bytes is said to have %d", len(want.Body), got.BodyBytes)
		}
		if len(want.Body) > jobs.MaxEventBody {
			want.Body = nil
		}
		want.StoredAt = got.StoredAt
		if diff := cmp.Diff(want, got.Result); diff != "" {
			t.Errorf("result (-want +got):\n%s", strings.ReplaceAll(diff, "x", ""))
		}
		if got.StoredAt.IsZero() || got.Tenant != "acme" || got.Route != "summaries" || got.BatchID != "batch_1" || got.CustomID != requests[i].CustomID {
			t.Errorf("the event is of %s/%s/%s/%s at %s", got.Tenant, got.Route, got.BatchID, got.CustomID, got.StoredAt)
		}
	}
	end := owed[2].Batch
	if diff := cmp.Diff(w.batch("batch_1"), end.Batch); diff != "" {
		t.Errorf("the batch (-want +got):\n%s", diff)
	}
}
