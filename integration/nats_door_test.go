package integration

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/cmd/app"
	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/worker/publish"
)

// An asked is what the door of NATS answers.
type asked struct {
	jobs.Accepted
	Error *struct {
		Message, Type string
		Param, Code   *string
	}
	header nats.Header
}

func (a *asked) code() string {
	if a.Error == nil || a.Error.Code == nil {
		return ""
	}
	return *a.Error.Code
}

// ask sends lines to the door of a tenant, under an id (empty: none).
func ask(conn *nats.Conn, tenant, id string, lines []string, within time.Duration) (asked, error) {
	msg := nats.NewMsg("tidegate.v1." + tenant + ".enqueue")
	msg.Data = []byte(strings.Join(lines, "\n"))
	if id != "" {
		msg.Header.Set(nats.MsgIdHdr, id)
	}
	reply, err := conn.RequestMsg(msg, within)
	if err != nil {
		return asked{}, err
	}
	a := asked{header: reply.Header}
	return a, json.Unmarshal(reply.Data, &a)
}

// mustAsk asks until somebody is at the door.
func mustAsk(t *testing.T, conn *nats.Conn, tenant, id string, lines ...string) (a asked) {
	t.Helper()
	fixture.Await(t, soon, "somebody answers at the door", func() bool {
		var err error
		a, err = ask(conn, tenant, id, lines, soon)
		if err != nil && !errors.Is(err, nats.ErrNoResponders) {
			t.Fatal(err)
		}
		return err == nil
	})
	return a
}

func withDoor(c *app.StackConfig) { c.Door = true }

// From a request over NATS to its event, and what comes twice is there once.
func TestNATSDoor(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.work(withDoor)
	s.work(withDoor)
	results, err := s.Conn.SubscribeSync(publish.ResultFilter("acme", "", ""))
	check(t, err)
	one := mustAsk(t, s.Conn, "acme", "order-1", openaiLine(1))
	if one.Error != nil || one.ID == "" || one.BatchID != "" || len(one.IDs) != 1 || one.Duplicate {
		t.Fatalf("it answers %+v", one)
	}
	msg, err := results.NextMsg(soon)
	check(t, err)
	var body publish.ResultBody
	check(t, json.Unmarshal(msg.Data, &body))
	if body.RequestID != one.ID || body.CustomID != "line-1" || body.State != jobs.StateAnswered || body.Tenant != "acme" {
		t.Errorf("the event is of %+v", body)
	}
	if again := mustAsk(t, s.Conn, "acme", "order-1", openaiLine(1)); again.ID != one.ID || !again.Duplicate {
		t.Errorf("again, it answers %+v", again)
	}
	lines := numbered(5, openaiLine)
	var all sync.WaitGroup
	var first atomic.Int32
	batches := make([]asked, 30)
	for i := range batches {
		all.Go(func() {
			batches[i] = mustAsk(t, s.Conn, "acme", "order-2", lines...)
			if !batches[i].Duplicate {
				first.Add(1)
			}
		})
	}
	all.Wait()
	for _, b := range batches {
		if b.Error != nil || b.BatchID != batches[0].BatchID || strings.Join(b.IDs, " ") != strings.Join(batches[0].IDs, " ") || len(b.IDs) != 5 {
			t.Errorf("one answers %+v, another %+v", batches[0], b)
		}
	}
	if first.Load() != 1 {
		t.Errorf("%d are the first", first.Load())
	}
	batch, err := s.store.Batch(t.Context(), batches[0].BatchID)
	check(t, err)
	batch = s.settle(batch)
	if n := s.count("SELECT count(*) FROM tidegate.requests"); n != 6 || batch.Completed != 5 || batch.Tenant != "acme" {
		t.Errorf("%d requests, and the batch is %+v", n, batch)
	}
	if bad := mustAsk(t, s.Conn, "acme", "", openaiLine(1), `{"route":"nowhere"}`); bad.code() == "" || !strings.Contains(bad.Error.Message, "line 2") || bad.header.Get("Nats-Service-Error-Code") != "400" {
		t.Errorf("it answers %+v", bad)
	}
	if n := s.count("SELECT count(*) FROM tidegate.requests"); n != 6 {
		t.Errorf("a bad line left %d requests", n-6)
	}
	if got := readStream(t, s.Conn); len(got) != 7 {
		t.Errorf("%d events are in the stream", len(got))
	}
	for range 10 { // there are two workers, and one of them takes it
		mustAsk(t, s.Conn, "acme", "", openaiLine(7))
	}
	if n := s.count("SELECT count(*) FROM tidegate.requests"); n != 16 {
		t.Errorf("ten requests without an id left %d", n-6)
	}
}

// A worker of which nobody said so answers nothing.
func TestNATSDoorIsShut(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.work(nil)
	s.settle(s.enqueue(1, nil))
	if a, err := ask(s.Conn, "acme", "", []string{openaiLine(1)}, soon); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("%+v, %v", a, err)
	}
}

// A stream of an earlier version, with messages, as a worker meets it when it starts.
func TestNATSDoorMeetsAnOldStream(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	js, err := jetstream.New(s.Conn)
	check(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: publish.StreamName, Subjects: []string{"tidegate.v1.>"}, Duplicates: time.Minute})
	check(t, err)
	_, err = js.Publish(t.Context(), publish.ResultSubject("acme", summaries, "", "0199aaaa-0000-7000-8000-000000000002"), []byte("{}"))
	check(t, err)
	s.work(withDoor)
	one := asked{}
	fixture.Await(t, soon, "it is us who answer, and not the stream", func() bool {
		var err error
		one, err = ask(s.Conn, "acme", "order-1", []string{openaiLine(1)}, time.Second)
		return err == nil && one.ID != ""
	})
	fixture.Await(t, soon, "it is answered", func() bool { return s.results() == 1 })
	fixture.Await(t, soon, "its event is in the stream", func() bool {
		n := 0
		for _, e := range readStream(t, s.Conn) {
			if e.body.RequestID == one.ID {
				n++
			}
		}
		return n == 1
	})
	stream, err := js.Stream(t.Context(), publish.StreamName)
	check(t, err)
	info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter("tidegate.v1.*.results.>"))
	check(t, err)
	if len(info.State.Subjects) != 2 {
		t.Errorf("the stream has results of %v", info.State.Subjects)
	}
}

// A muzzle is a way to a server on which, once it is on, one hears and is not heard.
type muzzle struct {
	at string
	on atomic.Bool
}

func newMuzzle(t *testing.T, to string) *muzzle {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	m := &muzzle{at: listener.Addr().String()}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // the test is over
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				client.Close()
				continue
			}
			running.Go(func() { m.carry(server, client) })
			running.Go(func() {
				defer client.Close()
				_, _ = io.Copy(client, server) // until one hangs up
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		running.Wait()
	})
	return m
}

func (m *muzzle) carry(server, client net.Conn) {
	defer server.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if !m.on.Load() && !carried(server, buffer[:n]) {
			return
		}
	}
}

// doorFleet is a fleet whose workers answer at the door.
func doorFleet(t *testing.T, s staging) *fleet {
	t.Helper()
	on := true
	s.config = func(c *config.Config) { c.NATSDoor = &on }
	return newFleet(t, buildProgram(t), s)
}

// A worker that is killed -9 between its commit and its answer: who asks again is told
// the same id, and the request is answered once.
func TestNATSDoorIsKilled(t *testing.T) {
	t.Parallel()
	f := doorFleet(t, staging{})
	at, err := url.Parse(f.NATSURL)
	check(t, err)
	m := newMuzzle(t, at.Host)
	direct := f.NATSURL
	f.NATSURL = "nats://" + m.at
	worker := f.hire()
	f.NATSURL = direct
	mustAsk(t, f.Conn, "acme", "before", openaiLine(1))
	m.on.Store(true)
	lost := make(chan error, 1)
	go func() {
		_, err := ask(f.Conn, "acme", "order-1", []string{openaiLine(2)}, 2*time.Second)
		lost <- err
	}()
	fixture.Await(t, soon, "it has committed", func() bool { return f.count("SELECT count(*) FROM tidegate.requests WHERE custom_id = 'line-2'") == 1 })
	worker.kill()
	if err := <-lost; !errors.Is(err, nats.ErrTimeout) {
		t.Errorf("the answer was not lost: %v", err)
	}
	id := f.text("SELECT id::text FROM tidegate.requests WHERE custom_id = 'line-2'")
	f.hire()
	again := mustAsk(t, f.Conn, "acme", "order-1", openaiLine(2))
	if again.ID != id || !again.Duplicate {
		t.Errorf("it answers %+v, and the first was %s", again, id)
	}
	f.awaitResults(2)
	if n := f.count("SELECT count(*) FROM tidegate.requests"); n != 2 {
		t.Errorf("%d requests of two", n)
	}
}

// Postgres is away, or does not say a word: the answer is an error with a hint, in some
// seconds, and never silence.
func TestNATSDoorWithoutPostgres(t *testing.T) {
	t.Parallel()
	own := newServer(t)
	f := doorFleet(t, staging{postgres: own.URL()})
	w := newWire(t, f.Pool.Config().ConnConfig)
	f.hireAt(w.URL())
	mustAsk(t, f.Conn, "acme", "order-0", openaiLine(0))
	unanswered := func(when string) {
		t.Helper()
		a, err := ask(f.Conn, "acme", "order-1", []string{openaiLine(1)}, 10*time.Second)
		if err != nil || a.header.Get("Nats-Service-Error-Code") != "503" || a.header.Get("Retry-After") == "" {
			t.Errorf("%s, it answers %+v, %v", when, a, err)
		}
	}
	w.Cut()
	unanswered("cut off")
	w.Mend()
	own.end(syscall.SIGINT)
	unanswered("without a server")
	own.start()
	f.Pool.Reset()
	fixture.Await(t, soon, "it is accepted", func() bool {
		a, err := ask(f.Conn, "acme", "order-1", []string{openaiLine(1)}, 10*time.Second)
		return err == nil && a.Error == nil
	})
	fixture.Await(t, soon, "it is there once", func() bool {
		return f.count("SELECT count(*) FROM tidegate.requests WHERE custom_id = 'line-1'") == 1 && f.results() == 2
	})
}

// A worker that is told to stop answers what it was asked; nothing that is accepted is
// without its answer.
func TestNATSDoorStops(t *testing.T) {
	t.Parallel()
	f := doorFleet(t, staging{})
	hands := []*hand{f.hire()}
	mustAsk(t, f.Conn, "acme", "before", openaiLine(0))
	var asking sync.WaitGroup
	var told sync.Map
	done := make(chan struct{})
	for n := range 4 {
		asking.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				a, err := ask(f.Conn, "acme", "", []string{openaiLine(10_000*n + i)}, soon)
				switch {
				case errors.Is(err, nats.ErrNoResponders):
				case err != nil:
					t.Errorf("silence: %v", err)
					return
				case a.Error == nil:
					told.Store(a.ID, true)
				}
			}
		})
	}
	for range 3 {
		before := f.count("SELECT count(*) FROM tidegate.requests")
		hands = append(hands, f.hire())
		fixture.Await(t, soon, "requests come", func() bool { return f.count("SELECT count(*) FROM tidegate.requests") > before+20 })
		hands[0].signal(syscall.SIGTERM)
		if code := hands[0].end(); code != 0 {
			t.Errorf("told to stop, it ended with %d", code)
		}
		hands = hands[1:]
	}
	close(done)
	asking.Wait()
	answered := 1 // the one before
	told.Range(func(any, any) bool { answered++; return true })
	if n := f.count("SELECT count(*) FROM tidegate.requests"); n != answered {
		t.Errorf("%d requests are there, and %d were answered", n, answered)
	}
}

// natsWithUsers runs the server of the example that operators are shown.
func natsWithUsers(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"TIDEGATE", "ACME", "UMBRELLA"} {
		t.Setenv(name+"_NATS_PASSWORD", strings.ToLower(name))
	}
	options, err := natsserver.ProcessConfigFile("../deploy/nats.example.conf")
	check(t, err)
	options.Host, options.Port, options.StoreDir, options.NoSigs, options.NoLog = "127.0.0.1", natsserver.RANDOM_PORT, t.TempDir(), true, true
	return startNATS(t, options).ClientURL()
}

// startNATS runs a server until the test ends.
func startNATS(t *testing.T, options *natsserver.Options) *natsserver.Server {
	t.Helper()
	srv, err := natsserver.NewServer(options)
	check(t, err)
	srv.Start()
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	if !srv.ReadyForConnections(soon) {
		t.Fatal("NATS does not start")
	}
	return srv
}

// With the users of the example a tenant enqueues for itself and for nobody else, reads
// its own results alone, and cannot read what others are answered.
func TestNATSDoorKeepsTenantsApart(t *testing.T) {
	at := natsWithUsers(t)
	as := func(user string) *nats.Conn {
		conn, err := nats.Connect(at, nats.UserInfo(user, user), nats.CustomInboxPrefix("_INBOX_"+user), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
		check(t, err)
		t.Cleanup(conn.Close)
		return conn
	}
	s := newStage(t, staging{})
	s.work(func(c *app.StackConfig) { c.Door, c.Conn = true, as("tidegate") })
	acme, umbrella := as("acme"), as("umbrella")
	own := mustAsk(t, acme, "acme", "order-1", openaiLine(1))
	if own.Error != nil {
		t.Fatalf("acme is refused at its own door: %+v", own)
	}
	if a, err := ask(acme, "umbrella", "order-1", []string{openaiLine(1)}, time.Second); err == nil {
		t.Errorf("acme enqueued for umbrella: %+v", a)
	}
	if n := s.count("SELECT count(*) FROM tidegate.requests WHERE tenant <> 'acme'"); n != 0 {
		t.Errorf("umbrella has %d requests", n)
	}
	sub, err := acme.SubscribeSync(publish.ResultFilter("acme", "", ""))
	check(t, err)
	for name, conn := range map[string]*nats.Conn{"another's results": umbrella, "another's answers": umbrella, "all that is sent": umbrella, "its own door": umbrella} {
		subject := map[string]string{
			"another's results": publish.ResultFilter("acme", "", ""), "another's answers": "_INBOX_acme.>", "all that is sent": "tidegate.>", "its own door": "tidegate.v1.umbrella.enqueue",
		}[name]
		spy, err := conn.SubscribeSync(subject)
		check(t, err)
		check(t, conn.Flush())
		mustAsk(t, acme, "acme", "spy "+name, openaiLine(2))
		if msg, err := spy.NextMsg(100 * time.Millisecond); err == nil {
			t.Errorf("umbrella reads %s: %s", name, msg.Subject)
		}
	}
	if _, err := sub.NextMsg(soon); err != nil {
		t.Errorf("acme does not read its own results: %v", err)
	}
	if err := umbrella.Publish("$JS.API.STREAM.PURGE."+publish.StreamName, nil); err != nil {
		t.Error(err)
	}
	check(t, umbrella.Flush())
	if n := len(readStream(t, as("tidegate"))); n == 0 {
		t.Error("a tenant emptied the stream")
	}
}
