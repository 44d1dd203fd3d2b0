package provider

import (
	"errors"
	"io"
	"net/url"
	"time"

	"tidegate/jobs"
)

// A streaming is how a dialect sends an answer in pieces. They are put together
// before anybody sees them: nothing that is half is stored or returned.
type streaming struct {
	// members are put at the end of the body that goes out, to ask for it.
	members string
	// address changes the URL; nil: it is the same.
	address func(*url.URL)
	// gather begins to put together an answer that holds about so many bytes at most.
	gather func(limit int) gatherer
}

// A gatherer puts the events of one answer together.
type gatherer interface {
	// take reads one event, and keeps none of its bytes. A refusal ends the stream.
	// Where the answer passes its limit, the rest of the event may be left.
	take(response, event) (step, *refusal)
	// whole is what has come so far as the provider would have written it without a
	// stream, for the dialect's decode, and whether the answer came to its end.
	whole() (body []byte, ended bool)
	// size is how many bytes it holds, about.
	size() int
	// news hands on the texts that have come since it was asked last.
	news(take func(jobs.Piece))
}

// A step is what an event does for its answer.
type step int8

const (
	along step = iota // a frame, a ping, a role
	token             // a piece of what the model says
	last              // nothing comes after it
)

// drainTime is how long the end of a stream is waited for after its last event, so
// that the connection can be used again.
const drainTime = 100 * time.Millisecond

// readStream reads an answer that was asked for in pieces. A provider that sends it
// whole all the same is read as one that was not asked. Who takes pieces, if anybody,
// hears of each before the next one is read.
func (end *endpoint) readStream(body io.Reader, limit int, watch *watch, got *exchanged, take func(jobs.Piece)) error {
	watch.accepted()
	stream := newEvents(body, limit)
	plain, err := stream.plain()
	if plain {
		got.firstByte = watch.answered()
		got.body, err = readAll(stream.lines, -1, limit, watch)
		return err
	}
	answer := end.stream.gather(limit)
	spoken := false
	for err == nil {
		var next event
		if next, err = stream.next(); err != nil {
			break
		}
		did, why := answer.take(got.response, next)
		if why != nil {
			got.cut = why
			break
		}
		if did == token && take != nil {
			answer.news(take)
		}
		switch {
		case answer.size() > limit:
			err = errTooLong
		case did == last:
			watch.drain()
			_, _ = io.Copy(io.Discard, io.LimitReader(stream.lines, lineBuffer)) // the answer is there, whatever comes
			err = io.EOF
		case did == token && !spoken:
			spoken, got.firstByte = true, watch.answered()
		case spoken:
			watch.received()
		}
	}
	if !spoken {
		got.firstByte = watch.sinceSent()
	}
	whole, ended := answer.whole()
	got.body = whole
	if got.cut == nil && !ended {
		got.cut = &refusal{status: got.status, class: jobs.Garbled, text: "the stream ended before the answer did"}
	}
	if errors.Is(err, io.EOF) || got.cut == nil && !errors.Is(err, errTooLong) && end.usageSoFar(*got).Output > 0 {
		return nil // what breaks after an answer, and after what it costs, takes nothing of it
	}
	return err
}

// usageSoFar is what was billed of an answer that is not whole.
func (end *endpoint) usageSoFar(got exchanged) jobs.Usage {
	answer, why := end.dialect.decode(got.response)
	if answer != nil {
		return answer.Usage
	}
	return why.usage
}

// read is what a response comes to: an answer, or why there is none.
func (end *endpoint) read(got exchanged) (*jobs.Answer, *refusal) {
	switch {
	case got.status/100 != 2:
		why := end.dialect.explain(got.response)
		return nil, &why
	case got.cut != nil:
		got.cut.usage = end.usageSoFar(got)
		return nil, got.cut
	default:
		return end.dialect.decode(got.response)
	}
}

// inPieces is a target whose answers are asked for in pieces.
func inPieces(target *jobs.Target) *jobs.Target {
	copied := *target
	copied.Stream = true
	return &copied
}

// Streams tells whether a dialect can send its answers in pieces.
func Streams(dialect string) bool { return dialects[dialect].stream != nil }

// ask adds what asks for a stream to a body that goes out: one JSON
// object, which is not empty.
func (s *streaming) ask(wire []byte) []byte {
	if s.members == "" {
		return wire
	}
	closing := lastBrace(wire)
	out := make([]byte, 0, len(wire)+len(s.members)+1)
	out = append(append(append(out, wire[:closing]...), ','), s.members...)
	return append(out, wire[closing:]...)
}
