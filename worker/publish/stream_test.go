package publish_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/jobs"
	"tidegate/worker/publish"
)

func TestOverlap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"a.b", "a.b", true},
		{"a.b", "a.c", false},
		{"a.*", "a.b", true},
		{"a.*", "*.b", true},
		{"a.*", "a.b.c", false},
		{"a.>", "a.b.c", true},
		{"a.>", "b.>", false},
		{"a.>", "a", false},
		{">", "a.b", true},
		{"*.b.>", "a.*.c", true},
	} {
		if publish.Overlap(c.a, c.b) != c.want || publish.Overlap(c.b, c.a) != c.want {
			t.Errorf("%s and %s: not %v", c.a, c.b, c.want)
		}
	}
}

// eachKind is one event of each kind and state.
func eachKind() []jobs.Event {
	events := []jobs.Event{{Result: event()}, {Batch: &jobs.BatchEvent{Batch: jobs.Batch{ID: "batch_1", Tenant: "acme", State: jobs.BatchCompleted}}}}
	for _, state := range []jobs.CircuitState{jobs.CircuitOpen, jobs.CircuitClosed, jobs.CircuitDegraded} {
		events = append(events, jobs.Event{Circuit: &jobs.CircuitEvent{ID: "c-" + string(state), Circuit: jobs.Circuit{Target: "cheap", State: state}}})
	}
	for _, resumed := range []bool{false, true} {
		events = append(events, jobs.Event{Pause: &jobs.PauseEvent{ID: "p-" + string(rune('0'+len(events))), Pause: jobs.Pause{Route: "summaries"}, Resumed: resumed}})
	}
	for _, scope := range []jobs.BudgetScope{jobs.BudgetTenant, jobs.BudgetRoute, jobs.BudgetBatch} {
		events = append(events, jobs.Event{Budget: &jobs.BudgetEvent{ID: "b-" + string(scope), BudgetKey: jobs.BudgetKey{Scope: scope, Name: "x"}, Out: true}})
	}
	return events
}

// Every event goes where the stream listens, once, and what is for the door does not.
func TestStreamListensToEvents(t *testing.T) {
	t.Parallel()
	for _, e := range eachKind() {
		msg, err := publish.Message(e, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, subject := range publish.StreamSubjects() {
			if publish.Overlap(subject, msg.Subject) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s is listened to %d times", msg.Subject, n)
		}
	}
	for i, subject := range publish.StreamSubjects() {
		if publish.Overlap(subject, publish.DoorSubject) {
			t.Errorf("%s takes what is sent to the door", subject)
		}
		for _, other := range publish.StreamSubjects()[:i] {
			if publish.Overlap(subject, other) {
				t.Errorf("%s and %s overlap", subject, other)
			}
		}
	}
}

// An old stream, which took everything, with messages and readers: it listens to
// events alone afterwards, nothing in it is lost, and its readers go on.
func TestStreamOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ctx := t.Context()
	js, err := jetstream.New(s.conn)
	if err != nil {
		t.Fatal(err)
	}
	old := jetstream.StreamConfig{
		Name: publish.StreamName, Subjects: []string{"orders.>", "tidegate.v1.>"}, MaxAge: time.Hour, Duplicates: 10 * time.Minute, Storage: jetstream.FileStorage,
	}
	if _, err := js.CreateStream(ctx, old); err != nil {
		t.Fatal(err)
	}
	send := func(want uint64) {
		t.Helper()
		for _, e := range eachKind() {
			msg, err := publish.Message(e, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if ack, err := js.PublishMsg(ctx, msg); err != nil || ack.Duplicate != (want == 0) {
				t.Errorf("%s: %+v, %v", msg.Subject, ack, err)
			}
		}
	}
	send(1)
	filters := []string{"tidegate.v1.>", "tidegate.v1.acme.>", publish.ResultFilter("acme", "", "")}
	for i, filter := range filters {
		if _, err := js.CreateOrUpdateConsumer(ctx, publish.StreamName, jetstream.ConsumerConfig{Durable: "old" + string(rune('0'+i)), FilterSubject: filter, AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
			t.Fatal(err)
		}
	}
	stream, err := publish.EnsureStream(ctx, js, 0)
	if err != nil {
		t.Fatal(err)
	}
	info := stream.CachedInfo()
	if diff := cmp.Diff(append([]string{"orders.>"}, publish.StreamSubjects()...), info.Config.Subjects); diff != "" || info.Config.MaxAge != time.Hour || int(info.State.Msgs) != len(eachKind()) {
		t.Errorf("it has %d messages, for %s, and subjects (-want +got):\n%s", info.State.Msgs, info.Config.MaxAge, diff)
	}
	if publish.TakesDoor(stream) {
		t.Error("it takes what is sent to the door")
	}
	send(0) // the same events: it remembers their ids
	for i, filter := range filters {
		consumer, err := js.CreateOrUpdateConsumer(ctx, publish.StreamName, jetstream.ConsumerConfig{Durable: "new" + string(rune('0'+i)), FilterSubject: filter, AckPolicy: jetstream.AckExplicitPolicy})
		if err != nil {
			t.Errorf("a new reader of %s: %v", filter, err)
			continue
		}
		was, err := stream.Consumer(ctx, "old"+string(rune('0'+i)))
		if err != nil {
			t.Fatal(err)
		}
		if had, has := was.CachedInfo().NumPending, consumer.CachedInfo().NumPending; had != has || has == 0 {
			t.Errorf("of %s the old reader has %d messages and the new one %d", filter, had, has)
		}
	}
	if _, err := s.conn.Request("tidegate.v1.acme.enqueue", []byte("{}"), soon); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("somebody answers at the door: %v", err)
	}
	if again, err := publish.EnsureStream(ctx, js, 0); err != nil || !slices.Equal(again.CachedInfo().Config.Subjects, info.Config.Subjects) {
		t.Errorf("a second time: %v", err)
	}
}

// A stream that somebody gave other subjects stays as it is, and the door says that it
// cannot be opened.
func TestStreamOfSomebodyElse(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	js, err := jetstream.New(s.conn)
	if err != nil {
		t.Fatal(err)
	}
	theirs := jetstream.StreamConfig{Name: publish.StreamName, Subjects: []string{"tidegate.>"}}
	if _, err := js.CreateStream(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	stream, err := publish.EnsureStream(t.Context(), js, 0)
	if err != nil || !slices.Equal(stream.CachedInfo().Config.Subjects, theirs.Subjects) || !publish.TakesDoor(stream) {
		t.Errorf("%v, %v", stream.CachedInfo().Config.Subjects, err)
	}
	stop := s.open(&intake{})
	await(t, "it says why it does not open", func() bool { return strings.Contains(s.log.String(), "not answered yet") })
	theirs.Subjects = publish.StreamSubjects()
	if _, err := js.UpdateStream(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	await(t, "it opens when somebody has changed the stream", func() bool {
		_, err := s.conn.Request("tidegate.v1.acme.enqueue", []byte("{}"), soon)
		return err == nil
	})
	stop()
}
