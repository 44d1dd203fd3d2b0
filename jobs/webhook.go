package jobs

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A WebhookEvent is what a webhook is told of, in the words of the OpenAI API.
type WebhookEvent string

// The events: a batch has come to its final state.
const (
	WebhookBatchCompleted WebhookEvent = "batch.completed"
	WebhookBatchFailed    WebhookEvent = "batch.failed"
	WebhookBatchExpired   WebhookEvent = "batch.expired"
	WebhookBatchCancelled WebhookEvent = "batch.cancelled"
)

// WebhookEvents lists every event.
func WebhookEvents() []WebhookEvent {
	return []WebhookEvent{WebhookBatchCompleted, WebhookBatchFailed, WebhookBatchExpired, WebhookBatchCancelled}
}

// A Webhook is a URL that is told of the ends of its tenant's batches. The secret
// that signs what it is told is no part of it.
type Webhook struct {
	ID     string // "we_" and a UUID version 7 without hyphens
	Tenant string
	Name   string // what people call it
	// URL is where events go. Its query may hold a credential: show Where instead.
	URL    Secret
	Events []WebhookEvent
	// Private tells that it may lead into a private network, or to this machine.
	Private   bool
	CreatedAt time.Time
	UpdatedAt time.Time // when it, or its secret, was last changed

	DisabledAt  time.Time // zero: it is told
	DisabledWhy string

	DeliveredAt  time.Time // about when the last event arrived; zero: none did
	FailedAt     time.Time // the last try that failed; zero: none did
	FailingSince time.Time // the first try that failed since an event arrived; zero: none did
	GaveUpAt     time.Time // when the last event was given up since one arrived; zero: none was
	Fault        string    // of the last try that failed
}

// A WebhookState is how a webhook stands.
type WebhookState string

// The states of a webhook.
const (
	WebhookGood     WebhookState = "good"
	WebhookRetrying WebhookState = "retrying" // the last try failed, and is repeated
	WebhookFailing  WebhookState = "failing"  // an event was given up, and none has arrived since
	WebhookDisabled WebhookState = "disabled" // it is told nothing
)

// State says how it stands.
func (w *Webhook) State() WebhookState {
	switch {
	case !w.DisabledAt.IsZero():
		return WebhookDisabled
	case !w.GaveUpAt.IsZero():
		return WebhookFailing
	case !w.FailingSince.IsZero():
		return WebhookRetrying
	default:
		return WebhookGood
	}
}

// maxWebhookName bounds what people call a webhook, in bytes.
const maxWebhookName = 128

// Validate says which field is wrong, and what would be right. It does not quote the
// URL.
func (w *Webhook) Validate() error {
	if err := CheckName(w.Tenant); err != nil {
		return fmt.Errorf("tenant: %w", err)
	}
	if len(w.Name) > maxWebhookName || strings.ContainsFunc(w.Name, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }) {
		return fmt.Errorf("name: must be one line of at most %d bytes", maxWebhookName)
	}
	if err := CheckWebhookURL(w.URL.Reveal(), w.Private); err != nil {
		return fmt.Errorf("url: %w", err)
	}
	return CheckWebhookEvents(w.Events)
}

// CheckWebhookEvents says what is wrong with a choice of events.
func CheckWebhookEvents(events []WebhookEvent) error {
	if len(events) == 0 {
		return fmt.Errorf("events: name at least one of %s", joinEvents())
	}
	for i, event := range events {
		if !slices.Contains(WebhookEvents(), event) {
			return fmt.Errorf("events: there is no event %.80q; there are %s", string(event), joinEvents())
		}
		if slices.Contains(events[:i], event) {
			return fmt.Errorf("events: %s is named twice", event)
		}
	}
	return nil
}

func joinEvents() string {
	names := make([]string, 0, len(WebhookEvents()))
	for _, event := range WebhookEvents() {
		names = append(names, string(event))
	}
	return strings.Join(names, ", ")
}

const (
	// WebhookQueue is the River queue of what webhooks are told. No route may have
	// this name.
	WebhookQueue = "tidegate-webhooks"
	// WebhookKind names its jobs for River.
	WebhookKind = "webhook"
)

// WebhookArgs are the arguments of the River job that tells a webhook of one event.
// Migrations insert such jobs.
type WebhookArgs struct {
	Webhook string       `json:"w"`
	Event   string       `json:"e"` // its id, the same at each try
	Type    WebhookEvent `json:"t"`
	Batch   string       `json:"b"`
	At      int64        `json:"at"`          // when the batch ended, in seconds since 1970
	Test    bool         `json:"x,omitempty"` // a person tries the webhook: nothing is noted of it
}

// Kind names the job for River.
func (WebhookArgs) Kind() string { return WebhookKind }

// Payload is what the webhook is sent.
func (a *WebhookArgs) Payload() []byte {
	type data struct {
		ID string `json:"id"`
	}
	payload, _ := json.Marshal(struct { // strings and a number
		ID        string       `json:"id"`
		Object    string       `json:"object"`
		CreatedAt int64        `json:"created_at"`
		Type      WebhookEvent `json:"type"`
		Data      data         `json:"data"`
	}{a.Event, "event", a.At, a.Type, data{a.Batch}})
	return payload
}

// A DeliveryError says that an event did not arrive. It says nothing of what was
// answered but the status, and nothing of where that was.
type DeliveryError struct {
	Status int           // that was answered; zero: nothing was
	Reason string        // as in "answered 500"
	After  time.Duration // before which it asked not to be tried again; zero: it asked nothing
}

// ErrWebhookGone says that a receiver is no more, by its own word.
var ErrWebhookGone = errors.New("the receiver of the webhook is no more")

// Error says why.
func (e *DeliveryError) Error() string { return e.Reason }
