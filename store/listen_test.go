package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/store"
)

const aMoment = 20 * time.Second

// A listener listens until the end of its test. woken and lost hold a word for
// every call.
type listener struct {
	*world
	woken chan time.Time
	lost  chan error
	stop  func()
}

func (w *world) listen() *listener {
	w.t.Helper()
	l := &listener{world: w, woken: make(chan time.Time, 10_000), lost: make(chan error, 1000)}
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { w.Listen(ctx, func(store.Word) { l.woken <- time.Now() }, func(err error) { l.lost <- err }) })
	l.stop = sync.OnceFunc(func() { cancel(); run.Wait() })
	w.t.Cleanup(l.stop)
	l.expectWake("it is connected")
	return l
}

func (l *listener) expectWake(why string) {
	l.t.Helper()
	select {
	case <-l.woken:
	case <-time.After(aMoment):
		l.t.Fatalf("it was not woken: %s", why)
	}
}

func (l *listener) expectLoss() error {
	l.t.Helper()
	select {
	case err := <-l.lost:
		return err
	case <-time.After(aMoment):
		l.t.Fatal("it has not noticed that its connection is gone")
		return nil
	}
}

const endListeners = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1 AND query LIKE '%LISTEN tidegate_fleet%' AND pid <> pg_backend_pid()"

func (l *listener) database() (name string) {
	l.t.Helper()
	if err := l.pool.QueryRow(l.t.Context(), "SELECT current_database()").Scan(&name); err != nil {
		l.t.Fatal(err)
	}
	return name
}

func TestListenWakes(t *testing.T) {
	t.Parallel()
	g := newGated(t)
	l := g.listen()
	for _, act := range []string{"trip", "mend", "pause", "resume", "river pause", "river resume"} {
		g.do(act)
		l.expectWake(act)
	}
	if err := l.StartDrill(t.Context(), jobs.Drill{Target: "a", Mode: jobs.Drill503, Rate: 1, Until: time.Now().Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	l.expectWake("a drill begins")
	l.save("one", open(1, "503", time.Minute))
	l.expectWake("a circuit opens")
	l.stop()
	if n := len(l.woken); n != 0 {
		t.Errorf("it was woken %d times too often", n)
	}
}

// Only what changes for the fleet is said, and once for each transaction.
func TestWordsOfTheFleet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	conn, err := pgx.ConnectConfig(t.Context(), w.pool.Config().ConnConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context()) //nolint:errcheck // nothing is left to be lost
	if _, err := conn.Exec(t.Context(), "LISTEN tidegate_fleet"); err != nil {
		t.Fatal(err)
	}
	said := func(doing string, do func()) int {
		do()
		w.exec("SELECT pg_notify('tidegate_fleet', 'that was all')")
		for n := 0; ; n++ {
			word, err := conn.WaitForNotification(t.Context())
			if err != nil {
				t.Fatalf("%s: %v", doing, err)
			}
			if word.Payload != "" {
				return n
			}
		}
	}
	first, late := open(2, "503", 0), open(3, "503", time.Hour)
	for _, c := range []struct {
		doing string
		do    func()
		want  int
	}{
		{"beats", func() { w.beat("one", "two", "one") }, 0},
		{"a lead", func() { w.lead("one") }, 0},
		{"two circuits at once", func() {
			w.save("one", first, jobs.Circuit{Target: "b", State: jobs.CircuitClosed, Generation: 1})
		}, 1},
		{"the same again", func() { w.save("two", first) }, 0},
		{"a probe is taken", func() { w.take("one", 2) }, 0},
		{"a probe is freed", func() { w.exec("UPDATE tidegate.circuits SET prober = NULL") }, 1},
		{"a new generation", func() { w.save("one", late) }, 1},
		{"the same cooldown", func() { w.save("two", late) }, 0},
		{"a later one", func() { w.save("two", open(3, "503", 2*time.Hour)) }, 1},
		{"a person's shorter one", func() { w.set(jobs.CircuitOpen, time.Minute) }, 1},
		{"ten pauses at once", func() {
			w.exec("INSERT INTO tidegate.pauses (route, owner) SELECT 'r' || n, 'person' FROM generate_series(1, 10) n")
		}, 1},
		{"no pause to end", func() { w.exec("DELETE FROM tidegate.pauses WHERE route = 'x'") }, 0},
		{"they end", func() { w.exec("DELETE FROM tidegate.pauses") }, 1},
		{"a result", func() { requests := w.accept("", 1); w.commit(answered(&requests[0])) }, 0},
	} {
		if n := said(c.doing, c.do); n != c.want {
			t.Errorf("%s: %d words, want %d", c.doing, n, c.want)
		}
	}
}

// Many words are few calls, and the last word is always heard.
func TestListenGathers(t *testing.T) {
	t.Parallel()
	l := newWorld(t).listen()
	const words = 2000
	began, n := time.Now(), 0
	for range words {
		l.exec("SELECT pg_notify('tidegate_fleet', '')")
	}
	last := time.Now()
	for {
		select {
		case woken := <-l.woken:
			n++
			if woken.Before(last) {
				continue
			}
		case <-time.After(aMoment):
			t.Fatal("the last word was not heard")
		}
		break
	}
	l.stop()
	n += len(l.woken)
	if most := 2 + int(time.Since(began)/(10*time.Millisecond)); n > most || n > words/2 {
		t.Errorf("it was woken %d times by %d words in %s, at most %d", n, words, time.Since(began), most)
	}
}

func TestListenConnectsAnew(t *testing.T) {
	t.Parallel()
	l := newWorld(t).listen()
	for i := range 3 {
		expect(t, "ended", l.number(endListeners, l.database()), 1)
		if err := l.expectLoss(); err == nil {
			t.Error("it was lost for no reason")
		}
		l.expectWake("it is connected again")
		l.save("one", open(uint64(i+1), "503", 0))
		l.expectWake("and hears")
	}
}

// A server that lets nobody in for a while is asked again and again, but not at
// once; when it is back, so is the listener.
func TestListenOutlastsAServerThatRefuses(t *testing.T) {
	t.Parallel()
	l := newWorld(t).listen()
	base, err := pgx.Connect(t.Context(), fixture.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close(t.Context()) //nolint:errcheck // nothing is left to be lost
	name := l.database()
	do := func(sql string, args ...any) {
		t.Helper()
		if _, err := base.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	do(fmt.Sprintf("ALTER DATABASE %s ALLOW_CONNECTIONS false", name))
	began := time.Now()
	do(endListeners, name)
	for range 4 {
		_ = l.expectLoss()
	}
	if took := time.Since(began); took < 700*time.Millisecond { // 0.1 + 0.2 + 0.4
		t.Errorf("it was tried 4 times in %s", took)
	}
	if n := len(l.woken); n != 0 {
		t.Errorf("it was woken %d times while nobody is let in", n)
	}
	do(fmt.Sprintf("ALTER DATABASE %s ALLOW_CONNECTIONS true", name))
	l.expectWake("it is connected again")
	l.exec("SELECT pg_notify('tidegate_fleet', '')")
	l.expectWake("and hears")
}

// It ends at once, also while it waits to connect.
func TestListenEnds(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]bool{"connected": false, "between connections": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newWorld(t).listen()
			if gone {
				l.number(endListeners, l.database())
				_ = l.expectLoss()
			}
			began := time.Now()
			l.stop()
			if took := time.Since(began); took > aMoment/2 {
				t.Errorf("it took %s", took)
			}
			if n := len(l.lost); n != 0 {
				t.Errorf("its end was told as a loss: %v", <-l.lost)
			}
		})
	}
}
