package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"tidegate/jobs"
)

const (
	atOnce        = 500
	ackWait       = 5 * time.Second
	roundTime     = 15 * time.Second // that a round may take: a connection that was forgotten on its way says nothing
	defaultPoll   = time.Second
	defaultLinger = 40 * time.Millisecond
)

// An Outbox holds the events that owe a message. It is safe for concurrent use.
type Outbox interface {
	// Relay hands up to limit events to send, oldest first, and forgets those
	// that send says were acknowledged. It returns how many it handed over.
	Relay(ctx context.Context, limit int, send func([]jobs.Event) ([]bool, error)) (int, error)
}

// Config is what a Relay is made of.
type Config struct {
	Outbox   Outbox
	Conn     *nats.Conn // with reconnects without end
	MaxBytes int64      // of the stream; zero: by age alone
	// Poll is how often to look at the outbox when nobody says that there is
	// something in it; zero means a second.
	Poll time.Duration
	// Linger is how long a round waits for company; zero means 40 ms.
	Linger time.Duration
	Log    zerolog.Logger
}

// A Relay sends what the outbox owes. Make one with New, and Run it once.
type Relay struct {
	config Config
	js     jetstream.JetStream
	wake   chan struct{}
	ready  bool // the stream is there
}

// New returns a Relay that has not begun.
func New(config Config) (*Relay, error) {
	config.Poll, config.Linger = cmp.Or(config.Poll, defaultPoll), cmp.Or(config.Linger, defaultLinger)
	js, err := jetstream.New(config.Conn, jetstream.WithPublishAsyncMaxPending(2*atOnce), jetstream.WithPublishAsyncTimeout(ackWait))
	if err != nil {
		return nil, fmt.Errorf("preparing JetStream: %w", err)
	}
	return &Relay{config: config, js: js, wake: make(chan struct{}, 1)}, nil
}

// Wake says that there is something in the outbox. It never blocks.
func (r *Relay) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run sends until ctx ends, and makes one last round then. While NATS is away
// it takes nothing: the rows wait.
func (r *Relay) Run(ctx context.Context) {
	poll := time.NewTicker(r.config.Poll)
	defer poll.Stop()
	for {
		select {
		case <-r.wake:
			pause(ctx, r.config.Linger)
		case <-poll.C:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackWait)
			defer cancel()
			r.drain(last)
			return
		}
		r.drain(ctx)
	}
}

func pause(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// drain sends until the outbox is empty or something is in the way; the next
// poll tries again. A round that was cut short because the relay stops is not
// worth a word: the last one follows.
func (r *Relay) drain(ctx context.Context) {
	for r.config.Conn.IsConnected() && ctx.Err() == nil {
		try, cancel := context.WithTimeout(ctx, roundTime)
		taken, err := r.round(try)
		cancel()
		switch {
		case errors.Is(ctx.Err(), context.Canceled):
			return
		case err != nil:
			r.config.Log.Warn().Err(err).Msg("events were not published; they stay in the outbox")
			return
		case taken < atOnce:
			return
		}
	}
}

func (r *Relay) round(ctx context.Context) (int, error) {
	if !r.ready {
		if _, err := EnsureStream(ctx, r.js, r.config.MaxBytes); err != nil {
			return 0, err
		}
		r.ready = true
	}
	taken, err := r.config.Outbox.Relay(ctx, atOnce, func(events []jobs.Event) ([]bool, error) { return r.send(ctx, events) })
	if errors.Is(err, jetstream.ErrNoStreamResponse) { // somebody deleted it
		r.ready = false
	}
	return taken, err
}

// send publishes events and says which were acknowledged. An event that cannot
// be published does not stand in the way of the others.
func (r *Relay) send(ctx context.Context, events []jobs.Event) ([]bool, error) {
	futures := make([]jetstream.PubAckFuture, len(events))
	var first error
	for i, event := range events {
		msg, err := Message(event)
		if err == nil {
			futures[i], err = r.js.PublishMsgAsync(msg)
		}
		first = cmp.Or(first, err)
		if errors.Is(err, jetstream.ErrTooManyStalledMsgs) || err != nil && !r.config.Conn.IsConnected() {
			break // the others would fare no better
		}
	}
	return r.await(ctx, futures, first)
}

// await collects acknowledgements; first is what went wrong before. A future is
// nil if its event was not sent.
func (r *Relay) await(ctx context.Context, futures []jetstream.PubAckFuture, first error) ([]bool, error) {
	sent := make([]bool, len(futures))
	limit := time.NewTimer(ackWait + time.Second) // JetStream's own comes before
	defer limit.Stop()
	for i, future := range futures {
		if future == nil {
			continue
		}
		select {
		case <-future.Ok():
			sent[i] = true
		case err := <-future.Err():
			first = cmp.Or(first, err)
		case <-limit.C:
			return sent, cmp.Or(first, fmt.Errorf("no acknowledgement within %s", ackWait))
		case <-ctx.Done():
			return sent, cmp.Or(first, context.Cause(ctx))
		}
	}
	return sent, first
}
