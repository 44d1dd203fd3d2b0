package publish

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"tidegate/jobs"
)

const (
	// doorGroup is the queue group of all workers that answer.
	doorGroup = "tidegate"
	// doorAtOnce and doorBytes bound what is being accepted at a time.
	doorAtOnce = 64
	doorBytes  = 64 << 20
	// DoorConns is how many connections to Postgres a door uses.
	DoorConns = 4
	// doorWithin is how long a sender waits for a word at most.
	doorWithin = 5 * time.Second
	// doorRetry is how long to wait where the door could not be opened.
	doorRetry = 2 * time.Second
	// doorStop is how long a stop may wait for what was sent to be answered.
	doorStop = 10 * time.Second
	// doorWarns is how far apart two warnings of one kind are.
	doorWarns = 10 * time.Second
)

// Headers of a message to the door, beside Nats-Msg-Id, and of its answer.
const (
	// ExpiresHeader is until when, in RFC 3339, the sender waits for an answer; what is
	// older is not accepted.
	ExpiresHeader = "Tidegate-Expires"
	// ErrorHeader and ErrorCodeHeader are those of NATS' own services.
	ErrorHeader     = "Nats-Service-Error"
	ErrorCodeHeader = "Nats-Service-Error-Code"
	// AfterHeader says in how many seconds to send again what was not accepted now.
	AfterHeader = "Retry-After"
)

// An Intake accepts requests. It is safe for concurrent use.
type Intake interface {
	// Take accepts one line of JSONL as a request of a tenant, or several as a batch, all
	// or none, and what comes again under the same key only once. All errors are
	// *jobs.IntakeError.
	Take(ctx context.Context, tenant, key string, lines []byte) (jobs.Accepted, error)
}

// DoorConfig is what a Door is made of.
type DoorConfig struct {
	Conn     *nats.Conn // with reconnects without end
	Intake   Intake
	MaxBytes int64         // of a new stream; zero: by age alone
	Within   time.Duration // that a sender waits for a word; zero: 5 s
	AtOnce   int           // messages that are being accepted at a time; zero: 64
	Log      zerolog.Logger
	Now      func() time.Time // nil: time.Now
}

// A Door answers requests over NATS that want something to be enqueued. Make one with
// NewDoor, and Run it once.
type Door struct {
	config DoorConfig
	js     jetstream.JetStream
	busy   chan struct{}
	conns  chan struct{} // to Postgres
	bytes  atomic.Int64  // of what is being accepted
	taking sync.WaitGroup

	mu     sync.Mutex
	warned map[string]time.Time
}

// NewDoor returns a Door that is shut.
func NewDoor(config DoorConfig) (*Door, error) {
	config.Within, config.AtOnce = cmp.Or(config.Within, doorWithin), cmp.Or(config.AtOnce, doorAtOnce)
	if config.Now == nil {
		config.Now = time.Now
	}
	js, err := jetstream.New(config.Conn)
	if err != nil {
		return nil, fmt.Errorf("preparing JetStream: %w", err)
	}
	return &Door{config: config, js: js, busy: make(chan struct{}, config.AtOnce), conns: make(chan struct{}, DoorConns), warned: map[string]time.Time{}}, nil
}

// Run answers until ctx ends, and then what has come by then. Other Doors of the same
// NATS share the work.
func (d *Door) Run(ctx context.Context) {
	if !d.awaitFree(ctx) {
		return
	}
	closed := make(chan struct{})
	sub, err := d.config.Conn.QueueSubscribe(DoorSubject, doorGroup, d.arrived)
	if err != nil {
		d.config.Log.Error().Err(err).Msg("requests over NATS are not answered")
		return
	}
	sub.SetClosedHandler(func(string) { close(closed) })
	d.awaitServer(ctx)
	d.config.Log.Info().Str("subject", DoorSubject).Msg("requests over NATS are answered")
	<-ctx.Done()
	d.shut(sub, closed)
}

// awaitServer waits until NATS knows of the subscription, which it is told without an
// answer: until then a sender hears that nobody is there.
func (d *Door) awaitServer(ctx context.Context) {
	for ctx.Err() == nil {
		try, cancel := context.WithTimeout(ctx, ackWait)
		err := d.config.Conn.FlushWithContext(try)
		cancel()
		if err == nil {
			return
		}
		pause(ctx, doorRetry)
	}
}

// shut takes nothing more, and waits until all that has come is answered.
func (d *Door) shut(sub *nats.Subscription, closed <-chan struct{}) {
	limit := time.NewTimer(doorStop)
	defer limit.Stop()
	if err := sub.Drain(); err == nil {
		select {
		case <-closed:
		case <-limit.C:
		}
	}
	answered := make(chan struct{})
	go func() {
		d.taking.Wait()
		close(answered)
	}()
	select {
	case <-answered:
	case <-limit.C:
		d.config.Log.Warn().Msg("the worker ends though requests over NATS are not answered; to send them again under their Nats-Msg-Id is safe")
	}
	_ = d.config.Conn.FlushTimeout(doorRetry) // where NATS is away nobody hears the answers
}

// awaitFree waits until the stream does not take what is sent to the door: its word
// that it stored a message would be taken for ours.
func (d *Door) awaitFree(ctx context.Context) bool {
	for told := false; ; told = true {
		try, cancel := context.WithTimeout(ctx, ackWait)
		stream, err := EnsureStream(try, d.js, d.config.MaxBytes)
		cancel()
		if err == nil && !TakesDoor(stream) {
			return true
		}
		if !told && ctx.Err() == nil && (err == nil || d.config.Conn.IsConnected()) {
			d.config.Log.Error().Err(err).Msgf("requests over NATS are not answered yet: the stream %s must have the subjects %s, and none that takes %s; it is looked at again",
				StreamName, strings.Join(StreamSubjects(), ", "), DoorSubject)
		}
		pause(ctx, doorRetry)
		if ctx.Err() != nil {
			return false
		}
	}
}

// arrived takes one message in, or says at once that it cannot.
func (d *Door) arrived(msg *nats.Msg) {
	if !answerable(msg.Reply) {
		d.warn("reply", "a request over NATS was dropped: it names no subject for the answer, or one that is not for answers; send it as `nats request` does")
		return
	}
	tenant, until, fault := d.check(msg)
	if fault != nil {
		d.refuse(msg, fault)
		return
	}
	size := int64(len(msg.Data))
	select {
	case d.busy <- struct{}{}:
	default:
		d.refuse(msg, errDoorBusy)
		return
	}
	if d.bytes.Add(size) > doorBytes {
		d.bytes.Add(-size)
		<-d.busy
		d.refuse(msg, errDoorBusy)
		return
	}
	d.taking.Go(func() {
		defer func() {
			d.bytes.Add(-size)
			<-d.busy
		}()
		d.take(msg, tenant, until)
	})
}

// answerable tells whether an answer may go to a subject. A sender chooses it, and we
// may publish more than it may: no answer of ours is to become a command to the server,
// an event, or another request.
func answerable(reply string) bool {
	return reply != "" && !strings.HasPrefix(reply, "$") && !strings.HasPrefix(reply, "tidegate.")
}

// codeUnknown is what an error has after which nobody knows whether it was accepted.
const codeUnknown = "outcome_unknown"

var (
	errDoorBusy = intakeError(http.StatusServiceUnavailable, "server_error", "server_busy", "", "too many requests are being accepted, and nothing was of this one; send it again in a second", time.Second)
	errDoorLate = intakeError(http.StatusServiceUnavailable, "server_error", codeUnknown, "",
		"the database takes too long, so nobody knows yet whether this was accepted: send it again under the same Nats-Msg-Id", doorRetry)
	errDoorExpired = intakeError(http.StatusRequestTimeout, "invalid_request_error", "request_expired", ExpiresHeader, ExpiresHeader+": has passed; nothing was accepted", 0)
)

func intakeError(status int, kind, code, param, message string, after time.Duration) *jobs.IntakeError {
	e := &jobs.IntakeError{Status: status, Type: kind, Code: &code, Message: message, After: after}
	if param != "" {
		e.Param = &param
	}
	return e
}

// check says whose request it is, and until when somebody waits for the answer, which
// must not have passed; zero: nobody says.
func (d *Door) check(msg *nats.Msg) (tenant string, until time.Time, fault *jobs.IntakeError) {
	tenant = strings.Split(msg.Subject, ".")[2]
	if err := jobs.CheckName(tenant); err != nil {
		return "", until, intakeError(http.StatusBadRequest, "invalid_request_error", "invalid_value", "tenant", "tenant: the subject must be tidegate.v1.TENANT.enqueue: "+err.Error(), 0)
	}
	said := msg.Header.Get(ExpiresHeader)
	if said == "" {
		return tenant, until, nil
	}
	until, err := time.Parse(time.RFC3339, said)
	if err != nil {
		return "", until, intakeError(http.StatusBadRequest, "invalid_request_error", "invalid_value", ExpiresHeader, ExpiresHeader+": must be a time like 2031-01-31T18:00:00Z", 0)
	}
	if d.expired(until) {
		return "", until, errDoorExpired
	}
	return tenant, until, nil
}

// expired tells whether nobody waits any more.
func (d *Door) expired(until time.Time) bool {
	return !until.IsZero() && !d.config.Now().Before(until)
}

// within is a context that ends when nothing more may be accepted: so that there is time
// to say so, and with the sender's patience.
func (d *Door) within(until time.Time) (context.Context, context.CancelFunc) {
	limit := d.config.Within * 9 / 10
	if !until.IsZero() {
		limit = min(limit, until.Sub(d.config.Now()))
	}
	return context.WithTimeout(context.Background(), limit)
}

// take has a message accepted, and answers within its time. A commit that takes longer
// goes on, and keeps its place until it is over.
func (d *Door) take(msg *nats.Msg, tenant string, until time.Time) {
	ctx, cancel := d.within(until)
	defer cancel()
	late := time.NewTimer(d.config.Within)
	defer late.Stop()
	select { // the worker's other connections to Postgres have their own work
	case d.conns <- struct{}{}:
		defer func() { <-d.conns }()
	case <-ctx.Done():
		d.refuse(msg, d.orExpired(until, errDoorBusy))
		return
	}
	if d.expired(until) {
		d.refuse(msg, errDoorExpired)
		return
	}
	var accepted jobs.Accepted
	var err error
	over := make(chan struct{})
	go func() {
		defer close(over)
		accepted, err = d.config.Intake.Take(jobs.WithTraceparent(ctx, msg.Header.Get("traceparent")), tenant, msg.Header.Get(nats.MsgIdHdr), msg.Data)
	}()
	select {
	case <-over:
	case <-late.C:
		d.refuse(msg, errDoorLate)
		<-over
		return
	}
	var fault *jobs.IntakeError
	switch {
	case err == nil:
		d.answer(msg, accepted, nil)
	case errors.As(err, &fault):
		d.refuse(msg, d.orExpired(until, fault))
	default:
		d.refuse(msg, &jobs.IntakeError{Status: http.StatusInternalServerError, Type: "server_error", Message: "the server could not do this; it is in its log", Err: err})
	}
}

// orExpired is a fault, or that its time is over where this is why it was not accepted.
func (d *Door) orExpired(until time.Time, fault *jobs.IntakeError) *jobs.IntakeError {
	if d.expired(until) && fault.Status == http.StatusServiceUnavailable && *fault.Code != codeUnknown {
		return errDoorExpired
	}
	return fault
}

func (d *Door) refuse(msg *nats.Msg, fault *jobs.IntakeError) {
	if fault.Err != nil {
		d.warn("intake", fmt.Sprintf("a request over NATS was not accepted: %v", fault.Err))
	}
	header := nats.Header{ErrorHeader: {oneLine(fault.Message)}, ErrorCodeHeader: {strconv.Itoa(fault.Status)}}
	if fault.After > 0 {
		header.Set(AfterHeader, strconv.Itoa(int((fault.After+time.Second-1)/time.Second)))
	}
	d.answer(msg, map[string]any{"error": fault}, header)
}

// oneLine is a text as a header takes it.
func oneLine(text string) string {
	const most = 500
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	if runes := []rune(clean); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return clean
}

func (d *Door) answer(msg *nats.Msg, body any, header nats.Header) {
	data, err := json.Marshal(body)
	if err != nil {
		d.warn("answer", fmt.Sprintf("an answer over NATS cannot be written: %v", err))
		return
	}
	reply := &nats.Msg{Subject: msg.Reply, Data: data, Header: header}
	if limit := d.config.Conn.MaxPayload(); int64(len(data)) > limit && limit > 0 { // thousands of ids
		if accepted, ok := body.(jobs.Accepted); ok {
			accepted.IDs = nil
			reply.Data, _ = json.Marshal(accepted)
		}
	}
	if err := d.config.Conn.PublishMsg(reply); err != nil {
		d.warn("answer", fmt.Sprintf("an answer over NATS was not sent: %v", err))
	}
}

// warn logs one of a kind of warnings now and then.
func (d *Door) warn(kind, message string) {
	now := time.Now()
	d.mu.Lock()
	again := now.Sub(d.warned[kind]) < doorWarns
	if !again {
		d.warned[kind] = now
	}
	d.mu.Unlock()
	if !again {
		d.config.Log.Warn().Msg(message)
	}
}
