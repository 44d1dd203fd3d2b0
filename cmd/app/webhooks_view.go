package app

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/jobs"
	"tidegate/store"
)

// A webhookView is a webhook as JSON shows it: without its secret, and without the
// query of its URL.
type webhookView struct {
	ID           string              `json:"id"`
	Tenant       string              `json:"tenant"`
	Name         string              `json:"name,omitempty"`
	URL          string              `json:"url"`
	Events       []jobs.WebhookEvent `json:"events"`
	AllowPrivate bool                `json:"allow_private"`
	State        jobs.WebhookState   `json:"state"`
	Why          string              `json:"why,omitempty"` // it is not good
	CreatedAt    time.Time           `json:"created_at"`
	DisabledAt   time.Time           `json:"disabled_at,omitzero"`
	DeliveredAt  time.Time           `json:"delivered_at,omitzero"`  // to 10 s
	FailingSince time.Time           `json:"failing_since,omitzero"` // no event has arrived since
	GaveUpAt     time.Time           `json:"gave_up_at,omitzero"`    // the last event that nobody tries any more
}

// createdWebhook is the one view that has the secret.
type createdWebhook struct {
	webhookView
	Secret string `json:"signing_secret"`
}

func viewWebhook(h *jobs.Webhook) webhookView {
	view := webhookView{
		ID: h.ID, Tenant: h.Tenant, Name: h.Name, URL: h.Where(), Events: h.Events, AllowPrivate: h.Private, State: h.State(), CreatedAt: h.CreatedAt,
		DisabledAt: h.DisabledAt, DeliveredAt: h.DeliveredAt, FailingSince: h.FailingSince, GaveUpAt: h.GaveUpAt,
	}
	switch view.State {
	case jobs.WebhookGood:
	case jobs.WebhookDisabled:
		view.Why = h.DisabledWhy
	default:
		view.Why = h.Fault
	}
	return view
}

func viewWebhooks(hooks []jobs.Webhook) []webhookView {
	views := make([]webhookView, len(hooks))
	for i := range hooks {
		views[i] = viewWebhook(&hooks[i])
	}
	return views
}

func writeWebhooks(w io.Writer, hooks []jobs.Webhook) error {
	if len(hooks) == 0 {
		fmt.Fprintln(w, "There is no webhook: `tidegate webhooks create URL` makes one.")
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "WEBHOOK\tTENANT\tSTATE\tURL\tLAST ARRIVED\tNAME\tWHY")
	for _, h := range viewWebhooks(hooks) {
		arrived := "never"
		if !h.DeliveredAt.IsZero() {
			arrived = h.DeliveredAt.UTC().Format(time.DateTime + "Z")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", h.ID, h.Tenant, h.State, visible(h.URL), arrived, cmp.Or(h.Name, "-"), cmp.Or(h.Why, "-"))
	}
	return table.Flush()
}

// checkWebhooks looks for webhooks that do not take what they are told.
func (e *examination) checkWebhooks(ctx context.Context, pool *pgxpool.Pool) {
	const about = "webhooks"
	hooks, err := store.New(pool).Webhooks(ctx, "")
	if err != nil {
		e.wrong(about, "the user needs to read the schema tidegate", "%v", err)
		return
	}
	bad := 0
	for _, h := range viewWebhooks(hooks) {
		switch h.State {
		case jobs.WebhookFailing:
			e.warn(about, "mend the receiver, and look with `tidegate webhooks test "+h.ID+"`; what was given up is not sent again",
				"%s of %s, %s: events were given up, the last one at %s: %s", h.ID, h.Tenant, h.URL, h.GaveUpAt.UTC().Format(time.DateTime+"Z"), h.Why)
		case jobs.WebhookDisabled:
			e.warn(about, "`tidegate webhooks enable "+h.ID+"` when its receiver is back, or `tidegate webhooks remove "+h.ID+"`",
				"%s of %s, %s: is disabled: %s", h.ID, h.Tenant, h.URL, h.Why)
		default:
			continue
		}
		bad++
	}
	if len(hooks) > 0 && bad == 0 {
		e.ok(about, "none of %s is failing or disabled", counted(len(hooks), "webhook"))
	}
}
