package queue_test

import (
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"tidegate/jobs"
	"tidegate/jobs/queue"
	"tidegate/store"
)

// onceBy is how a request is known that comes again with a key.
func onceBy(key string) store.Once {
	return store.Once{Key: key, Hash: sha256.Sum256([]byte("asked")), Within: time.Hour, Repeated: true}
}

// What comes again is there once, with the id of the first, also when all come at once.
func TestOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, enqueue := range map[string]func(key string) (string, error){
		"one": func(key string) (string, error) { return w.EnqueueOnce(t.Context(), some(1)[0], onceBy("one "+key)) },
		"a batch": func(key string) (string, error) {
			return w.EnqueueManyOnce(t.Context(), jobs.DefaultTenant, some(1), jobs.BudgetLimits{Total: 5}, onceBy("batch "+key))
		},
	} {
		ids := make([]string, 10)
		var all sync.WaitGroup
		for i := range ids {
			all.Go(func() {
				var err error
				if ids[i], err = enqueue("k"); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		all.Wait()
		other, err := enqueue("another")
		if err != nil || other == ids[0] || other == "" {
			t.Errorf("%s: by another key %q, %v", name, other, err)
		}
		if len(slices.Compact(ids)) != 1 || ids[0] == "" {
			t.Errorf("%s: %v", name, ids)
		}
	}
	w.stands("after all", 4, 2)
	changed := onceBy("one k")
	changed.Hash = sha256.Sum256([]byte("something else"))
	if _, err := w.EnqueueOnce(t.Context(), some(1)[0], changed); !errors.Is(err, store.ErrKeyReused) {
		t.Errorf("for something else: %v", err)
	}
	unknown := jobs.Request{Route: "nowhere", Body: hello}
	var noRoute *queue.UnknownRouteError
	if _, err := w.EnqueueOnce(t.Context(), unknown, onceBy("later")); !errors.As(err, &noRoute) {
		t.Errorf("of no route: %v", err)
	}
	if _, err := w.EnqueueManyOnce(t.Context(), jobs.DefaultTenant, []jobs.Request{some(1)[0], unknown}, jobs.BudgetLimits{}, onceBy("later")); !errors.As(err, &noRoute) {
		t.Errorf("a batch, one of no route: %v", err)
	}
	if id, err := w.EnqueueOnce(t.Context(), some(1)[0], onceBy("later")); err != nil || id == "" {
		t.Errorf("what was refused holds its key: %q, %v", id, err)
	}
	// Without a key, each is its own.
	first, err := w.EnqueueOnce(t.Context(), some(1)[0], store.Once{})
	second, err2 := w.EnqueueOnce(t.Context(), some(1)[0], store.Once{})
	if err != nil || err2 != nil || first == second {
		t.Errorf("%s and %s, %v, %v", first, second, err, err2)
	}
	w.stands("in the end", 7, 2)
}
