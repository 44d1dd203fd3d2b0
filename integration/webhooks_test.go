package integration

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/webhooks"
	"github.com/rs/zerolog"

	"tidegate/cmd/app"
	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing/simulator"
	"tidegate/store"
)

// A called is one event as a receiver had it.
type called struct {
	header http.Header
	event  *webhooks.UnwrapWebhookEventUnion
	body   string
}

// A receiver takes what webhooks are told, and has the official SDK look at it.
type receiver struct {
	*testing.T
	url string

	mu     sync.Mutex
	secret string
	got    []called
	answer http.HandlerFunc // nil: 200
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{T: t}
	r.url = serve(t, r) + "/hooks?token=s3cr3t"
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		r.Errorf("reading an event: %v", err)
	}
	r.mu.Lock()
	client := openai.NewClient(option.WithAPIKey("none"), option.WithWebhookSecret(r.secret))
	event, err := client.Webhooks.Unwrap(body, req.Header)
	if err != nil {
		r.Errorf("the SDK refuses an event: %v\n%v\n%s", err, req.Header, body)
	}
	r.got = append(r.got, called{req.Header, event, string(body)})
	answer := r.answer
	r.mu.Unlock()
	if answer != nil {
		answer(w, req)
	}
}

func (r *receiver) answers(with http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = with
}

func (r *receiver) calls() []called {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func (r *receiver) await(n int) []called {
	r.Helper()
	fixture.Await(r.T, soon, "events arrive", func() bool { return len(r.calls()) >= n })
	return r.calls()
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// shownHook is what `webhooks --json` says of one.
type shownHook struct {
	ID      string            `json:"id"`
	Tenant  string            `json:"tenant"`
	URL     string            `json:"url"`
	Secret  string            `json:"signing_secret"`
	State   jobs.WebhookState `json:"state"`
	Why     string            `json:"why"`
	Arrived time.Time         `json:"delivered_at"`
}

// hook makes a webhook that leads to a receiver.
func (s *stage) hook(r *receiver, args ...string) shownHook {
	s.Helper()
	made := lastLine[shownHook](s.T, s.must(append([]string{"webhooks", "create", r.url, "--allow-private", "--json"}, args...)...).out)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secret = made.Secret
	return made
}

// hooks is what `webhooks` says, by id.
func (s *stage) hooks() map[string]shownHook {
	s.Helper()
	shown := map[string]shownHook{}
	for _, h := range lastLine[struct{ Webhooks []shownHook }](s.T, s.must("webhooks", "--json").out).Webhooks {
		shown[h.ID] = h
	}
	return shown
}

// hurryHooks has events tried now that are to be tried later.
func (s *stage) hurryHooks() {
	s.Helper()
	_, err := s.Pool.Exec(s.Context(), "UPDATE tidegate.river_job SET scheduled_at = now(), state = 'available' WHERE queue = $1 AND state IN ('retryable', 'scheduled')", jobs.WebhookQueue)
	check(s.T, err)
}

// Each way in which a batch ends is told, as the official SDK takes it, however the
// batch came.
func TestWebhooksTellHowBatchesEnd(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{})
	r := newReceiver(t)
	made := f.hook(r)
	client := f.client()
	want := map[string]string{} // type, by batch
	completed := f.order(client, f.upload(client, batchLines(3)).ID)
	want[completed.ID] = "batch.completed"
	failed := f.order(client, f.upload(client, "{\n").ID)
	want[failed.ID] = "batch.failed"
	want[f.enqueue(2, nil).ID] = "batch.completed"
	r.await(3)
	f.down("*", simulator.Fault{Mode: simulator.Unavailable})
	cancelled := f.order(client, f.upload(client, batchLines(5)).ID)
	f.poll(client, cancelled.ID, openai.BatchStatusInProgress)
	_, err := client.Batches.Cancel(t.Context(), cancelled.ID)
	check(t, err)
	want[cancelled.ID] = "batch.cancelled"
	expired := f.order(client, f.upload(client, batchLines(4)).ID)
	fixture.Await(t, soon, "its lines are enqueued", func() bool {
		return f.count("SELECT count(*) FROM tidegate.requests WHERE batch_id = $1", expired.ID) == 4
	})
	_, err = f.Pool.Exec(t.Context(), `WITH b AS (UPDATE tidegate.batches SET expires_at = now() WHERE id = $1) UPDATE tidegate.requests SET deadline = now() WHERE batch_id = $1`, expired.ID)
	check(t, err)
	want[expired.ID] = "batch.expired"
	plain := f.enqueue(2, nil)
	f.must("cancel", plain.ID)
	want[plain.ID] = "batch.cancelled"
	got := r.await(len(want))
	ids := map[string]bool{}
	for _, c := range got {
		if want[c.event.Data.ID] != string(c.event.Type) || c.event.Object != "event" || c.event.ID != c.header.Get("Webhook-Id") || ids[c.event.ID] {
			t.Errorf("%s, which is to be %s", c.body, want[c.event.Data.ID])
		}
		ids[c.event.ID] = true
		batch, err := f.store.Batch(t.Context(), c.event.Data.ID)
		if err != nil || c.event.CreatedAt != batch.EndedAt.Unix() {
			t.Errorf("it was made at %d, and the batch ended at %s: %v", c.event.CreatedAt, batch.EndedAt, err)
		}
		if strings.Contains(c.body, "Summarise") {
			t.Errorf("it has a prompt: %s", c.body)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d events of %d batches", len(got), len(want))
	}
	if shown := f.hooks()[made.ID]; shown.State != jobs.WebhookGood || shown.Arrived.IsZero() || shown.URL != strings.Replace(r.url, "token=s3cr3t", "…", 1) || shown.Secret != "" {
		t.Errorf("it is shown as %+v", shown)
	}
}

// An event that does not arrive is tried again under the same id, with another time
// and signature; one that never arrives is given up, and everybody sees it.
func TestWebhooksAreTriedAgain(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	r := newReceiver(t)
	var log journal
	made := s.hook(r)
	s.work(func(c *app.StackConfig) { c.Log = zerolog.New(&log) })
	r.answers(status(http.StatusInternalServerError))
	s.awaitBatch(s.enqueue(1, nil))
	const tries = 10
	for n := 1; n <= tries; n++ {
		r.await(n)
		state := "retryable"
		if n == tries {
			state = "discarded"
		}
		fixture.Await(t, soon, "the try is over", func() bool {
			return s.count("SELECT count(*) FROM tidegate.river_job WHERE queue = $1 AND (state = $2::tidegate.river_job_state OR state = 'available' AND scheduled_at > now()) AND attempt = $3", jobs.WebhookQueue, state, n) == 1
		})
		if n == 2 { // the first wait is short
			if n := s.count("SELECT count(*) FROM tidegate.river_job WHERE queue = $1 AND scheduled_at BETWEEN now() + interval '4 minutes' AND now() + interval '6 minutes'", jobs.WebhookQueue); n != 1 {
				t.Error("behind the second try it does not wait for five minutes")
			}
		}
		if n == tries-1 {
			if shown := s.hooks()[made.ID]; shown.State != jobs.WebhookRetrying || shown.Why != "answered 500" {
				t.Errorf("before the last try it is %+v", shown)
			}
		}
		s.hurryHooks()
	}
	if shown := s.hooks()[made.ID]; shown.State != jobs.WebhookFailing {
		t.Errorf("given up, it is %+v", shown)
	}
	for _, text := range []string{s.must("webhooks").out, s.tidegate("doctor").out, log.String()} {
		if !strings.Contains(text, made.ID) || strings.Contains(text, "s3cr3t") || strings.Contains(text, made.Secret) {
			t.Errorf("it says\n%s", text)
		}
	}
	if text := s.tidegate("doctor").out; !strings.Contains(text, "events were given up") {
		t.Errorf("doctor says\n%s", text)
	}
	stamps := map[string]bool{}
	for _, c := range r.calls() {
		if c.event.ID != r.calls()[0].event.ID || c.body != r.calls()[0].body {
			t.Errorf("a try is another event: %s", c.body)
		}
		stamps[c.header.Get("Webhook-Timestamp")+c.header.Get("Webhook-Signature")] = true
	}
	if len(r.calls()) != tries || len(stamps) < 2 {
		t.Errorf("%d tries with %d signatures", len(r.calls()), len(stamps))
	}
	r.answers(nil)
	s.awaitBatch(s.enqueue(1, nil))
	fixture.Await(t, soon, "it is good again", func() bool { return s.hooks()[made.ID].State == jobs.WebhookGood })
}

// Who asks for time gets it; who says that it is gone is told nothing more, until
// somebody enables it.
func TestWebhooksHearWhatReceiversSay(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	r := newReceiver(t)
	made := s.hook(r, "--event", "batch.completed")
	s.work(nil)
	r.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	s.awaitBatch(s.enqueue(1, nil))
	fixture.Await(t, soon, "it waits for an hour", func() bool {
		return s.count("SELECT count(*) FROM tidegate.river_job WHERE queue = $1 AND state = 'retryable' AND scheduled_at BETWEEN now() + interval '58 minutes' AND now() + interval '62 minutes'", jobs.WebhookQueue) == 1
	})
	r.answers(status(http.StatusGone))
	s.hurryHooks()
	fixture.Await(t, soon, "it is disabled", func() bool { return s.hooks()[made.ID].State == jobs.WebhookDisabled })
	before := len(r.calls())
	s.settle(s.enqueue(1, nil))
	if text := s.tidegate("doctor").out; !strings.Contains(text, "tidegate webhooks enable "+made.ID) || len(r.calls()) != before {
		t.Errorf("%d calls; doctor says\n%s", len(r.calls())-before, text)
	}
	s.must("webhooks", "enable", made.ID)
	r.answers(nil)
	s.awaitBatch(s.enqueue(1, nil))
	r.await(before + 1)
	if got := s.must("webhooks", "test", made.ID, "--event", "batch.expired"); !strings.Contains(got.out, "It arrived") {
		t.Errorf("test says %s", got.out)
	}
	if last := r.calls()[len(r.calls())-1]; last.event.Data.ID != "batch_test" || string(last.event.Type) != "batch.expired" {
		t.Errorf("the test sent %s", last.body)
	}
	r.answers(status(http.StatusTeapot))
	if got := s.tidegate("webhooks", "test", made.ID); got.code != 1 || !strings.Contains(got.errors, "answered 418") {
		t.Errorf("test says %d, %s", got.code, got.errors)
	}
	s.must("webhooks", "remove", made.ID)
	if got := s.tidegate("webhooks", "test", made.ID); got.code != 1 || !strings.Contains(got.errors, "there is no webhook") || len(s.hooks()) != 0 {
		t.Errorf("of one that is removed: %d, %s", got.code, got.errors)
	}
}

// A webhook of one tenant hears nothing of another's batches, and none that was not
// allowed to leads to this machine.
func TestWebhooksKeepApart(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	r, other := newReceiver(t), newReceiver(t)
	s.hook(r, "--tenant", "acme")
	s.hook(other, "--tenant", "umbrella")
	inward, _, err := s.store.CreateWebhook(t.Context(), jobs.Webhook{Tenant: "acme", URL: jobs.Secret(strings.Replace(r.url, "http:", "https:", 1)), Events: jobs.WebhookEvents()}, store.Once{})
	check(t, err)
	s.work(nil)
	s.awaitBatch(s.enqueue(1, func(_ int, q *jobs.Request) { q.Tenant = "acme" }))
	r.await(1)
	fixture.Await(t, soon, "the other one is not dialed", func() bool { return strings.Contains(s.hooks()[inward.ID].Why, "private network") })
	if len(other.calls()) != 0 || len(r.calls()) != 1 {
		t.Errorf("%d and %d calls", len(r.calls()), len(other.calls()))
	}
	for _, at := range []string{"http://example.com/", "https://me:s3cr3t@example.com/", "https://127.0.0.1/", "https://169.254.169.254/", "nonsense"} {
		if got := s.tidegate("webhooks", "create", at); got.code != 2 || strings.Contains(got.errors, "s3cr3t") {
			t.Errorf("%s: %d, %s", at, got.code, got.errors)
		}
	}
}

// A worker that stops while an event is under way lets it end; one that is killed
// leaves it to another, under the same id.
func TestWebhooksOutliveWorkers(t *testing.T) {
	t.Parallel()
	f := newFleet(t, buildProgram(t), staging{})
	r := newReceiver(t)
	f.hook(r)
	for _, c := range []struct {
		name  string
		end   func(*hand)
		calls int
	}{
		{"stopped", func(h *hand) { h.signal(syscall.SIGTERM) }, 1},
		{"killed", func(h *hand) { h.kill() }, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := len(r.calls())
			reached, lets := make(chan struct{}, 5), make(chan struct{})
			r.answers(func(http.ResponseWriter, *http.Request) {
				reached <- struct{}{}
				<-lets
			})
			worker := f.hire()
			batch := f.enqueue(1, nil)
			<-reached
			c.end(worker)
			if c.name == "killed" {
				f.hire()
				<-reached
			}
			close(lets)
			fixture.Await(t, soon, "it is delivered", func() bool {
				return f.count("SELECT count(*) FROM tidegate.river_job WHERE queue = $1 AND state = 'completed' AND attempt = 1 AND args->>'b' = $2", jobs.WebhookQueue, batch.ID) == 1
			})
			if c.name == "stopped" {
				worker.end()
			}
			got := r.calls()[before:]
			if len(got) != c.calls || got[0].event.ID != got[len(got)-1].event.ID {
				t.Errorf("%d calls: %+v", len(got), got)
			}
		})
	}
}

// A worker whose time is over in the middle of a try counts it for none, and another
// one tries again.
func TestWebhooksAreCutOff(t *testing.T) {
	t.Parallel()
	f := newFleet(t, buildProgram(t), staging{config: func(c *config.Config) { c.Worker.ShutdownTimeout = time.Second }})
	r := newReceiver(t)
	made := f.hook(r)
	reached, lets := make(chan struct{}, 5), make(chan struct{})
	r.answers(func(http.ResponseWriter, *http.Request) {
		reached <- struct{}{}
		<-lets
	})
	worker := f.hire()
	f.enqueue(1, nil)
	<-reached
	worker.signal(syscall.SIGTERM)
	if code := worker.end(); code != 0 {
		t.Errorf("told to stop, it ended with %d", code)
	}
	if n := f.count("SELECT count(*) FROM tidegate.river_job WHERE queue = $1 AND state = 'available' AND attempt = 0 AND errors IS NULL", jobs.WebhookQueue); n != 1 {
		t.Error("the try that was cut off counts")
	}
	if shown := f.hooks()[made.ID]; shown.State != jobs.WebhookGood {
		t.Errorf("it is held against the webhook: %+v", shown)
	}
	close(lets)
	f.hire()
	r.await(2)
	fixture.Await(t, soon, "it is delivered", func() bool {
		return f.count("SELECT count(*) FROM tidegate.river_job WHERE queue = $1 AND state = 'completed' AND attempt = 1", jobs.WebhookQueue) == 1
	})
}

// The official SDK makes a webhook, changes it, tries it, gives it another secret and
// removes it.
func TestWebhooksByTheSDK(t *testing.T) {
	t.Parallel()
	st := newStage(t, staging{config: func(c *config.Config) { c.Webhooks.AllowPrivate = true }})
	st.work(func(c *app.StackConfig) { c.Webhooks.AllowPrivate = true })
	f := &front{stage: st, base: st.serveHTTP()}
	r, ctx := newReceiver(t), t.Context()
	client := f.client()
	kinds, err := client.Webhooks.EventTypes.List(ctx)
	if err != nil || len(kinds.Data) != len(jobs.WebhookEvents()) {
		t.Fatalf("%+v, %v", kinds, err)
	}
	made, err := client.Webhooks.New(ctx, webhooks.WebhookNewParams{Name: "nightly", URL: r.url, EventTypes: []string{"batch.completed"}})
	check(t, err)
	r.mu.Lock()
	r.secret = made.SigningSecret
	r.mu.Unlock()
	tried, err := client.Webhooks.Test(ctx, made.ID, webhooks.WebhookTestParams{EventType: webhooks.WebhookTestParamsEventTypeBatchCompleted})
	if err != nil || tried.StatusCode != http.StatusOK || tried.WebhookEndpointID != made.ID || r.await(1)[0].event.Data.ID != "batch_test" {
		t.Errorf("%+v, %v", tried, err)
	}
	r.answers(status(http.StatusTeapot))
	if tried, err = client.Webhooks.Test(ctx, made.ID, webhooks.WebhookTestParams{EventType: webhooks.WebhookTestParamsEventTypeBatchFailed}); err != nil || tried.StatusCode != http.StatusTeapot {
		t.Errorf("%+v, %v", tried, err)
	}
	r.answers(nil)
	if _, err := client.Webhooks.RotateSecret(ctx, made.ID, webhooks.WebhookRotateSecretParams{KeepOldSecretActiveFor24Hours: openai.Bool(true)}); err != nil {
		t.Error(err)
	}
	if _, err := client.Webhooks.Update(ctx, made.ID, webhooks.WebhookUpdateParams{Name: openai.String("daily"), EventTypes: []string{"batch.completed", "batch.failed"}}); err != nil {
		t.Error(err)
	}
	before := len(r.calls())
	batch := f.order(client, f.upload(client, batchLines(2)).ID)
	if got := r.await(before + 1)[before]; got.event.Data.ID != batch.ID { // by the old secret
		t.Errorf("it is told of %s", got.body)
	}
	page, err := client.Webhooks.List(ctx, webhooks.WebhookListParams{})
	if err != nil || len(page.Data) != 1 || page.Data[0].Name != "daily" || len(page.Data[0].EventTypes) != 2 || strings.Contains(page.RawJSON(), "s3cr3t") || strings.Contains(page.RawJSON(), made.SigningSecret) {
		t.Errorf("%s, %v", page.RawJSON(), err)
	}
	if gone, err := client.Webhooks.Delete(ctx, made.ID); err != nil || !gone.Deleted {
		t.Errorf("%+v, %v", gone, err)
	}
	_, err = client.Webhooks.Get(ctx, made.ID)
	refused(t, err, http.StatusNotFound)
	inward, err := client.Webhooks.New(ctx, webhooks.WebhookNewParams{Name: "nobody", URL: "http://127.0.0.1:1/", EventTypes: []string{"batch.completed"}})
	check(t, err)
	_, err = client.Webhooks.Test(ctx, inward.ID, webhooks.WebhookTestParams{EventType: webhooks.WebhookTestParamsEventTypeBatchCompleted})
	if told := apiError(t, err, http.StatusBadRequest); told.Code != "endpoint_unreachable" || strings.Contains(told.Message, "127.0.0.1") {
		t.Errorf("%s", told.RawJSON())
	}
}
