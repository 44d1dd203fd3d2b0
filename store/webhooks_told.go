package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

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
	trialState = `/* tidegate: trial of a webhook */
SELECT state::text, coalesce(errors[array_upper(errors, 1)] ->> 'error', ''), coalesce((metadata #>> '{output,status}')::int, 0) FROM tidegate.river_job WHERE id = $1`
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
	Over   bool
	Fault  string // empty, and it is over: the event arrived
	Status int    // that was answered; zero: nothing was
}

// Trial reads what became of a job of TryWebhook.
func (s *Store) Trial(ctx context.Context, job int64) (trial Trial, err error) {
	var state string
	err = s.pool.QueryRow(ctx, trialState, job).Scan(&state, &trial.Fault, &trial.Status)
	if errors.Is(err, pgx.ErrNoRows) { // River removes it a day after
		err = ErrNotFound
	}
	if err != nil {
		return trial, fmt.Errorf("reading what became of a try: %w", err)
	}
	switch state {
	case "completed", "discarded", "cancelled":
		trial.Over = true
		return trial, nil
	default:
		return Trial{}, nil
	}
}
