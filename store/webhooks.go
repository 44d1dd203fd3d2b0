package store

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

const (
	// webhookSecretPrefix and a number of random bytes in base64 are the secret of a
	// webhook, as Standard Webhooks has it.
	webhookSecretPrefix = "whsec_"
	webhookSecretBytes  = 32
)

const insertWebhook = `/* tidegate: insert webhook */
INSERT INTO tidegate.webhooks (id, tenant, name, url, secret, events, private) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING created_at, updated_at`

// CreateWebhook makes a webhook as it is given but for its id and times, and returns
// the secret that signs what it is told beside: that is shown once.
func (s *Store) CreateWebhook(ctx context.Context, hook jobs.Webhook) (jobs.Webhook, jobs.Secret, error) {
	id := uuid.Must(uuid.NewV7()) // fails only if the system has no randomness
	hook.ID = fmt.Sprintf("we_%x", id[:])
	secret := make([]byte, webhookSecretBytes)
	_, _ = rand.Read(secret) // never fails
	err := s.pool.QueryRow(ctx, insertWebhook, hook.ID, hook.Tenant, hook.Name, hook.URL.Reveal(), secret, hook.Events, hook.Private).Scan(&hook.CreatedAt, &hook.UpdatedAt)
	if err != nil {
		return jobs.Webhook{}, "", fmt.Errorf("creating a webhook: %w", err)
	}
	return hook, jobs.Secret(webhookSecretPrefix + base64.StdEncoding.EncodeToString(secret)), nil
}

const (
	webhookFields = `id, tenant, name, url, events, private, created_at, updated_at, disabled_at, disabled_why, delivered_at, failed_at, failing_since, gave_up_at, fault`
	listWebhooks  = `/* tidegate: webhooks */ SELECT ` + webhookFields + ` FROM tidegate.webhooks WHERE $1 = '' OR tenant = $1 ORDER BY tenant, id`
	webhookByID   = `/* tidegate: webhook */ SELECT ` + webhookFields + `, secret FROM tidegate.webhooks WHERE id = $1`
)

func webhookRow(h *jobs.Webhook, more ...any) (fields []any, fill func()) {
	var where string
	var disabled, delivered, failed, failing, gaveUp *time.Time
	var why, fault *string
	fields = append([]any{
		&h.ID, &h.Tenant, &h.Name, &where, &h.Events, &h.Private, &h.CreatedAt, &h.UpdatedAt,
		&disabled, &why, &delivered, &failed, &failing, &gaveUp, &fault,
	}, more...)
	return fields, func() {
		h.URL, h.DisabledAt, h.DisabledWhy = jobs.Secret(where), orZero(disabled), orZero(why)
		h.DeliveredAt, h.FailedAt, h.FailingSince, h.GaveUpAt, h.Fault = orZero(delivered), orZero(failed), orZero(failing), orZero(gaveUp), orZero(fault)
	}
}

// Webhooks lists the webhooks of a tenant, disabled ones too; empty: of all.
func (s *Store) Webhooks(ctx context.Context, tenant string) ([]jobs.Webhook, error) {
	rows, err := s.pool.Query(ctx, listWebhooks, tenant)
	if err != nil {
		return nil, fmt.Errorf("listing webhooks: %w", err)
	}
	hooks, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (hook jobs.Webhook, err error) {
		fields, fill := webhookRow(&hook)
		if err = row.Scan(fields...); err == nil {
			fill()
		}
		return hook, err
	})
	if err != nil {
		return nil, fmt.Errorf("listing webhooks: %w", err)
	}
	return hooks, nil
}

// Webhook reads one webhook, and the bytes that sign what it is told. It returns
// ErrNotFound if there is none.
func (s *Store) Webhook(ctx context.Context, id string) (hook jobs.Webhook, secret []byte, err error) {
	fields, fill := webhookRow(&hook, &secret)
	if err := s.pool.QueryRow(ctx, webhookByID, id).Scan(fields...); err != nil {
		return jobs.Webhook{}, nil, fmt.Errorf("reading webhook %s: %w", id, noRows(err))
	}
	fill()
	return hook, secret, nil
}

const (
	removeWebhook = `/* tidegate: remove webhook */ DELETE FROM tidegate.webhooks WHERE id = $1 AND ($2 = '' OR tenant = $2)`
	enableWebhook = `/* tidegate: enable webhook */
UPDATE tidegate.webhooks SET disabled_at = NULL, disabled_why = NULL, failing_since = NULL, gave_up_at = NULL, fault = NULL, updated_at = now()
WHERE id = $1`
)

// RemoveWebhook has a webhook of a tenant, or of any where that is empty, told nothing
// any more: what it is owed is given up. It returns ErrNotFound if there is none.
func (s *Store) RemoveWebhook(ctx context.Context, id, tenant string) error {
	return s.onWebhook(ctx, "removing", removeWebhook, id, tenant)
}

// EnableWebhook has a webhook be told again from now on, as if it were new. It returns
// ErrNotFound if there is none.
func (s *Store) EnableWebhook(ctx context.Context, id string) error {
	return s.onWebhook(ctx, "enabling", enableWebhook, id)
}

func (s *Store) onWebhook(ctx context.Context, doing, statement, id string, args ...any) error {
	done, err := s.pool.Exec(ctx, statement, append([]any{id}, args...)...)
	if err == nil && done.RowsAffected() == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("%s webhook %s: %w", doing, id, err)
	}
	return nil
}

// deliveredApart is how far apart two notes are that events arrived: a webhook that is
// well is one row, and not one row for each event.
const deliveredApart = 10 * time.Second

const (
	webhookDelivered = `/* tidegate: webhook delivered */
UPDATE tidegate.webhooks SET delivered_at = now(), failing_since = NULL, gave_up_at = NULL
WHERE id = $1 AND (failing_since IS NOT NULL OR gave_up_at IS NOT NULL OR delivered_at IS NULL OR delivered_at < now() - $2::interval)`
	webhookFailed = `/* tidegate: webhook failed */
UPDATE tidegate.webhooks SET failed_at = now(), failing_since = coalesce(failing_since, now()), fault = $2,
	gave_up_at = CASE WHEN $3 THEN now() ELSE gave_up_at END
WHERE id = $1`
	webhookGone = `/* tidegate: webhook gone */
UPDATE tidegate.webhooks SET failed_at = now(), fault = $2, disabled_at = coalesce(disabled_at, now()), disabled_why = coalesce(disabled_why, $2) WHERE id = $1`
)

// WebhookDelivered notes that an event arrived.
func (s *Store) WebhookDelivered(ctx context.Context, id string) error {
	return s.noteWebhook(ctx, webhookDelivered, id, deliveredApart)
}

// WebhookFailed notes that a try failed, and whether it was the event's last one.
func (s *Store) WebhookFailed(ctx context.Context, id, fault string, last bool) error {
	return s.noteWebhook(ctx, webhookFailed, id, fault, last)
}

// WebhookGone disables a webhook whose receiver said that it is no more.
func (s *Store) WebhookGone(ctx context.Context, id, fault string) error {
	return s.noteWebhook(ctx, webhookGone, id, fault)
}

// noteWebhook has nothing to note of a webhook that is gone.
func (s *Store) noteWebhook(ctx context.Context, statement string, args ...any) error {
	if _, err := s.pool.Exec(ctx, statement, args...); err != nil {
		return fmt.Errorf("noting how webhook %s does: %w", args[0], err)
	}
	return nil
}

const (
	insertTrial = `/* tidegate: try webhook */
WITH tried AS (
	INSERT INTO tidegate.river_job (args, kind, max_attempts, priority, queue, state, scheduled_at)
	SELECT jsonb_build_object('w', id, 'e', $2::text, 't', $3::text, 'b', 'batch_test', 'at', floor(extract(epoch FROM now()))::bigint, 'x', true),
		'` + jobs.WebhookKind + `', 1, 1, '` + jobs.WebhookQueue + `', 'available', now()
	FROM tidegate.webhooks WHERE id = $1
	RETURNING id
)
SELECT id, pg_notify('tidegate.river_insert', '{"queue":"` + jobs.WebhookQueue + `"}') IS NULL FROM tried`
	trialState = `/* tidegate: trial of a webhook */ SELECT state::text, coalesce(errors[array_upper(errors, 1)] ->> 'error', '') FROM tidegate.river_job WHERE id = $1`
)

// TryWebhook has a worker send a webhook one signed event of a batch that there is not,
// once, and returns the job of it. It returns ErrNotFound if there is no such webhook.
func (s *Store) TryWebhook(ctx context.Context, id string, event jobs.WebhookEvent) (job int64, err error) {
	made := uuid.Must(uuid.NewV7())
	var told bool
	if err := s.pool.QueryRow(ctx, insertTrial, id, fmt.Sprintf("evt_%x", made[:]), event).Scan(&job, &told); err != nil {
		return 0, fmt.Errorf("trying webhook %s: %w", id, noRows(err))
	}
	return job, nil
}

// A Trial is how a try of a webhook stands.
type Trial struct {
	Over  bool
	Fault string // empty, and it is over: the event arrived
}

// Trial reads what became of a job of TryWebhook.
func (s *Store) Trial(ctx context.Context, job int64) (trial Trial, err error) {
	var state string
	err = s.pool.QueryRow(ctx, trialState, job).Scan(&state, &trial.Fault)
	if errors.Is(err, pgx.ErrNoRows) { // River removes it a day after
		err = ErrNotFound
	}
	if err != nil {
		return trial, fmt.Errorf("reading what became of a try: %w", err)
	}
	switch state {
	case "completed":
		return Trial{Over: true}, nil
	case "discarded", "cancelled":
		trial.Over = true
		return trial, nil
	default:
		return Trial{}, nil
	}
}
