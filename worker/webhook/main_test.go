package webhook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/store"
	"tidegate/worker/webhook"
)

func TestMain(m *testing.M) { fixture.Main(m) }

// A taken is a request as a receiver had it.
type taken struct {
	header http.Header
	body   string
}

// A receiver takes events, and answers as the test says.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	events []taken
	answer http.HandlerFunc // nil: 204
}

func newReceiver(t *testing.T, start func(http.Handler) *httptest.Server) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = start(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		r.events = append(r.events, taken{req.Header, string(body)})
		answer := r.answer
		r.mu.Unlock()
		if answer == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		answer(w, req)
	}))
	t.Cleanup(func() {
		r.CloseClientConnections()
		r.Close()
	})
	return r
}

func (r *receiver) answers(with http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = with
}

func (r *receiver) all() []taken {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]taken(nil), r.events...)
}

// A site is a database with one webhook, and a courier.
type site struct {
	*store.Store
	t       *testing.T
	hook    jobs.Webhook
	secret  jobs.Secret
	courier *webhook.Courier
}

func newSite(t *testing.T, at string, private bool, config webhook.Config) *site {
	t.Helper()
	pool, err := store.Connect(t.Context(), fixture.Database(t), 3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s := &site{Store: store.New(pool), t: t}
	s.hook, s.secret, err = s.CreateWebhook(t.Context(), jobs.Webhook{Tenant: "acme", URL: jobs.Secret(at), Events: jobs.WebhookEvents(), Private: private}, store.Once{})
	if err != nil {
		t.Fatal(err)
	}
	config.Store, config.UserAgent = s.Store, "tidegate/test"
	s.courier = webhook.New(config)
	t.Cleanup(s.courier.Close)
	return s
}

func (s *site) args() *jobs.WebhookArgs {
	return &jobs.WebhookArgs{Webhook: s.hook.ID, Event: "evt_1", Type: jobs.WebhookBatchCompleted, Batch: "batch_1", At: 1700000000}
}

func (s *site) deliver(last bool) error {
	_, err := s.courier.Deliver(context.Background(), s.args(), last)
	return err
}

func (s *site) state() jobs.Webhook {
	s.t.Helper()
	hook, _, err := s.Webhook(context.Background(), s.hook.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	return hook
}

// signature is what Standard Webhooks says it must be, worked out anew.
func (s *site) signature(e taken) string {
	s.t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s.secret.Reveal(), "whsec_"))
	if err != nil {
		s.t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(strings.Join([]string{e.header.Get("webhook-id"), e.header.Get("webhook-timestamp"), e.body}, ".")))
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
