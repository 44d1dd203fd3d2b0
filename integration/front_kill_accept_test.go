package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"tidegate/integration/fixture"
)

// atOnceTaken is how many requests a server has in hand when it is killed.
const atOnceTaken = 4

// TestServerIsKilledAcceptingJobs kills a server -9 while it accepts requests, with its
// transactions in Postgres' hand: before they are written, in the middle, and when the
// server has said its last word, and never heard that it holds. Who repeats them at
// another server, while the first one's are still there, has each accepted once; what was
// answered before is there.
func TestServerIsKilledAcceptingJobs(t *testing.T) {
	t.Parallel()
	p := buildProgram(t)
	for name, c := range map[string]struct {
		hold  string // what keeps the server's transactions from going on
		stuck string // the statement that they are in then
		kept  bool   // they are committed when they are let go, and nobody is there to hear of it
	}{
		"the request": {"LOCK TABLE tidegate.requests IN SHARE MODE", "%copy %requests%", false},
		"its job":     {"LOCK TABLE tidegate.river_job IN SHARE MODE", "%river_job%", false},
		"its key":     {"LOCK TABLE tidegate.once IN SHARE MODE", "%tidegate: keep once%", false},
		"the commit":  {"SELECT pg_advisory_xact_lock(4711)", "commit", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := &accepting{newKilling(t, p)}
			k.slowCommit()
			first := k.serve()
			before := k.accepted(k.begin("before", "0")())

			tx := k.lock(c.hold)
			cut := k.begin("cut", "0")
			k.await(c.stuck)
			first.signal(syscall.SIGKILL)
			first.end()
			killed := k.text("SELECT clock_timestamp()::text")
			for key, got := range cut() {
				if got.err == nil {
					t.Errorf("%s was answered: %+v", key, got)
				}
			}
			k.serve()
			again := k.begin("cut", "1")
			k.await("%tidegate: lock once%")
			if n := k.written("cut"); n != 0 {
				t.Errorf("%d of the first are written, and they were kept from that", n)
			}
			check(t, tx.Rollback(t.Context()))
			taken := k.accepted(again())
			k.sameAgain("before", before)
			k.sameAgain("cut", taken)
			k.madeBefore(killed, c.kept)
			k.fleet.hire()
			k.answeredOnce(2 * atOnceTaken)
		})
	}
}

// An accepting is a server process that accepts requests over HTTP.
type accepting struct{ *killing }

// slowCommit has a transaction that remembers a key wait in its commit while somebody
// else has a lock.
func (k *accepting) slowCommit() {
	k.Helper()
	_, err := k.Pool.Exec(k.Context(), `CREATE FUNCTION public.hold_commit() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NULL; END $$;
		CREATE CONSTRAINT TRIGGER hold_commit AFTER INSERT ON tidegate.once DEFERRABLE INITIALLY DEFERRED
			FOR EACH ROW EXECUTE FUNCTION public.hold_commit()`)
	check(k.T, err)
}

// lock begins a transaction that keeps others from going on.
func (k *accepting) lock(statement string) pgx.Tx {
	k.Helper()
	tx, err := k.Pool.Begin(k.Context())
	check(k.T, err)
	k.Cleanup(func() { _ = tx.Rollback(afterwards(k.T)) }) // or else the pool is never closed
	_, err = tx.Exec(k.Context(), statement)
	check(k.T, err)
	return tx
}

// await waits until all requests that were sent wait in Postgres with such a statement.
func (k *accepting) await(stuck string) {
	k.Helper()
	fixture.Await(k.T, soon, "all are stuck in "+stuck, func() bool {
		return k.count(`SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND state = 'active' AND wait_event_type = 'Lock' AND query ILIKE $1`, stuck) == atOnceTaken
	})
}

// A took is what came of a request that was sent.
type took struct {
	status int
	id     string
	err    error
}

// begin sends requests of a name to the server at once, the first half with keys and the
// others as official SDKs do, which count their repetitions. What it returns awaits what
// came of each.
func (k *accepting) begin(name, count string) (await func() map[string]took) {
	var mu sync.Mutex
	var all sync.WaitGroup
	got := map[string]took{}
	for i := range atOnceTaken {
		key := fmt.Sprintf("%s-%d", name, i)
		text := fmt.Sprintf(`{"custom_id":%q,"body":%s}`, key, body(i+100*len(name)))
		headers := map[string]string{"Idempotency-Key": key}
		if i >= atOnceTaken/2 {
			headers = map[string]string{"X-Stainless-Retry-Count": count}
		}
		base := k.base
		all.Go(func() {
			one := k.send(base+"/jobs", text, headers)
			mu.Lock()
			defer mu.Unlock()
			got[key] = one
		})
	}
	return func() map[string]took {
		all.Wait()
		return got
	}
}

func (k *accepting) send(url, text string, headers map[string]string) (got took) {
	request, err := http.NewRequestWithContext(k.Context(), http.MethodPost, url, strings.NewReader(text))
	if err != nil {
		return took{err: err}
	}
	request.Header.Set("Content-Type", "application/json")
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	request.GetBody = nil // or else Go itself repeats what has a key
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return took{err: err}
	}
	answer, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	var shown struct{ ID string }
	if err == nil {
		err = json.Unmarshal(answer, &shown)
	}
	return took{response.StatusCode, shown.ID, err}
}

// accepted checks that all were, and returns their ids by key.
func (k *accepting) accepted(got map[string]took) map[string]string {
	k.Helper()
	ids := map[string]string{}
	for key, one := range got {
		if ids[key] = one.id; one.err != nil || one.status != http.StatusAccepted || one.id == "" {
			k.Errorf("%s: %+v", key, one)
		}
	}
	return ids
}

// sameAgain checks that requests that come once more are the ones that were accepted.
func (k *accepting) sameAgain(name string, before map[string]string) {
	k.Helper()
	if again := k.accepted(k.begin(name, "2")()); len(before) != atOnceTaken || !maps.Equal(again, before) {
		k.Errorf("%s: first %v, then %v", name, before, again)
	}
}

// written counts the requests of a name that are in the queue.
func (k *accepting) written(name string) int {
	k.Helper()
	return k.count("SELECT count(*) FROM tidegate.requests WHERE custom_id LIKE $1 || '-%'", name)
}

// madeBefore checks who accepted what was cut off: the server that was killed then, or
// the one after it.
func (k *accepting) madeBefore(killed string, before bool) {
	k.Helper()
	want := 0
	if before {
		want = atOnceTaken
	}
	const first = `SELECT count(*) FROM tidegate.once o JOIN tidegate.requests r ON o.made = r.id::text
		WHERE r.custom_id LIKE 'cut-%' AND o.created_at < $1::timestamptz`
	if n := k.count(first, killed); n != want || k.written("cut") != atOnceTaken {
		k.Errorf("the server that was killed has accepted %d, not %d; in all there are %d", n, want, k.written("cut"))
	}
}

// answeredOnce checks that so many requests are there, and that each is answered, once.
func (k *accepting) answeredOnce(n int) {
	k.Helper()
	fixture.Await(k.T, soon, "all are answered", func() bool {
		return k.count("SELECT count(*) FROM tidegate.results WHERE state = 'answered'") == n
	})
	if requests, queued := k.count("SELECT count(*) FROM tidegate.requests"), k.count("SELECT count(*) FROM tidegate.river_job WHERE queue = $1", summaries); requests != n || queued != n {
		k.Errorf("of %d there are %d requests and %d jobs", n, requests, queued)
	}
	k.fleet.boughtOnce(0)
}
