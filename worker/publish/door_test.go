package publish_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/worker/publish"
)

// An intake does as the test says; what is kept is tested where it is made.
type intake struct {
	mu    sync.Mutex
	takes func(ctx context.Context, tenant, key string, lines []byte) (jobs.Accepted, error) // nil: it accepts all
	taken []string                                                                           // tenant, key and lines
}

func (i *intake) Take(ctx context.Context, tenant, key string, lines []byte) (jobs.Accepted, error) {
	i.mu.Lock()
	i.taken = append(i.taken, fmt.Sprintf("%s %s %s", tenant, key, lines))
	takes := i.takes
	i.mu.Unlock()
	if takes != nil {
		return takes(ctx, tenant, key, lines)
	}
	return jobs.Accepted{ID: "r1", IDs: []string{"r1"}}, nil
}

func (i *intake) all() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]string(nil), i.taken...)
}

func await(t testing.TB, what string, fact func() bool) {
	t.Helper()
	fixture.Await(t, soon, what, fact)
}

// open runs a door. Its stop tells it to stop and waits until it has.
func (s *site) open(in publish.Intake, change ...func(*publish.DoorConfig)) (stop func()) {
	s.t.Helper()
	config := publish.DoorConfig{Conn: s.dial(), Intake: in, Log: zerolog.New(&s.log)}
	for _, c := range change {
		c(&config)
	}
	door, err := publish.NewDoor(config)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { door.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); run.Wait() })
	s.t.Cleanup(stop)
	return stop
}

// opened is open, and waits until it answers.
func (s *site) opened(in publish.Intake, change ...func(*publish.DoorConfig)) (stop func()) {
	s.t.Helper()
	before := strings.Count(s.log.String(), "are answered")
	stop = s.open(in, change...)
	await(s.t, "the door is open", func() bool { return strings.Count(s.log.String(), "are answered") > before })
	return stop
}

// A reply is what the door answers.
type reply struct {
	jobs.Accepted
	Error *struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	} `json:"error"`
	header nats.Header
}

func (r *reply) code() string {
	if r.Error == nil || r.Error.Code == nil {
		return ""
	}
	return *r.Error.Code
}

func (s *site) ask(subject, text string, headers ...string) reply {
	s.t.Helper()
	msg := nats.NewMsg(subject)
	msg.Data = []byte(text)
	for i := 0; i+1 < len(headers); i += 2 {
		msg.Header.Set(headers[i], headers[i+1])
	}
	answer, err := s.conn.RequestMsg(msg, soon)
	if err != nil {
		s.t.Fatalf("%s: %v", subject, err)
	}
	r := reply{header: answer.Header}
	if err := json.Unmarshal(answer.Data, &r); err != nil {
		s.t.Fatalf("%s: %v", answer.Data, err)
	}
	return r
}

const acmeDoor = "tidegate.v1.acme.enqueue"

func TestDoorAnswers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	in := &intake{}
	s.opened(in)
	if r := s.ask(acmeDoor, "{}", "Nats-Msg-Id", "m1"); r.ID != "r1" || r.Error != nil {
		t.Errorf("%+v", r)
	}
	if got := in.all(); len(got) != 1 || got[0] != "acme m1 {}" {
		t.Errorf("taken: %q", got)
	}
	code, param := "invalid_value", "body"
	in.takes = func(context.Context, string, string, []byte) (jobs.Accepted, error) {
		return jobs.Accepted{}, &jobs.IntakeError{Status: 503, Type: "server_error", Code: &code, Param: &param, Message: "a\nb", After: 1500 * time.Millisecond, Err: errors.New("the reason")}
	}
	r := s.ask(acmeDoor, "{}")
	if r.Error == nil || r.Error.Message != "a\nb" || r.Error.Type != "server_error" || r.code() != code || *r.Error.Param != param ||
		r.header.Get("Nats-Service-Error-Code") != "503" || r.header.Get("Nats-Service-Error") != "a b" || r.header.Get("Retry-After") != "2" {
		t.Errorf("%+v", r)
	}
	if text := s.log.String(); !strings.Contains(text, "the reason") {
		t.Errorf("the log says\n%s", text)
	}
	in.takes = func(context.Context, string, string, []byte) (jobs.Accepted, error) {
		return jobs.Accepted{}, errors.New("of a kind that is not known")
	}
	if r := s.ask(acmeDoor, "{}"); r.Error == nil || strings.Contains(r.Error.Message, "kind") || r.header.Get("Nats-Service-Error-Code") != "500" {
		t.Errorf("%+v", r)
	}
}

// What is not from a tenant, or too old, does not come to the intake.
func TestDoorRefuses(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	in := &intake{}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s.opened(in, func(c *publish.DoorConfig) { c.Now = func() time.Time { return now } })
	for name, c := range map[string]struct {
		subject string
		expires string
		code    string
	}{
		"a tenant that is none": {"tidegate.v1.Acme_Ünlimited.enqueue", "", "invalid_value"},
		"too late":              {acmeDoor, now.Format(time.RFC3339), "request_expired"},
		"no time":               {acmeDoor, "soon", "invalid_value"},
	} {
		var headers []string
		if c.expires != "" {
			headers = []string{publish.ExpiresHeader, c.expires}
		}
		if r := s.ask(c.subject, "{}", headers...); r.code() != c.code {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r := s.ask(acmeDoor, "{}", publish.ExpiresHeader, now.Add(time.Hour).Format(time.RFC3339)); r.ID == "" || len(in.all()) != 1 {
		t.Errorf("in time: %+v, %q", r, in.all())
	}
}

// Until when a sender waits is looked at again when a message has waited itself, and
// nothing is begun for nobody.
func TestDoorAcceptsNothingForNobody(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	lets := make(chan struct{})
	in := &intake{takes: func(context.Context, string, string, []byte) (jobs.Accepted, error) {
		<-lets
		return jobs.Accepted{ID: "in time"}, nil
	}}
	began := time.Now()
	var looked, passed atomic.Int64
	s.opened(in, func(c *publish.DoorConfig) {
		c.Within = soon
		c.Now = func() time.Time {
			looked.Add(1)
			return began.Add(time.Duration(passed.Load()))
		}
	})
	var busy sync.WaitGroup
	for range publish.DoorConns {
		busy.Go(func() {
			if r := s.ask(acmeDoor, "{}"); r.ID != "in time" {
				t.Errorf("one that waits for as long as it takes: %+v", r)
			}
		})
	}
	await(t, "no connection is left", func() bool { return len(in.all()) == publish.DoorConns })
	late := make(chan reply, 1)
	go func() {
		late <- s.ask(acmeDoor, "{}", publish.ExpiresHeader, began.Add(time.Hour).Format(time.RFC3339))
	}()
	await(t, "it has come in time", func() bool { return looked.Load() > 0 })
	passed.Store(int64(2 * time.Hour))
	close(lets)
	if r := <-late; r.code() != "request_expired" {
		t.Errorf("it says %+v", r)
	}
	busy.Wait()
	if got := in.all(); len(got) != publish.DoorConns {
		t.Errorf("%d were taken", len(got))
	}
}

// Who accepts is told until when: what is not committed by then is not accepted.
func TestDoorEndsWithPatience(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	code := "unavailable"
	fault := &jobs.IntakeError{Status: 503, Type: "server_error", Code: &code, Message: "the queue cannot be reached now", After: time.Second}
	s.opened(&intake{takes: func(ctx context.Context, _, _ string, _ []byte) (jobs.Accepted, error) {
		<-ctx.Done()
		return jobs.Accepted{}, fault
	}}, func(c *publish.DoorConfig) { c.Within = 10 * soon })
	if r := s.ask(acmeDoor, "{}", publish.ExpiresHeader, time.Now().Add(time.Second).Format(time.RFC3339Nano)); r.code() != "request_expired" {
		t.Errorf("it says %+v", r)
	}
}

// A sender chooses where the answer goes. We may publish more than it may: nothing of
// ours becomes a command to JetStream, an event or another request.
func TestDoorAnswersNoCommands(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	in := &intake{}
	s.opened(in)
	seen, err := s.conn.SubscribeSync("tidegate.>")
	if err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{"", "$JS.API.STREAM.PURGE." + publish.StreamName, "$SYS.REQ.x", "tidegate.v1.umbrella.enqueue", "tidegate.v1.circuits.cheap.open"} {
		msg := &nats.Msg{Subject: acmeDoor, Reply: subject, Data: []byte("{}")}
		if err := s.conn.PublishMsg(msg); err != nil {
			t.Fatal(err)
		}
	}
	s.ask(acmeDoor, "{}") // behind them
	if got := in.all(); len(got) != 1 {
		t.Errorf("taken: %q", got)
	}
	for n := 0; ; n++ {
		msg, err := seen.NextMsg(100 * time.Millisecond)
		if err != nil {
			if n != 6 {
				t.Errorf("%d messages were seen", n)
			}
			break
		}
		if msg.Subject != acmeDoor {
			t.Errorf("it published on %s", msg.Subject)
		}
	}
}

// A database that does not answer is no silence, and too many at once neither.
func TestDoorIsNeverSilent(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	lets := make(chan struct{})
	in := &intake{takes: func(context.Context, string, string, []byte) (jobs.Accepted, error) {
		<-lets
		return jobs.Accepted{ID: "late"}, nil
	}}
	stop := s.opened(in, func(c *publish.DoorConfig) { c.Within, c.AtOnce = 500*time.Millisecond, 6 })
	codes := map[string]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			r := s.ask(acmeDoor, "{}")
			mu.Lock()
			defer mu.Unlock()
			codes[r.code()]++
			if r.header.Get("Retry-After") == "" {
				t.Errorf("it does not say when to send it again: %+v", r)
			}
		})
	}
	all.Wait()
	if codes["outcome_unknown"] != publish.DoorConns || codes["server_busy"] != 10-publish.DoorConns {
		t.Errorf("%v", codes)
	}
	close(lets)
	await(t, "it accepts again", func() bool { r := s.ask(acmeDoor, "{}"); return r.ID == "late" })
	stop()
}

// What has come when a stop is asked for is answered, and nothing is taken after it.
func TestDoorStops(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	reached, lets := make(chan struct{}, 1000), make(chan struct{})
	stop := s.opened(&intake{takes: func(context.Context, string, string, []byte) (jobs.Accepted, error) {
		reached <- struct{}{}
		<-lets
		return jobs.Accepted{ID: "first"}, nil
	}})
	answers := make(chan reply, 3)
	for range 3 {
		go func() { answers <- s.ask(acmeDoor, "{}") }()
	}
	for range 3 {
		<-reached
	}
	stopped := make(chan struct{})
	go func() {
		stop()
		close(stopped)
	}()
	await(t, "nobody is at the door", func() bool {
		_, err := s.conn.Request(acmeDoor, []byte("{}"), 50*time.Millisecond)
		return errors.Is(err, nats.ErrNoResponders)
	})
	select {
	case <-stopped:
		t.Error("it has stopped, and did not answer")
	default:
	}
	close(lets)
	<-stopped
	for range 3 {
		if r := <-answers; r.ID != "first" {
			t.Errorf("%+v", r)
		}
	}
}
