package provider

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"time"

	"tidegate/jobs"
)

// A response is what came over HTTP, whole.
type response struct {
	status int
	header http.Header
	body   []byte
}

// exchanged is what became of one HTTP request: a response, or failed.
type exchanged struct {
	response
	firstByte time.Duration
	cut       *refusal // why a stream is no answer, although HTTP had nothing against it
	failed    *jobs.Error
}

var errTooLong = errors.New("the answer is too long")

// exchange sends one HTTP request and reads the whole response.
//
// It calls the transport itself, not an http.Client, which would follow
// redirects. And it gives the request no GetBody: with one, net/http would send
// the body again, unseen, when an HTTP/2 server resets the stream with a
// protocol error, which does not promise that the call was not carried out.
// (Over HTTP/1 a POST is sent twice only with an Idempotency-Key header, and
// there is none.)
func (c *Client) exchange(parent context.Context, end *endpoint, limits jobs.Timeouts, body []byte) exchanged {
	if err := parent.Err(); err != nil {
		return exchanged{failed: lost(false)}
	}
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	watch := newWatch(limits, cancel)

	// A plain bytes.Reader: for a reader that it does not know, net/http sends the
	// header alone first, which costs a packet and a system call.
	reader := bytes.NewReader(body)
	request := end.template.WithContext(httptrace.WithClientTrace(ctx, watch.trace(reader)))
	request.ContentLength = int64(len(body))
	request.Body = io.NopCloser(reader)
	answer, err := end.transport.RoundTrip(request)
	if err != nil {
		sent := watch.end()
		return exchanged{failed: end.unanswered(parent, ctx, limits, err, sent)}
	}
	got := exchanged{response: response{status: answer.StatusCode, header: answer.Header}}
	switch {
	case got.status/100 != 2:
		got.firstByte = watch.answered()
		got.body, err = readAll(answer.Body, answer.ContentLength, maxRefusalBytes, watch)
	case end.stream != nil:
		err = end.readStream(answer.Body, c.config.MaxAnswerBytes, watch, &got, jobs.PiecesOf(parent))
	default:
		got.firstByte = watch.answered()
		got.body, err = readAll(answer.Body, answer.ContentLength, c.config.MaxAnswerBytes, watch)
	}
	_ = answer.Body.Close() // nothing more is wanted of it
	watch.end()
	if err != nil && got.status/100 == 2 {
		got.failed = end.cutOff(parent, ctx, got, err, c.config.MaxAnswerBytes)
	}
	return got
}

// readAll reads a body up to limit bytes. Reading to its end lets the
// connection be used again; a body beyond the limit is given up with it. The
// announced length may be a lie, or -1.
func readAll(body io.Reader, announced int64, limit int, watch *watch) ([]byte, error) {
	const least, most = 2 << 10, 256 << 10 // of the first allocation
	buffer := make([]byte, 0, min(max(announced, least), most))
	for {
		n, err := body.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		switch {
		case len(buffer) > limit:
			return buffer[:limit], errTooLong
		case err == io.EOF:
			return buffer, nil
		case err != nil:
			return buffer, err
		}
		watch.received()
		if len(buffer) == cap(buffer) {
			buffer = append(buffer, 0)[:len(buffer)]
		}
	}
}

// unanswered says why there was no HTTP response at all. Nobody said anything,
// so only this host saw it.
func (end *endpoint) unanswered(parent, ctx context.Context, limits jobs.Timeouts, err error, sent bool) *jobs.Error {
	if late := lateness(ctx); late != nil {
		return &jobs.Error{Class: late.class(), Message: late.Error()}
	}
	if parent.Err() != nil {
		return lost(sent)
	}
	var network net.Error
	if !sent && errors.As(err, &network) && network.Timeout() {
		late := overdue{phase: connecting, limit: cmp.Or(limits.Connect, maxConnect)}
		return &jobs.Error{Class: jobs.Transient, Message: late.Error()}
	}
	text := "no connection: "
	if sent {
		text = "the connection broke before an answer came: "
	}
	return &jobs.Error{Class: jobs.Transient, Message: end.clean(text + err.Error())}
}

// cutOff says why a 2xx did not arrive whole.
func (end *endpoint) cutOff(parent, ctx context.Context, got exchanged, err error, limit int) *jobs.Error {
	failed := &jobs.Error{
		Class:             jobs.Garbled,
		Status:            got.status,
		Said:              true,
		ProviderRequestID: end.cleanID(got.header.Get(end.dialect.requestID)),
		Allowance:         end.dialect.allowance(got.header),
	}
	if end.stream != nil {
		failed.Usage = end.usageSoFar(got)
	}
	if errors.Is(err, errTooLong) {
		failed.Message = fmt.Sprintf("the answer is longer than %d bytes", limit)
		return failed
	}
	if late := lateness(ctx); late != nil {
		failed.Class, failed.Message = late.class(), late.Error()
		return failed
	}
	if parent.Err() != nil {
		return lost(true)
	}
	failed.Message = end.clean(fmt.Sprintf("the answer was cut off after %d bytes: %s", len(got.body), err))
	return failed
}

func lateness(ctx context.Context) *overdue {
	var late *overdue
	errors.As(context.Cause(ctx), &late)
	return late
}

func lost(sent bool) *jobs.Error {
	text := "stopped by the caller before anything was sent"
	if sent {
		text = "stopped by the caller while the call was in flight; it may have been billed"
	}
	return &jobs.Error{Class: jobs.Lost, Message: text}
}

// remedy is the provider's reason, with what a person can do where the
// provider cannot know it.
func (end *endpoint) remedy(why refusal, got exchanged) string {
	text := why.text
	if text == "" {
		text = cmp.Or(strings.ToLower(http.StatusText(got.status)), "it gave no reason")
	}
	switch {
	case got.status/100 == 3:
		return fmt.Sprintf("redirected to %s; redirects are not followed: set base_url to the address that answers", place(end.hide(got.header.Get("Location"))))
	case why.page:
		return "a web page answered, not an API; if this stays, check base_url and any proxy in between: " + text
	case got.status == http.StatusNotFound || got.status == http.StatusMethodNotAllowed || got.status == http.StatusGone:
		return text + " (check the target's model and base_url)"
	}
	return text
}
