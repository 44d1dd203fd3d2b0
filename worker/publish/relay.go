package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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
	// that send says were acknowledged. Those up to the one numbered behind are
	// passed over; it returns the number of the last one to go on behind, zero
	// when there are no more.
	Relay(ctx context.Context, behind int64, limit int, send func([]jobs.Event) ([]bool, error)) (last int64, err error)
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
	// Trace says which span the event of a result or a batch is, as a traceparent; empty:
	// none. Nil: that of its request or batch.
	Trace func(*jobs.Event) string
	// Sent is told of each event whether JetStream has acknowledged it; an event that it
	// has not comes again. Nil: nobody is told.
	Sent func(event *jobs.Event, acknowledged bool)
	Log  zerolog.Logger
}

// A Relay sends what the outbox owes. Make one with New, and Run it once.
type Relay struct {
	config Config
	js     jetstream.JetStream
	wake   chan struct{}
	stream jetstream.Stream // nil: to be looked for
	told   map[string]bool  // ids of events that do not fit, of which this was said
}

// New returns a Relay that has not begun.
func New(config Config) (*Relay, error) {
	config.Poll, config.Linger = cmp.Or(config.Poll, defaultPoll), cmp.Or(config.Linger, defaultLinger)
	js, err := jetstream.New(config.Conn, jetstream.WithPublishAsyncMaxPending(2*atOnce), jetstream.WithPublishAsyncTimeout(ackWait))
	if err != nil {
		return nil, fmt.Errorf("preparing JetStream: %w", err)
	}
	return &Relay{config: config, js: js, wake: make(chan struct{}, 1), told: map[string]bool{}}, nil
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

// drain goes through the outbox once, while there is a NATS to send to. What is
// not taken stays, and does not hold up what is behind it; the next poll begins
// with the oldest again. Only the first of its failures is told: the others
// mostly have the same reason. A round that was cut short because the relay stops
// is not worth a word: the last one follows.
func (r *Relay) drain(ctx context.Context) {
	failed := false
	for last, more := int64(0), true; more && r.config.Conn.IsConnected() && ctx.Err() == nil; more = last > 0 {
		var err error
		try, cancel := context.WithTimeout(ctx, roundTime)
		last, err = r.round(try, last)
		cancel()
		if err == nil || failed || errors.Is(ctx.Err(), context.Canceled) {
			continue
		}
		failed = true
		r.config.Log.Warn().Err(err).Msg("events were not published; they stay in the outbox")
	}
}

// round sends what is oldest behind an event. It returns the last one that it
// took, zero if there is nothing to go on with. Where all of it failed, what is
// behind fares no better mostly, so there is a pause before that is tried.
func (r *Relay) round(ctx context.Context, behind int64) (last int64, err error) {
	if r.stream == nil {
		if r.stream, err = EnsureStream(ctx, r.js, r.config.MaxBytes); err != nil {
			return 0, err
		}
	}
	var sent []bool
	last, err = r.config.Outbox.Relay(ctx, behind, atOnce, func(events []jobs.Event) (_ []bool, err error) {
		sent, err = r.send(ctx, events)
		if r.config.Sent != nil {
			for i := range events {
				r.config.Sent(&events[i], sent[i])
			}
		}
		return sent, err
	})
	var refused *jetstream.APIError
	if errors.Is(err, jetstream.ErrNoStreamResponse) || errors.As(err, &refused) { // somebody deleted or changed it
		r.stream = nil
	}
	if err != nil && last > 0 && !slices.Contains(sent, true) {
		pause(ctx, r.config.Poll)
	}
	return last, err
}

// send publishes events and says which were acknowledged. An event that cannot
// be published does not stand in the way of the others.
func (r *Relay) send(ctx context.Context, events []jobs.Event) ([]bool, error) {
	futures := make([]jetstream.PubAckFuture, len(events))
	limit := MessageLimit(r.config.Conn, r.stream)
	var first error
	for i, event := range events {
		msg, err := Message(r.traced(event), limit)
		if tooLarge := new(TooLargeError); errors.As(err, &tooLarge) {
			r.tell(tooLarge)
			continue
		}
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

// traced is an event with the span that it is; the one that was given stays as it is.
func (r *Relay) traced(event jobs.Event) jobs.Event {
	if r.config.Trace == nil {
		return event
	}
	switch span := r.config.Trace(&event); {
	case event.Result != nil:
		result := *event.Result
		event.Result, result.Traceparent = &result, span
	case event.Batch != nil:
		batch := *event.Batch
		event.Batch, batch.Traceparent = &batch, span
	}
	return event
}

// tell says once of each event that it does not fit. It is tried again at each
// poll, since a server may be given a larger limit.
func (r *Relay) tell(why *TooLargeError) {
	if r.told[why.ID] {
		return
	}
	r.told[why.ID] = true
	r.config.Log.Error().Err(why).Str("subject", why.Subject).Msgf("an event does not fit into a message and stays in the outbox: "+
		"raise max_payload of NATS, and max_msg_size of the stream %s if it has one, to %d bytes or more", StreamName, why.Bytes)
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
