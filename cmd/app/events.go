package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"tidegate/jobs/batchapi"
	"tidegate/worker/publish"
)

const (
	// connectWithin is how long who asks for events waits for NATS.
	connectWithin = 3 * time.Second
	// aheadOfReader is how many events are fetched before their reader takes them: of
	// at most 64 KiB and some each.
	aheadOfReader = 16
	// consumerLives is how long NATS keeps the consumer of a reader who is gone: longer than
	// one may take nothing.
	consumerLives = 2 * time.Minute
	// pullBeat is how often NATS says that a consumer is there. Twice that is less than
	// anybody waits for an event at a time, so that one that is gone is found out.
	pullBeat = 5 * time.Second
)

// events follows the stream on NATS for those who have none. It connects when the first
// of them comes, and stays connected: a server without NATS serves all else. Safe for
// concurrent use.
type events struct {
	servers string // empty: none is named

	mu   sync.Mutex
	conn *nats.Conn // nil: nobody has come yet
	own  bool       // it is ours to close
}

// newEvents follows over a connection that is there already, or over one to servers.
func newEvents(conn *nats.Conn, servers string) *events {
	return &events{servers: servers, conn: conn, own: conn == nil}
}

func (e *events) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.own && e.conn != nil {
		e.conn.Close()
	}
}

// connection is the one that all use, when it is there.
func (e *events) connection(ctx context.Context) (*nats.Conn, error) {
	conn, err := e.dialled()
	if err != nil {
		return nil, err
	}
	connected := conn.StatusChanged(nats.CONNECTED)
	defer conn.RemoveStatusListener(connected)
	if conn.IsConnected() {
		return conn, nil
	}
	wait := time.NewTimer(connectWithin)
	defer wait.Stop()
	select {
	case <-connected:
		return conn, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-wait.C:
		return nil, &batchapi.AwayError{Why: "NATS, which has the events, does not answer; results are stored all the same: GET /v1/jobs/{id}"}
	}
}

func (e *events) dialled() (*nats.Conn, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.conn != nil {
		return e.conn, nil
	}
	if e.servers == "" {
		return nil, &batchapi.AwayError{Why: "this server is told of no NATS, which has the events: name one with --nats-url, $NATS_URL or `nats:` in the configuration", Lasts: true}
	}
	conn, err := dialNATS(e.servers, "tidegate serve", false, zerolog.Nop())
	if err != nil {
		return nil, fmt.Errorf("connecting for events: %w", err)
	}
	e.conn = conn
	return conn, nil
}

// Follow begins to follow with a consumer that NATS forgets when its reader is gone.
func (e *events) Follow(ctx context.Context, filter batchapi.EventFilter) (batchapi.EventStream, error) {
	conn, err := e.connection(ctx)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, fmt.Errorf("preparing JetStream: %w", err)
	}
	f := &following{conn: conn, js: js, reconnects: conn.Stats().Reconnects}
	config := jetstream.ConsumerConfig{
		FilterSubjects: subjects(&filter), AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: consumerLives,
	}
	if err := f.begin(ctx, &config, &filter); err != nil {
		return nil, explainEvents(err)
	}
	return f, nil
}

// subjects are what a filter chooses. Each is of one length, and names a tenant where
// there is one.
func subjects(f *batchapi.EventFilter) []string {
	var all []string
	for _, kind := range f.Kinds {
		switch kind {
		case batchapi.EventResult:
			all = append(all, publish.ResultFilter(f.Tenant, f.Route, f.Batch))
		case batchapi.EventBatch:
			all = append(all, publish.BatchFilter(f.Tenant, f.Batch))
		case batchapi.EventCircuit:
			all = append(all, publish.CircuitFilter)
		case batchapi.EventRoute:
			all = append(all, publish.RouteFilter(f.Route))
		case batchapi.EventBudget:
			all = append(all, publish.BudgetFilter)
		}
	}
	return all
}

// explainEvents says what keeps the events away, in words that are nobody's secret.
func explainEvents(err error) error {
	var known *batchapi.AwayError
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return &batchapi.AwayError{Why: "there is no stream of events yet: start a worker, it makes the stream"}
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount), errors.Is(err, nats.ErrNoResponders):
		return &batchapi.AwayError{Why: "this NATS has no JetStream, which keeps the events, or it is not ready yet"}
	default:
		return fmt.Errorf("following events: %w", err)
	}
}

// A following is one reader's way through the stream. It lives as long as one
// connection: what NATS sends into one that breaks nobody sends again, so its reader is
// to come again and say what it has.
type following struct {
	conn       *nats.Conn
	reconnects uint64 // of the connection, as it began
	js         jetstream.JetStream
	consumer   jetstream.Consumer
	messages   jetstream.MessagesContext
	place      uint64
	lost       bool
	last       uint64 // the consumer's own number of the last event
}

func (f *following) begin(ctx context.Context, config *jetstream.ConsumerConfig, filter *batchapi.EventFilter) error {
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	stream, err := f.js.Stream(ctx, publish.StreamName)
	if err != nil {
		return err
	}
	switch kept := stream.CachedInfo().State; {
	case filter.Resume:
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, filter.After+1
		// Behind the end there is nothing to go on from: the stream was made anew.
		if filter.After+1 < kept.FirstSeq || filter.After > kept.LastSeq {
			f.lost, config.OptStartSeq = true, max(kept.FirstSeq, 1)
		}
	case !filter.Since.IsZero():
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &filter.Since
	default:
		config.DeliverPolicy = jetstream.DeliverNewPolicy
	}
	if f.consumer, err = f.js.CreateConsumer(ctx, publish.StreamName, *config); err != nil {
		return err
	}
	f.place = f.consumer.CachedInfo().Delivered.Stream
	f.messages, err = f.consumer.Messages(jetstream.PullMaxMessages(aheadOfReader), jetstream.PullHeartbeat(pullBeat))
	return err
}

// Begun is the place that it began behind.
func (f *following) Begun() (place uint64, lost bool) { return f.place, f.lost }

// errMoved says that what comes next is no longer known to be next.
var errMoved = errors.New("the connection to NATS was lost meanwhile")

// Next waits for the next event.
func (f *following) Next(ctx context.Context) (batchapi.Event, error) {
	if !f.conn.IsConnected() || f.conn.Stats().Reconnects != f.reconnects {
		return batchapi.Event{}, errMoved
	}
	msg, err := f.messages.Next(jetstream.NextContext(ctx))
	if err != nil {
		return batchapi.Event{}, err
	}
	meta, err := msg.Metadata()
	if err != nil {
		return batchapi.Event{}, fmt.Errorf("reading the place of an event: %w", err)
	}
	if f.last++; meta.Sequence.Consumer != f.last {
		return batchapi.Event{}, errMoved
	}
	return batchapi.Event{Place: meta.Sequence.Stream, Kind: kinds[msg.Headers().Get("ce-type")], Data: msg.Data()}, nil
}

// kinds are what events are called over HTTP.
var kinds = map[string]batchapi.EventKind{
	publish.TypeResult: batchapi.EventResult, publish.TypeBatch: batchapi.EventBatch, publish.TypeCircuit: batchapi.EventCircuit,
	publish.TypeRoute: batchapi.EventRoute, publish.TypeBudget: batchapi.EventBudget,
}

// Close gives the consumer back. NATS forgets it by itself, if it hears nothing of that.
func (f *following) Close() {
	f.messages.Stop()
	if !f.conn.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), connectWithin)
	defer cancel()
	_ = f.js.DeleteConsumer(ctx, publish.StreamName, f.consumer.CachedInfo().Name)
}
