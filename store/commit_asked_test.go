package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
)

// asked is what a ledger says of the request of a call, in the order of its columns.
const asked = `SELECT concat_ws(' ', extract(epoch FROM arrived_at)::bigint, coalesce(extract(epoch FROM deadline)::bigint::text, '-'), coalesce(max_cost_micro_usd::text, '-'),
	coalesce(body_bytes::text, '-'), coalesce(priority::text, '-'), coalesce(awaited::text, '-'), coalesce(tenant, '-'), coalesce(goal, '-'), coalesce(endpoint, '-'), coalesce(waited_for, '-'))
	FROM tidegate.attempts WHERE request_id = $1`

func (w *world) asked(request string) (said string) {
	w.t.Helper()
	if err := w.pool.QueryRow(w.t.Context(), asked, request).Scan(&said); err != nil {
		w.t.Fatal(err)
	}
	return said
}

// What a replay must know of a request stands with its calls, so that it is still known
// when the request is gone.
func TestCommitKeepsWhatWasAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requests := w.accept("", 2)
	plain, full := &requests[0], &requests[1]
	at := time.Unix(1_900_000_000, 0)
	plain.CreatedAt, plain.Tenant = at, jobs.DefaultTenant
	full.CreatedAt, full.Deadline, full.MaxCost, full.Priority, full.Goal, full.Endpoint, full.Awaited = at, at.Add(time.Hour), 1200, 3, "cost", jobs.EndpointEmbeddings, true
	entry := answered(full)
	entry.Trace[0].Attempt.WaitedFor = jobs.WaitedForPace
	w.commit(answered(plain), entry)
	got := []string{w.asked(plain.ID), w.asked(full.ID)}
	want := []string{"1900000000 - - 45 - - - - - -", "1900000000 1900003600 1200 45 3 true acme cost /v1/embeddings pace"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
