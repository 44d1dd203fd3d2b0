package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/jobs"
	"tidegate/worker/publish"
)

// An event is a result as a subscriber gets it.
type event struct {
	id      string
	subject string
	body    publish.ResultBody
}

// events are what a subscriber of everything hears. Its methods are safe for
// concurrent use.
type events struct {
	conn    *nats.Conn
	consume jetstream.ConsumeContext

	mu      sync.Mutex
	results map[string][]event // by custom id
	opened  map[string]int     // how often circuits opened, by target
	whole   bytes.Buffer       // all messages as they came, to look for what must not be in them
	err     error
}

// subscribe makes the stream, as a worker would, and follows it.
func subscribe(ctx context.Context, url string) (*events, error) {
	conn, err := nats.Connect(url)
	if err != nil {
		return nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	e := &events{conn: conn, results: map[string][]event{}, opened: map[string]int{}}
	js, err := jetstream.New(conn)
	if err == nil {
		err = e.follow(ctx, js)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("subscribing to the results: %w", err)
	}
	return e, nil
}

func (e *events) follow(ctx context.Context, js jetstream.JetStream) error {
	stream, err := publish.EnsureStream(ctx, js, 0)
	if err != nil {
		return err
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return err
	}
	e.consume, err = consumer.Consume(e.hear)
	return err
}

func (e *events) hear(msg jetstream.Msg) {
	e.mu.Lock()
	defer e.mu.Unlock()
	fmt.Fprintf(&e.whole, "%s %v %s\n", msg.Subject(), msg.Headers(), msg.Data())
	switch msg.Headers().Get("ce-type") {
	case publish.TypeResult:
		one := event{id: msg.Headers().Get(nats.MsgIdHdr), subject: msg.Subject()}
		if err := json.Unmarshal(msg.Data(), &one.body); err != nil {
			e.err = errors.Join(e.err, fmt.Errorf("the event %s: %w", one.id, err))
		}
		e.results[one.body.CustomID] = append(e.results[one.body.CustomID], one)
	case publish.TypeCircuit:
		for _, dialect := range dialects {
			if msg.Subject() == publish.CircuitSubject(dialect, jobs.CircuitOpen) {
				e.opened[dialect]++
			}
		}
	}
}

// heard is how many results came.
func (e *events) heard() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.results)
}

// holds tells whether a text was in any message.
func (e *events) holds(text string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Contains(e.whole.String(), text)
}

// taken is what came, for when nothing more comes.
func (e *events) taken() (results map[string][]event, opened map[string]int, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.results, e.opened, e.err
}

func (e *events) stop() {
	e.consume.Stop()
	e.conn.Close()
}
