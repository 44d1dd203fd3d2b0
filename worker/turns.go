package worker

// tieBits are the bits of a ticket that tell those apart who start together: the later
// ones of about a million. The others are where they start.
const tieBits = 20

// turns are the tickets of those who wait for their answers, on one route: tenants take
// turns, and the callers of one go as they came. A tenant whose callers have waited
// alone has no credit for it, and owes nothing. It requires external locking.
type turns struct {
	clock uint64            // where the last one started who was let go
	next  map[string]uint64 // by tenant: where its next one starts, if it is ahead of the clock
	count uint64
}

// ticket is for one more of a tenant.
func (t *turns) ticket(tenant string) uint64 {
	start := max(t.clock, t.next[tenant])
	if t.next == nil {
		t.next = map[string]uint64{}
	}
	t.next[tenant] = start + 1
	t.count++
	return start<<tieBits | t.count&(1<<tieBits-1)
}

// went says that somebody with a ticket was let go.
func (t *turns) went(ticket uint64) {
	start := ticket >> tieBits
	if start <= t.clock {
		return
	}
	t.clock = start
	for tenant, next := range t.next {
		if next <= start {
			delete(t.next, tenant)
		}
	}
}
