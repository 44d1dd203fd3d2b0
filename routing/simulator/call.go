package simulator

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	maxBody = 32 << 20 // what one call may send
	maxKept = 1 << 20  // a larger buffer is not kept for the next call
)

// shared is what the providers of a server have in common.
type shared struct {
	now     func() time.Time
	seed    uint64
	plain   bool
	stopped chan struct{} // closed when the server stops
	bodies  sync.Pool     // of *bytes.Buffer
	reader  reader
}

// A simulated is a Provider that runs. It is safe for concurrent use.
type simulated struct {
	Provider
	*shared
	dialect  dialect
	mix      uint64 // the seed of this provider
	schedule *schedule
	counter  *counter

	mu       sync.Mutex
	throttle throttle
	carrier  carrier
}

func newSimulated(provider Provider, common *shared, remember bool) *simulated {
	now := common.now()
	provider.Dialect = cmp.Or(provider.Dialect, defaultDialect)
	return &simulated{
		Provider: provider,
		shared:   common,
		dialect:  dialects[provider.Dialect],
		mix:      common.seed ^ hashOf(provider.Name),
		schedule: newSchedule(provider.Script, now),
		counter:  newCounter(remember),
		throttle: newThrottle(provider.Limits, now),
		carrier:  newCarrier(provider.Capacity, now),
	}
}

// carry changes the capacity.
func (p *simulated) carry(capacity Capacity, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.carrier = newCarrier(capacity, now)
}

// capacity is what is set, and how much of it there is at now, in requests a
// second.
func (p *simulated) capacity(now time.Time) (set Capacity, carries float64) {
	well := p.schedule.wellSince(now)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.carrier.Capacity, p.carrier.At(now.Sub(well))
}

// A call is one request on its way through a provider.
type call struct {
	*simulated
	w        http.ResponseWriter
	r        *http.Request
	number   uint64 // of the provider's calls
	arrived  time.Time
	fault    Fault
	question question
	counted  bool
	admitted bool      // it is one of the throttle's running
	form     RetryForm // of what a refusal asks to wait; empty: both
}

// serve answers what asks for a completion, and counts it; what asks for
// something else is answered, and not counted.
func (p *simulated) serve(w http.ResponseWriter, r *http.Request, path string) {
	c := &call{simulated: p, w: w, r: r, arrived: p.now()}
	op, no := p.dialect.operation(r.Method, path)
	if op == complete && p.lacks(path) {
		nowhere := openaiNowhere(r.Method, path)
		op, no = unknown, &nowhere
	}
	if op != complete {
		c.aside(path, no)
		return
	}
	c.number = p.counter.arrive(c.arrived)
	defer c.count(Left) // unless it came to something
	c.complete(path)
}

// count books the outcome, the first time. It comes before the last byte, so
// that whoever has an answer finds it counted.
func (c *call) count(outcome Mode) {
	if c.counted || c.number == 0 {
		return
	}
	c.counted = true
	c.release()
	c.counter.leave(c.now(), c.question.request, outcome)
}

// aside answers a list of models, or refuses what the vendor does not know. A
// fault takes them too if it takes every call; a brown-out is drawn by the
// number of a call, and this has none.
func (c *call) aside(path string, no *refusal) {
	c.fault, _ = c.schedule.at(c.arrived)
	if c.fault.Rate < 1 {
		c.fault = Fault{}.filled()
	}
	if c.meetsFault() {
		return
	}
	if no == nil && c.wrongKey() {
		return
	}
	var body []byte
	if no == nil {
		body, no = c.dialect.models(path, c.Models)
	}
	if no != nil {
		c.refuse(*no, 0)
		return
	}
	c.head("application/json", 0)
	_, _ = c.w.Write(body) // a client that left is nobody to tell
}

// complete is the life of a call: read, meet the fault, keep the rules, wait,
// answer.
func (c *call) complete(path string) {
	wrong, err := c.read(path)
	if err != nil {
		return // the client left in the middle of its own request
	}
	c.fault = c.meet()
	if c.meetsFault() || c.wrongKey() || c.breaksRule(wrong) {
		return
	}
	a := c.compose()
	wait := c.Latency.draw(c.mix, c.question.request)
	if c.fault.Mode != Drip {
		wait += c.fault.Delay
	}
	if !c.question.stream {
		wait += c.Latency.PerToken * time.Duration(a.usage.completion)
	}
	if !c.wait(wait) {
		c.drop()
		return
	}
	a.created = c.now()
	c.write(a)
}

// read takes the whole body, which lets net/http notice when the client leaves.
func (c *call) read(path string) (*refusal, error) {
	buffer, _ := c.bodies.Get().(*bytes.Buffer)
	if buffer == nil {
		buffer = new(bytes.Buffer)
	}
	buffer.Reset()
	defer func() {
		if buffer.Cap() <= maxKept {
			c.bodies.Put(buffer)
		}
	}()
	if _, err := buffer.ReadFrom(io.LimitReader(c.r.Body, maxBody)); err != nil {
		return nil, fmt.Errorf("reading a request: %w", err)
	}
	question, wrong := c.dialect.read(path, buffer.Bytes())
	if wrong != nil {
		question.request = hashOf(buffer.String())
	}
	c.question = question
	return wrong, nil
}

// meet draws whether this call meets the fault that holds.
func (c *call) meet() Fault {
	fault, _ := c.schedule.at(c.arrived)
	if c.relapsed() {
		return Fault{Mode: Unavailable}.filled()
	}
	if fault.Rate < 1 && share(c.mix, c.number) >= fault.Rate {
		return Fault{}.filled()
	}
	return fault
}

// relapsed tells whether the capacity is away again.
func (c *call) relapsed() bool {
	well := c.schedule.wellSince(c.arrived)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.carrier.downAt(c.arrived.Sub(well))
}

// meetsFault does what a fault without an answer says; it tells whether there
// was one.
func (c *call) meetsFault() bool {
	mode := c.fault.Mode
	if !mode.refuses() && mode != Hang && mode != Reset {
		return false
	}
	c.question.letGo() // nobody will read it, however long this takes
	if !c.wait(c.fault.Delay) {
		c.drop()
		return true
	}
	switch {
	case mode.refuses():
		no := c.dialect.refuse(reason{mode: mode, model: cmp.Or(c.question.model, "this model"), keyed: true, wait: c.fault.RetryAfter})
		no.code = cmp.Or(c.fault.Code, no.code)
		c.refuse(no, c.fault.RetryAfter)
	case mode == Hang:
		c.waitForEnd()
		c.count(Hang)
		c.drop()
	default:
		c.count(Reset)
		c.drop()
	}
	return true
}

func (c *call) wrongKey() bool {
	sent := c.dialect.key(c.r.Header)
	if c.Key == "" || sent == c.Key.Reveal() {
		return false
	}
	c.refuse(c.dialect.refuse(reason{mode: Auth, keyed: sent != ""}), 0)
	return true
}

func (c *call) has(model string) bool {
	return len(c.Models) == 0 || slices.Contains(c.Models, model)
}

// breaksRule refuses a call as the vendor would: for its body, its model, its
// length, or a limit.
func (c *call) breaksRule(wrong *refusal) bool {
	q := c.question
	switch {
	case wrong != nil:
		c.refuse(*wrong, 0)
	case !c.has(q.model):
		c.refuse(c.dialect.refuse(reason{mode: NotFound, model: q.model}), 0)
	case c.ContextTokens > 0 && q.window() > c.ContextTokens:
		c.refuse(c.dialect.refuse(reason{mode: Context, tokens: q.window(), window: c.ContextTokens}), 0)
	default:
		mode, over := c.admit()
		if mode == OK {
			return false
		}
		c.refuse(c.dialect.refuse(reason{mode: mode, model: q.model, excess: over, wait: over.wait}), over.wait)
	}
	return true
}

// admit asks the capacity and then the limits. It charges the prompt and the
// whole of the output that was allowed, as vendors do; compose gives back what
// was not used.
func (c *call) admit() (Mode, excess) {
	well := c.schedule.wellSince(c.arrived)
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	mode, wait := c.carrier.admit(now, well)
	if mode != OK {
		c.form = c.carrier.RetryAfter
		return mode, c.carrier.excess(mode, wait)
	}
	over := c.throttle.admit(now, c.question.promptTokens+c.question.maxTokens)
	if over.limit != "" {
		c.carrier.giveBack()
		return RateLimit, over
	}
	c.admitted = true
	return OK, over
}

// release ends what admit began: one call fewer at once.
func (c *call) release() {
	if !c.admitted {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.admitted = false
	c.throttle.running--
}

// wait is true after d, and false when the client left or the server stopped.
func (c *call) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.r.Context().Done():
	case <-c.stopped:
	}
	return false
}

func (c *call) waitForEnd() {
	select {
	case <-c.r.Context().Done():
	case <-c.stopped:
	}
}

// refuse writes an error body, and counts the call under its mode.
func (c *call) refuse(no refusal, wait time.Duration) {
	c.count(no.mode)
	body := c.dialect.body(no)
	c.head("application/json", wait)
	c.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	c.w.WriteHeader(no.status)
	_, _ = c.w.Write(body) // a client that left is nobody to tell
}

// head sets the headers of every answer; wait is how long to stay away.
func (c *call) head(contentType string, wait time.Duration) {
	now := c.now()
	well := c.schedule.wellSince(now)
	c.mu.Lock()
	c.throttle.requests.refill(now)
	c.throttle.tokens.refill(now)
	requests, tokens := c.throttle.requests.tell(), c.throttle.tokens.tell()
	if carried := c.carrier.tell(now, well); carried.limit != 0 {
		requests = carried
	}
	c.mu.Unlock()
	h := c.w.Header()
	h.Set("Content-Type", contentType)
	c.dialect.header(h, envelope{call: c.id(), now: now, took: now.Sub(c.arrived), requests: requests, tokens: tokens, wait: wait, form: c.form})
}

// id names the call: of the provider, the seed and the call's number.
func (c *call) id() string {
	return fmt.Sprintf("%016x%08x", hashOf(c.Name, strconv.FormatUint(c.mix, 16), strconv.FormatUint(c.number, 16)), c.number)
}

// drop closes the connection with nothing more to say; where the fault is Reset,
// so that TCP says so too.
func (c *call) drop() {
	conn, _, err := http.NewResponseController(c.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // net/http's own word for closing where hijacking is not possible
	}
	if tcp, ok := conn.(*net.TCPConn); ok && c.fault.Mode == Reset {
		_ = tcp.SetLinger(0) // a close without it is nearly as good
	}
	_ = conn.Close()
}
