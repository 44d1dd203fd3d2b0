package batchapi

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"tidegate/jobs"
	"tidegate/store"
)

const (
	defaultHooks = 20
	mostHooks    = 100
	// oldSecretLives is how long a secret that was replaced signs, if it is to.
	oldSecretLives = 24 * time.Hour
	// trialWithin is how long a worker has to send what somebody tries a webhook with.
	trialWithin = 20 * time.Second
	trialEvery  = 100 * time.Millisecond
)

// webhookRoutes are the webhooks of a tenant, as the OpenAI API has its endpoints.
func (s *Server) webhookRoutes() []route {
	return []route{
		{"POST /v1/webhook_endpoints", jobs.ScopeAdmin, s.createWebhook},
		{"GET /v1/webhook_endpoints", jobs.ScopeAdmin, s.listWebhooks},
		{"GET /v1/webhook_endpoints/{id}", jobs.ScopeAdmin, s.getWebhook},
		{"POST /v1/webhook_endpoints/{id}", jobs.ScopeAdmin, s.changeWebhook},
		{"DELETE /v1/webhook_endpoints/{id}", jobs.ScopeAdmin, s.removeWebhook},
		{"POST /v1/webhook_endpoints/{id}/rotate_secret", jobs.ScopeAdmin, s.rotateWebhook},
		{"POST /v1/webhook_endpoints/{id}/test", jobs.ScopeAdmin, s.testWebhook},
		{"GET /v1/webhook_event_types", jobs.ScopeAdmin, s.listEventTypes},
	}
}

// A webhookView is a webhook as it is shown: without its secret, and without the query
// of its URL.
type webhookView struct {
	ID         string              `json:"id"`
	Object     string              `json:"object"`
	CreatedAt  int64               `json:"created_at"`
	UpdatedAt  int64               `json:"updated_at"`
	Name       string              `json:"name"`
	URL        string              `json:"url"`
	EventTypes []jobs.WebhookEvent `json:"event_types"`
	Secret     string              `json:"signing_secret,omitempty"` // when it is made alone
	Hint       string              `json:"signing_secret_hint"`
	// What the OpenAI API does not say.
	Status        jobs.WebhookState `json:"status"`
	StatusReason  *string           `json:"status_reason"`
	LastDelivered *int64            `json:"last_delivered_at"`
	FailingSince  *int64            `json:"failing_since"`
}

const hiddenSecret = "whsec_…"

func viewWebhook(h *jobs.Webhook) webhookView {
	view := webhookView{
		ID: h.ID, Object: "webhook_endpoint", CreatedAt: h.CreatedAt.Unix(), UpdatedAt: h.UpdatedAt.Unix(), Name: h.Name, URL: h.Where(), EventTypes: h.Events,
		Hint: hiddenSecret, Status: h.State(), LastDelivered: seconds(h.DeliveredAt), FailingSince: seconds(h.FailingSince),
	}
	switch view.Status {
	case jobs.WebhookGood:
	case jobs.WebhookDisabled:
		view.StatusReason = orNull(h.DisabledWhy)
	default:
		view.StatusReason = orNull(h.Fault)
	}
	return view
}

// A webhookOrder is the body of a request that makes or changes a webhook.
type webhookOrder struct {
	Name       *string              `json:"name"`
	URL        *string              `json:"url"`
	EventTypes *[]jobs.WebhookEvent `json:"event_types"`
}

// apply gives a webhook what is asked for. One that leads elsewhere by the word of a key
// leads where a key may have it lead, whatever a person allowed it before.
func (o *webhookOrder) apply(h *jobs.Webhook, private bool) error {
	if o.Name != nil {
		h.Name = *o.Name
	}
	if o.EventTypes != nil {
		h.Events = *o.EventTypes
	}
	allowed := true // what it was led to before is no question now
	if o.URL != nil && jobs.Secret(*o.URL) != h.URL {
		h.URL, h.Private, allowed = jobs.Secret(*o.URL), false, private
	}
	checked := *h
	checked.Private = allowed
	err := checked.Validate()
	if err == nil {
		return nil
	}
	field, rest, _ := strings.Cut(err.Error(), ": ")
	if field == "events" {
		field = "event_types"
	}
	return invalid(field, "invalid_value", "%s: %s", field, shownLong(rest))
}

func (s *Server) createWebhook(w http.ResponseWriter, r *http.Request) error {
	var order webhookOrder
	body, err := s.readOrder(r, &order)
	if err != nil {
		return err
	}
	for _, field := range []struct {
		name string
		none bool
	}{{"url", order.URL == nil}, {"event_types", order.EventTypes == nil}} {
		if field.none {
			return invalid(field.name, "missing_required_parameter", "Missing required parameter: '%s'.", field.name)
		}
	}
	hook := jobs.Webhook{Tenant: caller(r).Tenant} // without a URL: the one that is asked for is another
	if err := order.apply(&hook, s.config.PrivateWebhooks); err != nil {
		return err
	}
	once, err := onceOf(r, "webhook", body)
	if err != nil {
		return err
	}
	hook, secret, err := s.config.Store.CreateWebhook(r.Context(), hook, once)
	switch {
	case errors.Is(err, store.ErrWebhooksFull):
		return &apiError{status: http.StatusConflict, kind: invalidRequest, code: "too_many_webhook_endpoints", message: store.ErrWebhooksFull.Error()}
	case errors.Is(err, store.ErrNotFound): // the first one made it, and it was removed
		return &apiError{status: http.StatusConflict, kind: invalidRequest, code: "webhook_endpoint_removed", message: "the webhook that this request made was removed since"}
	case err != nil:
		return err
	}
	view := viewWebhook(&hook)
	view.Secret = secret.Reveal()
	writeJSON(w, http.StatusOK, view)
	return nil
}

// readOrder reads a body that is a JSON object.
func (s *Server) readOrder(r *http.Request, into any) ([]byte, error) {
	body, leave, err := s.readLarge(r, maxJSONBytes)
	defer leave()
	if err != nil {
		return nil, err
	}
	if len(body) == 0 {
		body = []byte("{}")
	}
	return body, decode(body, into)
}

func (s *Server) listWebhooks(w http.ResponseWriter, r *http.Request) error {
	page, err := readPage(r, defaultHooks, mostHooks)
	if err != nil {
		return err
	}
	limit := page.Limit
	page.Limit++
	hooks, err := s.config.Store.WebhooksOf(r.Context(), caller(r).Tenant, page)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, viewList(hooks, limit, viewWebhook, func(h *jobs.Webhook) string { return h.ID }))
	return nil
}

// webhook reads the webhook that the path of a request names, if it is the caller's.
func (s *Server) webhook(r *http.Request) (jobs.Webhook, error) {
	id, err := pathID(r, "WebhookEndpoint")
	if err != nil {
		return jobs.Webhook{}, err
	}
	hook, _, err := s.config.Store.Webhook(r.Context(), id)
	if err == nil && hook.Tenant != caller(r).Tenant {
		return jobs.Webhook{}, notFound("WebhookEndpoint", id)
	}
	return hook, found(err, "WebhookEndpoint", id)
}

func (s *Server) getWebhook(w http.ResponseWriter, r *http.Request) error {
	hook, err := s.webhook(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, viewWebhook(&hook))
	return nil
}

func (s *Server) changeWebhook(w http.ResponseWriter, r *http.Request) error {
	hook, err := s.webhook(r)
	if err != nil {
		return err
	}
	var order webhookOrder
	if _, err := s.readOrder(r, &order); err != nil {
		return err
	}
	if err := order.apply(&hook, s.config.PrivateWebhooks); err != nil {
		return err
	}
	if err := s.config.Store.ChangeWebhook(r.Context(), &hook); err != nil {
		return found(err, "WebhookEndpoint", hook.ID)
	}
	return s.getWebhook(w, r)
}

func (s *Server) removeWebhook(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "WebhookEndpoint")
	if err != nil {
		return err
	}
	if err := s.config.Store.RemoveWebhook(r.Context(), id, caller(r).Tenant); err != nil {
		return found(err, "WebhookEndpoint", id)
	}
	writeJSON(w, http.StatusOK, map[string]any{"id": id, "object": "webhook_endpoint.deleted", "deleted": true})
	return nil
}

func (s *Server) rotateWebhook(w http.ResponseWriter, r *http.Request) error {
	hook, err := s.webhook(r)
	if err != nil {
		return err
	}
	var order struct {
		Keep bool `json:"keep_old_secret_active_for_24_hours"`
	}
	if _, err := s.readOrder(r, &order); err != nil {
		return err
	}
	keep := time.Duration(0)
	if order.Keep {
		keep = oldSecretLives
	}
	secret, err := s.config.Store.RotateWebhook(r.Context(), hook.ID, hook.Tenant, keep)
	if err != nil {
		return found(err, "WebhookEndpoint", hook.ID)
	}
	if hook, err = s.webhook(r); err != nil {
		return err
	}
	view := viewWebhook(&hook)
	view.Secret = secret.Reveal()
	writeJSON(w, http.StatusOK, view)
	return nil
}

// testWebhook has a worker send one event, and waits for what comes of it.
func (s *Server) testWebhook(w http.ResponseWriter, r *http.Request) error {
	hook, err := s.webhook(r)
	if err != nil {
		return err
	}
	var order struct {
		Event jobs.WebhookEvent `json:"event_type"`
	}
	if _, err := s.readOrder(r, &order); err != nil {
		return err
	}
	if !slices.Contains(jobs.WebhookEvents(), order.Event) {
		return invalid("event_type", "invalid_value", "event_type: %s is none of %s", shown(string(order.Event)), joined(jobs.WebhookEvents()))
	}
	job, err := s.config.Store.TryWebhook(r.Context(), hook.ID, order.Event)
	if err != nil {
		return found(err, "WebhookEndpoint", hook.ID)
	}
	trial, err := s.awaitTrial(r.Context(), job)
	if err != nil {
		return err
	}
	if trial.Status == 0 {
		return invalid("url", "endpoint_unreachable", "the event did not arrive: %s", trial.Fault)
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"object": "webhook_endpoint.test", "webhook_endpoint_id": hook.ID, "event_type": order.Event, "status_code": trial.Status, "success": true,
	})
	return nil
}

func (s *Server) awaitTrial(ctx context.Context, job int64) (store.Trial, error) {
	over := time.NewTimer(trialWithin)
	defer over.Stop()
	ticker := time.NewTicker(trialEvery)
	defer ticker.Stop()
	for {
		trial, err := s.config.Store.Trial(ctx, job)
		if err != nil || trial.Over {
			return trial, err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return trial, ctx.Err()
		case <-over.C:
			return trial, &apiError{
				status: http.StatusServiceUnavailable, kind: serverError, code: "no_worker", header: http.Header{"X-Should-Retry": {"false"}},
				message: "no worker has sent the event in time: it is sent when one runs",
			}
		}
	}
}

func (s *Server) listEventTypes(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": jobs.WebhookEvents()})
	return nil
}

func joined(events []jobs.WebhookEvent) string {
	names := make([]string, len(events))
	for i, event := range events {
		names[i] = string(event)
	}
	return strings.Join(names, ", ")
}
