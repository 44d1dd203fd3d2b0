package batchapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tidegate/jobs"
	"tidegate/jobs/batchapi"
	"tidegate/store"
)

const hooks = "/v1/webhook_endpoints"

// A shownHook is a webhook as the API shows it.
type shownHook struct {
	ID, Object, Name, URL string
	EventTypes            []string `json:"event_types"`
	Secret                string   `json:"signing_secret"`
	Hint                  string   `json:"signing_secret_hint"`
	Status                string
	UpdatedAt             int64 `json:"updated_at"`
}

// What is wrong with a webhook is said with its field, and nothing of the URL is said
// again.
func TestWebhooksOverHTTPRefuse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct{ body, param, code string }{
		"nothing":              {`{}`, "url", "missing_required_parameter"},
		"no events":            {`{"url":"https://example.com/"}`, "event_types", "missing_required_parameter"},
		"no event":             {`{"url":"https://example.com/","event_types":[]}`, "event_types", "invalid_value"},
		"an event of others":   {`{"url":"https://example.com/","event_types":["response.completed"]}`, "event_types", "invalid_value"},
		"http":                 {`{"url":"http://example.com/s3cret","event_types":["batch.failed"]}`, "url", "invalid_value"},
		"this machine":         {`{"url":"https://127.0.0.1/s3cret","event_types":["batch.failed"]}`, "url", "invalid_value"},
		"this machine by name": {`{"url":"https://localhost/s3cret","event_types":["batch.failed"]}`, "url", "invalid_value"},
		"credentials of cloud": {`{"url":"https://169.254.169.254/s3cret","event_types":["batch.failed"]}`, "url", "invalid_value"},
		"a password":           {`{"url":"https://me:s3cret@example.com/","event_types":["batch.failed"]}`, "url", "invalid_value"},
		"a name":               {`{"url":"https://example.com/","event_types":["batch.failed"],"name":"a\nb"}`, "name", "invalid_value"},
		"a private network":    {`{"url":"https://example.com/","event_types":["batch.failed"],"private":true}`, "private", "unknown_parameter"},
		"a tenant":             {`{"url":"https://example.com/","event_types":["batch.failed"],"tenant":"umbrella"}`, "tenant", "unknown_parameter"},
	} {
		got := w.post(hooks, c.body)
		if _, _, param, code := got.fault(t); got.Status != http.StatusBadRequest || param != c.param || code != c.code || strings.Contains(got.Body, "s3cret") {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	if all, err := w.store.Webhooks(t.Context(), ""); err != nil || len(all) != 0 {
		t.Errorf("%d were made: %v", len(all), err)
	}
}

// A key may not lead a webhook into a private network that a person allowed to another
// URL of it.
func TestWebhookIsNotLedElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hook, _, err := w.store.CreateWebhook(t.Context(), jobs.Webhook{
		Tenant: jobs.DefaultTenant, URL: "http://10.0.0.7/done", Private: true, Events: jobs.WebhookEvents(),
	}, store.Once{})
	w.must(err)
	if got := decodeInto[shownHook](t, w.post(hooks+"/"+hook.ID, `{"name":"mine","event_types":["batch.expired"]}`), http.StatusOK); got.Name != "mine" || got.URL != "http://10.0.0.7/done" {
		t.Errorf("%+v", got)
	}
	if got := w.post(hooks+"/"+hook.ID, `{"url":"http://10.0.0.8/admin"}`); got.Status != http.StatusBadRequest {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	if now, _, err := w.store.Webhook(t.Context(), hook.ID); err != nil || !now.Private || now.URL != hook.URL {
		t.Errorf("%+v, %v", now, err)
	}
	got := decodeInto[shownHook](t, w.post(hooks+"/"+hook.ID, `{"url":"https://inside.example.com/?token=s3cret"}`), http.StatusOK)
	if now, _, err := w.store.Webhook(t.Context(), hook.ID); err != nil || now.Private || got.URL != "https://inside.example.com/?…" {
		t.Errorf("it may still lead inside: %+v, shown as %s, %v", now.Private, got.URL, err)
	}
}

// Where the operator allows it, keys may.
func TestPrivateWebhooksOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *batchapi.Config) { c.PrivateWebhooks = true })
	got := decodeInto[shownHook](t, w.post(hooks, `{"url":"http://10.0.0.7/","event_types":["batch.failed"]}`), http.StatusOK)
	if now, _, err := w.store.Webhook(t.Context(), got.ID); err != nil || now.Private { // by itself it may not
		t.Errorf("%+v, %v", now, err)
	}
	if got := w.post(hooks, `{"url":"http://169.254.169.254/","event_types":["batch.failed"]}`); got.Status != http.StatusBadRequest {
		t.Errorf("%d %s", got.Status, got.Body)
	}
}

// A repeated create makes one webhook, and shows its secret again; there is an end to
// how many there may be.
func TestWebhooksOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const order = `{"url":"https://example.com/","event_types":["batch.failed"],"name":"nightly"}`
	first := decodeInto[shownHook](t, w.post(hooks, order, "Idempotency-Key", "k"), http.StatusOK)
	again := decodeInto[shownHook](t, w.post(hooks, order, "Idempotency-Key", "k"), http.StatusOK)
	if first.ID != again.ID || first.Secret != again.Secret || !strings.HasPrefix(first.Secret, "whsec_") || strings.Contains(first.Hint, first.Secret[6:10]) {
		t.Errorf("%+v, then %+v", first, again)
	}
	if got := w.get(hooks + "/" + first.ID); got.Status != http.StatusOK || strings.Contains(got.Body, first.Secret) || strings.Contains(got.Body, `"signing_secret"`) {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	for range store.MaxWebhooks - 1 {
		_ = decodeInto[shownHook](t, w.post(hooks, order), http.StatusOK)
	}
	if got := w.post(hooks, order); got.Status != http.StatusConflict || !strings.Contains(got.Body, "too_many_webhook_endpoints") {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	for path := hooks + "?limit=40&order=asc"; ; {
		page := decodeInto[struct {
			Data    []shownHook
			LastID  string `json:"last_id"`
			HasMore bool   `json:"has_more"`
		}](t, w.get(path), http.StatusOK)
		if len(page.Data) == 0 || !page.HasMore {
			if len(page.Data) != store.MaxWebhooks%40 {
				t.Errorf("the last page has %d", len(page.Data))
			}
			break
		}
		path = hooks + "?limit=40&order=asc&after=" + page.LastID
	}
}

// Who steers nothing makes no webhooks, and sees none.
func TestWebhooksNeedAScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, submit, err := w.store.CreateKey(t.Context(), jobs.Key{Tenant: jobs.DefaultTenant, Scopes: []jobs.KeyScope{jobs.ScopeSubmit, jobs.ScopeRead}})
	w.must(err)
	for _, got := range []answer{w.post(hooks, "{}", "Authorization", "Bearer "+submit), w.get(hooks, "Authorization", "Bearer "+submit)} {
		if _, _, _, code := got.fault(t); got.Status != http.StatusForbidden || code != "insufficient_scope" {
			t.Errorf("%d %s", got.Status, got.Body)
		}
	}
}

// A secret that was replaced signs beside the new one only where it is to.
func TestWebhookSecretsOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := decodeInto[shownHook](t, w.post(hooks, `{"url":"https://example.com/","event_types":["batch.failed"]}`), http.StatusOK)
	for body, want := range map[string]int{`{"keep_old_secret_active_for_24_hours":true}`: 2, `{}`: 1, ``: 1} {
		got := decodeInto[shownHook](t, w.post(hooks+"/"+made.ID+"/rotate_secret", body), http.StatusOK)
		_, secrets, err := w.store.Webhook(t.Context(), made.ID)
		if err != nil || len(secrets) != want || got.Secret == made.Secret || got.Secret == "" {
			t.Errorf("%s: %d secrets sign, %v", body, len(secrets), err)
		}
	}
	if got := w.do(http.MethodDelete, hooks+"/"+made.ID, "", nil); got.Status != http.StatusOK || strings.TrimSpace(got.Body) != fmt.Sprintf(`{"deleted":true,"id":%q,"object":"webhook_endpoint.deleted"}`, made.ID) {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	if got := w.get(hooks + "/" + made.ID); got.Status != http.StatusNotFound {
		t.Errorf("%d %s", got.Status, got.Body)
	}
}
