package batchapi_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/jobs/batchapi"
)

// A desk has all wait until it is let.
type desk struct {
	waits atomic.Int64
	let   chan struct{}
}

func (d *desk) Answer(ctx context.Context, request *jobs.Request) (*jobs.Result, error) {
	d.waits.Add(1)
	defer d.waits.Add(-1)
	select {
	case <-d.let:
		return &jobs.Result{RequestID: request.ID, State: jobs.StateAnswered, Status: 200, Body: []byte(`{"object":"chat.completion"}`)}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A hall is a world where people wait for answers.
type hallOf struct {
	*world
	desk *desk
	all  sync.WaitGroup
}

func newHall(t *testing.T, places int) *hallOf {
	h := &hallOf{desk: &desk{let: make(chan struct{})}}
	h.world = newWorld(t, func(c *batchapi.Config) { c.Desk, c.Waiting = h.desk, places })
	return h
}

// fill has people come, one after the other, until one is told to come again, and counts
// those who wait.
func (h *hallOf) fill(body string, headers ...string) (n int) {
	h.Helper()
	for full := false; !full; {
		before := h.desk.waits.Load()
		told := make(chan answer, 1)
		h.all.Go(func() { told <- h.post("/v1/chat/completions", body, headers...) })
		fixture.Await(h, soon, "he waits, or is told", func() bool {
			select {
			case got := <-told:
				if message, _, _, code := got.fault(h); got.Status != http.StatusServiceUnavailable || code != "server_busy" || got.Header.Get("Retry-After") == "" {
					h.Fatalf("it says %d %s", got.Status, message)
				}
				full = true
				return true
			default:
				return h.desk.waits.Load() > before
			}
		})
		if !full {
			n++
		}
	}
	return n
}

// leave lets all be answered.
func (h *hallOf) leave() {
	close(h.desk.let)
	h.all.Wait()
	if n := h.desk.waits.Load(); n != 0 {
		h.Errorf("%d still wait", n)
	}
}

// A tenant whose people wait for answers leaves room for another one's, however many
// come.
func TestTenantsLeaveRoomToWait(t *testing.T) {
	t.Parallel()
	const chat = `{"messages":[{"role":"user","content":"hi"}]}`
	h := newHall(t, 12)
	acme, umbrella, last := h.keyOf("acme"), h.keyOf("umbrella"), h.keyOf("last")
	if n := h.fill(chat, "Authorization", acme); n != 6 {
		t.Errorf("of 12 places, one tenant has %d", n)
	}
	if n := h.fill(chat, "Authorization", umbrella); n != 3 {
		t.Errorf("of 6 that are left, the next one has %d", n)
	}
	if n := h.fill(chat, "Authorization", h.keyOf("acme")); n != 0 {
		t.Errorf("by another key, a tenant has %d more", n)
	}
	if n := h.fill(chat, "Authorization", last); n != 2 {
		t.Errorf("of 3 that are left, the last one has %d", n)
	}
	h.leave()
	if got := h.post("/v1/chat/completions", chat, "Authorization", acme); got.Status != http.StatusOK {
		t.Errorf("when all have left: %d %s", got.Status, got.Body)
	}
}

// Where there are no keys there is nobody to leave room for.
func TestOneTenantMayHaveAllPlaces(t *testing.T) {
	t.Parallel()
	h := newHall(t, 5)
	if n := h.fill(`{"messages":[{"role":"user","content":"hi"}]}`); n != 5 {
		t.Errorf("of 5 places, %d are taken", n)
	}
	h.leave()
}

// Nor does a tenant take all the memory by what it sends, and not that of those who send
// jobs.
func TestTenantsLeaveRoomForBodies(t *testing.T) {
	t.Parallel()
	h := newHall(t, 100)
	acme, umbrella := h.keyOf("acme"), h.keyOf("umbrella")
	const size = 4 << 20
	h.server.Shrink(4 * size)
	large := `{"messages":[{"role":"user","content":"` + strings.Repeat("x", size) + `"}]}`
	if n := h.fill(large, "Authorization", acme); n != 2 {
		t.Errorf("of room for 4, one tenant has %d", n)
	}
	if n := h.fill(large, "Authorization", umbrella); n != 1 {
		t.Errorf("of room for 2, the next one has %d", n)
	}
	if got := h.post("/v1/jobs", `{"route":"summaries","body":`+large+`}`, "Authorization", acme); got.Status != http.StatusAccepted {
		t.Errorf("a job: %d %s", got.Status, got.Body)
	}
	if n := h.fill(`{"messages":[{"role":"user","content":"hi"}]}`, "Authorization", h.keyOf("third")); n < 40 {
		t.Errorf("of small ones, %d", n)
	}
	h.leave()
}
