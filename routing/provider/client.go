package provider

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"

	"tidegate/jobs"
)

const (
	// defaultMaxAnswerBytes is far above the longest completion that is sold.
	defaultMaxAnswerBytes = 16 << 20
	// maxRefusalBytes bounds what is read of a refusal: enough for any reason.
	maxRefusalBytes  = 64 << 10
	defaultUserAgent = "tidegate"
)

// Config says how a Client calls. The zero value is ready for production.
type Config struct {
	// Now is the clock against which dates in Retry-After are read where the
	// provider sends no Date; nil: time.Now. Timeouts run on the machine's own.
	Now func() time.Time
	// Dial opens connections; nil: a net.Dialer bounded by the target's connect
	// timeout.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS is for roots and certificates of one's own; nil: the system's.
	TLS *tls.Config
	// MaxAnswerBytes bounds the body of an answer, unpacked; a longer one is
	// GARBLED. Zero: 16 MiB.
	MaxAnswerBytes int
	// UserAgent is what providers see; empty: "tidegate".
	UserAgent string
}

// A Client calls targets over HTTP. It keeps connections open between calls
// and is safe for concurrent use.
type Client struct {
	config Config

	mu         sync.RWMutex
	endpoints  map[address]*endpoint
	transports map[time.Duration]*http.Transport // by connect timeout
	kept       map[address]bool                  // nil: all are
}

// New makes a client. It opens no connection yet.
func New(config Config) *Client {
	if config.Now == nil {
		config.Now = time.Now
	}
	config.MaxAnswerBytes = cmp.Or(config.MaxAnswerBytes, defaultMaxAnswerBytes)
	config.UserAgent = cmp.Or(config.UserAgent, defaultUserAgent)
	return &Client{
		config:     config,
		endpoints:  map[address]*endpoint{},
		transports: map[time.Duration]*http.Transport{},
	}
}

// Complete sends body, an object as OpenAI's API takes it at the endpoint, to the
// target and returns its answer, or why there is none: exactly one of the two is nil. It
// makes at most one HTTP request, and none when body is not JSON (BAD_REQUEST)
// or the target cannot be called as it is configured (TRANSIENT).
//
// A ctx that ends first, cancelled or past its deadline, is LOST: it tells
// nothing about the target. To give a call less time and hear TIMEOUT, lower
// the target's Timeouts. Where ctx asks for pieces (jobs.WithPieces), the answer is
// asked for in pieces, whatever the target's Stream says.
func (c *Client) Complete(ctx context.Context, target *jobs.Target, of jobs.Endpoint, body []byte) (*jobs.Answer, *jobs.Error) {
	if jobs.PiecesOf(ctx) != nil && !target.Stream && Streams(target.Dialect) {
		target = inPieces(target)
	}
	end, err := c.endpoint(target, of)
	if err != nil {
		return nil, &jobs.Error{Class: jobs.Transient, Message: err.Error()}
	}
	wire, err := end.dialect.encode(target, body)
	if err != nil {
		return nil, &jobs.Error{Class: jobs.BadRequest, Message: end.clean(err.Error())}
	}
	if end.stream != nil {
		wire = end.stream.ask(wire)
	}
	got := c.exchange(ctx, end, target.Timeouts, wire)
	if got.failed != nil {
		return nil, got.failed
	}
	answer, why := end.read(got)
	if why == nil {
		why = miscounted(of, body, answer)
	}
	if why != nil {
		why.asked = body // not wire: that was let go when it was sent
		return nil, lacking(target, of, *why, c.refuse(end, got, *why))
	}
	answer.Target = target.Name
	answer.Model = cmp.Or(answer.Model, target.Model)
	answer.FirstByte = got.firstByte
	answer.Allowance = end.dialect.allowance(got.header)
	end.cleanAnswer(answer, got.header)
	return answer, nil
}

// Check says why a target's dialect cannot say what a body asks for, and names the
// field; nil: it can, or the dialect is not known. It makes no call.
func (c *Client) Check(target *jobs.Target, of jobs.Endpoint, body []byte) error {
	speaks, _ := dialects[target.Dialect].at(of)
	if !speaks.translates {
		return nil
	}
	_, err := speaks.encode(target, body)
	return err
}

// Close closes the connections that are idle. Calls in flight go on.
func (c *Client) Close() {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, transport := range c.transports {
		transport.CloseIdleConnections()
	}
}

// refuse makes the error of a refusal that the provider sent itself.
func (c *Client) refuse(end *endpoint, got exchanged, why refusal) *jobs.Error {
	class := end.dialect.classify(why)
	return &jobs.Error{
		Class:             class,
		Status:            got.status,
		Code:              end.cleanID(cmp.Or(why.code, why.kind)),
		Message:           end.clean(end.remedy(why, got)),
		RetryAfter:        cmp.Or(why.wait, retryAfter(got.header, class, why.text, c.config.Now)),
		ResetsIn:          why.resetsIn,
		Elsewhere:         elsewhere(class, why),
		Said:              true,
		ProviderRequestID: end.cleanID(got.header.Get(end.dialect.requestID)),
		Usage:             why.usage,
		Allowance:         end.dialect.allowance(got.header),
	}
}
