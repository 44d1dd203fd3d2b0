package webhook

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tidegate/jobs"
	"tidegate/store"
)

const (
	// answerWithin is how long a receiver has to answer.
	answerWithin = 10 * time.Second
	// noteWithin is how long Postgres has to take what became of a try.
	noteWithin = 5 * time.Second
	// mostAnswer is how much of an answer is read, so that its connection can be used
	// again. Nothing of it is looked at.
	mostAnswer = 64 << 10
)

// A Store has webhooks, and notes how they do. It is safe for concurrent use.
type Store interface {
	// Webhook reads a webhook, and the secrets that sign what it is told.
	Webhook(ctx context.Context, id string) (jobs.Webhook, [][]byte, error)
	WebhookDelivered(ctx context.Context, id string) error
	WebhookFailed(ctx context.Context, id, fault string, last bool) error
	WebhookGone(ctx context.Context, id, fault string) error
}

// Config is what a Courier is made of.
type Config struct {
	Store     Store
	UserAgent string
	// Private lets every webhook lead into private networks, beside those that may by
	// themselves.
	Private bool
	Within  time.Duration    // that a receiver has to answer; zero: 10 s
	Now     func() time.Time // nil: time.Now
}

// A Courier brings events to webhooks. Make one with New; it is safe for concurrent
// use.
type Courier struct {
	config  Config
	public  *http.Client // https, to the public internet alone
	private *http.Client // https, into private networks too
	plain   *http.Client // http, into private networks alone
}

// New returns a Courier.
func New(config Config) *Courier {
	config.Within = cmp.Or(config.Within, answerWithin)
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Courier{config: config, public: newClient("https", false), private: newClient("https", true), plain: newClient("http", true)}
}

// Close closes the connections that nobody uses.
func (c *Courier) Close() {
	for _, client := range []*http.Client{c.public, c.private, c.plain} {
		client.CloseIdleConnections()
	}
}

// Deliver tries once to tell a webhook of an event; last tells that there is no other
// try. A *jobs.DeliveryError says that it did not arrive, and is to be tried again.
// jobs.ErrWebhookGone says that its receiver is no more, and that it was disabled. Without an error it arrived, or there
// is nobody to tell any more. Any other error is none of the webhook's, and counts as no
// try. The status is what was answered; zero: nothing was.
func (c *Courier) Deliver(ctx context.Context, args *jobs.WebhookArgs, last bool) (status int, err error) {
	hook, secrets, err := c.config.Store.Webhook(ctx, args.Webhook)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return 0, nil
	case err != nil:
		return 0, err
	case !hook.DisabledAt.IsZero() && !args.Test:
		return 0, nil
	}
	status, failed := c.post(ctx, &hook, secrets, args)
	if ctx.Err() != nil { // we stop, and whether it arrived is not known
		return 0, context.Cause(ctx)
	}
	if args.Test {
		return status, orNil(failed)
	}
	return status, c.note(ctx, &hook, failed, last)
}

// note writes down what became of a try, and returns what Deliver says of it.
func (c *Courier) note(ctx context.Context, hook *jobs.Webhook, failed *jobs.DeliveryError, last bool) (err error) {
	noting, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteWithin)
	defer cancel()
	switch {
	case failed == nil:
		err = c.config.Store.WebhookDelivered(noting, hook.ID)
	case failed.Status == http.StatusGone:
		if err = c.config.Store.WebhookGone(noting, hook.ID, failed.Reason+", which says that it is no more"); err == nil {
			err = jobs.ErrWebhookGone
		}
	default:
		err = c.config.Store.WebhookFailed(noting, hook.ID, failed.Reason, last)
	}
	if failed == nil { // what is not noted is less than a second delivery
		return nil
	}
	return cmp.Or(err, orNil(failed))
}

func orNil(failed *jobs.DeliveryError) error {
	if failed == nil {
		return nil
	}
	return failed
}

// clientFor is the client of a webhook, or why it may not be sent anything.
func (c *Courier) clientFor(hook *jobs.Webhook) (*http.Client, error) {
	private := hook.Private || c.config.Private
	if err := jobs.CheckWebhookURL(hook.URL.Reveal(), private); err != nil {
		return nil, err
	}
	switch {
	case strings.HasPrefix(hook.URL.Reveal(), "http://"):
		return c.plain, nil
	case private:
		return c.private, nil
	default:
		return c.public, nil
	}
}

// post sends an event once.
func (c *Courier) post(ctx context.Context, hook *jobs.Webhook, secrets [][]byte, args *jobs.WebhookArgs) (int, *jobs.DeliveryError) {
	client, err := c.clientFor(hook)
	if err != nil {
		return 0, &jobs.DeliveryError{Reason: "not tried: it " + err.Error()}
	}
	limited, cancel := context.WithTimeout(ctx, c.config.Within)
	defer cancel()
	body := args.Payload()
	request, err := http.NewRequestWithContext(limited, http.MethodPost, hook.URL.Reveal(), bytes.NewReader(body))
	if err != nil {
		return 0, &jobs.DeliveryError{Reason: "not tried: its URL cannot be read"}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", c.config.UserAgent)
	sign(request.Header, secrets, args.Event, c.config.Now(), body)
	response, err := client.Do(request)
	if err != nil {
		return 0, &jobs.DeliveryError{Reason: faultOf(err)}
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, mostAnswer)) // the status says it all
	status := response.StatusCode
	if status < 200 || status > 299 {
		return status, &jobs.DeliveryError{Status: status, Reason: reasonOf(status), After: c.after(response)}
	}
	return status, nil
}

func reasonOf(status int) string {
	if status >= 300 && status < 400 {
		return fmt.Sprintf("answered %d, and redirects are not followed", status)
	}
	return fmt.Sprintf("answered %d", status)
}

// after is how long a receiver asks to be let alone that has too much to do.
func (c *Courier) after(response *http.Response) time.Duration {
	if response.StatusCode != http.StatusTooManyRequests && response.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	said := response.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(said); err == nil {
		return min(time.Duration(max(seconds, 0)), mostAfter/time.Second) * time.Second
	}
	if at, err := http.ParseTime(said); err == nil {
		return min(max(at.Sub(c.config.Now()), 0), mostAfter)
	}
	return 0
}
