package batchapi

import (
	"sync"

	"tidegate/jobs"
)

// hallBytes is how much of the bodies of those who wait for an answer may be in memory at
// a time, beside the first smallBytes of each: not of the room of those who only bring
// something.
const hallBytes = roomBytes

// A hall is where those are who wait for their answers: some may wait at a time, with so
// many bytes. A tenant has at most as much of it as it leaves to others: half of it if it
// is alone, a third beside one like it. Safe for concurrent use.
type hall struct {
	mu     sync.Mutex
	places stock
	bytes  stock
}

func newHall(places int) *hall {
	return &hall{places: newStock(int64(places)), bytes: newStock(hallBytes)}
}

// enter takes a place for somebody whose body has so many bytes, until leave is called. Where there
// are no keys there is one tenant, who may have all of it.
func (h *hall) enter(key jobs.Key, bytes int) (leave func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	large, all := max(int64(bytes)-smallBytes, 0), key.ID == ""
	if !h.places.has(key.Tenant, 1, all) || !h.bytes.has(key.Tenant, large, all) {
		return nil, errBusy
	}
	h.places.take(key.Tenant, 1)
	h.bytes.take(key.Tenant, large)
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.places.take(key.Tenant, -1)
		h.bytes.take(key.Tenant, -large)
	}, nil
}

// A stock is what there is of something, and who has how much. It requires external
// locking.
type stock struct {
	left int64
	by   map[string]int64 // tenant
}

func newStock(all int64) stock { return stock{left: all, by: map[string]int64{}} }

// has tells whether n are left for a tenant; all: for whom nothing need be left over.
func (s *stock) has(tenant string, n int64, all bool) bool {
	return n == 0 || n <= s.left && (all || s.by[tenant]+n <= s.left || s.by[tenant] == 0)
}

func (s *stock) take(tenant string, n int64) {
	s.left -= n
	if s.by[tenant] += n; s.by[tenant] == 0 {
		delete(s.by, tenant)
	}
}
