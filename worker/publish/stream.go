package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	defaultMaxAge = 7 * 24 * time.Hour
	// dedupeWindow is how long the stream remembers message ids. NATS says 2
	// minutes; a relay that died with acknowledgements in flight may need more.
	dedupeWindow = 10 * time.Minute
)

// EnsureStream makes the stream if it is not there. maxBytes bounds what a new
// one keeps, oldest first to go; zero: by age alone. One that is there stays as
// it is: replicas, age and bytes are for whoever runs NATS to choose. Only one of an
// earlier version, which listens to everything below tidegate.v1, is told to listen to
// events alone, if that is allowed to us; what is in it stays.
func EnsureStream(ctx context.Context, js jetstream.JetStream, maxBytes int64) (jetstream.Stream, error) {
	stream, err := js.Stream(ctx, StreamName)
	if err == nil {
		return narrowed(ctx, js, stream), nil
	}
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("looking for the stream %s: %w", StreamName, err)
	}
	if maxBytes == 0 {
		maxBytes = -1
	}
	stream, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:        StreamName,
		Description: "Results, batches, circuits, pauses and budgets of tidegate, as CloudEvents.",
		Subjects:    StreamSubjects(),
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardOld,
		Storage:     jetstream.FileStorage,
		MaxAge:      defaultMaxAge,
		MaxBytes:    maxBytes,
		Duplicates:  dedupeWindow,
	})
	if err != nil {
		return nil, fmt.Errorf("making the stream %s: %w", StreamName, err)
	}
	return stream, nil
}

// narrowed is a stream that listens to events alone, or as it is where it cannot be
// changed: events go into it in either case.
func narrowed(ctx context.Context, js jetstream.JetStream, stream jetstream.Stream) jetstream.Stream {
	config := stream.CachedInfo().Config
	at := slices.Index(config.Subjects, everything)
	if at < 0 {
		return stream
	}
	config.Subjects = slices.Concat(config.Subjects[:at], StreamSubjects(), config.Subjects[at+1:])
	changed, err := js.UpdateStream(ctx, config)
	if err != nil {
		return stream
	}
	return changed
}

// TakesDoor tells whether a stream takes what is sent to the door, so that it would be
// the stream which answers.
func TakesDoor(stream jetstream.Stream) bool {
	return slices.ContainsFunc(stream.CachedInfo().Config.Subjects, func(subject string) bool { return overlap(subject, DoorSubject) })
}

// MessageLimit is how many bytes a message may have, headers and data together:
// for the server, and for the stream as it was when it was last looked at.
func MessageLimit(conn *nats.Conn, stream jetstream.Stream) int64 {
	limit := conn.MaxPayload()
	if ofStream := int64(stream.CachedInfo().Config.MaxMsgSize); ofStream > 0 {
		limit = min(limit, ofStream)
	}
	return limit
}
