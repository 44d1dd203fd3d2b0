package app

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/worker/publish"
)

// An eventCounter counts the results that arrive on NATS. Safe for concurrent
// use.
type eventCounter struct {
	mu    sync.Mutex
	seen  map[string]int // by request id
	heard func(distinct int)
	stop  func()
}

// countEvents follows all results from the start of the stream.
func countEvents(ctx context.Context, conn *nats.Conn, heard func(distinct int)) (*eventCounter, error) {
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, fmt.Errorf("preparing JetStream: %w", err)
	}
	stream, err := publish.EnsureStream(ctx, js, 0)
	if err != nil {
		return nil, err
	}
	consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: "demo", FilterSubject: publish.ResultFilter("", "", ""), AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		return nil, fmt.Errorf("subscribing: %w", err)
	}
	c := &eventCounter{seen: map[string]int{}, heard: heard}
	following, err := consumer.Consume(c.hear)
	if err != nil {
		return nil, fmt.Errorf("subscribing: %w", err)
	}
	c.stop = following.Stop
	return c, nil
}

func (c *eventCounter) hear(msg jetstream.Msg) {
	var body publish.ResultBody
	if json.Unmarshal(msg.Data(), &body) != nil {
		return
	}
	c.mu.Lock()
	c.seen[body.RequestID]++
	distinct := len(c.seen)
	c.mu.Unlock()
	_ = msg.Ack() // if it is lost, the event comes again and shows as a duplicate
	c.heard(distinct)
}

// Distinct counts the requests that had an event.
func (c *eventCounter) Distinct() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.seen)
}

// Repeated counts the events beyond the first of each request.
func (c *eventCounter) Repeated() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := -len(c.seen)
	for _, times := range c.seen {
		n += times
	}
	return n
}
