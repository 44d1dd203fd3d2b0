package store

import (
	"context"
	"crypto/rand"
	"encoding/base64"
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

// MaxWebhooks is how many webhooks a tenant may have: each end of a batch is a job for
// each of them.
const MaxWebhooks = 100

// ErrWebhooksFull says that a tenant has as many webhooks as it may.
var ErrWebhooksFull = fmt.Errorf("the tenant has %d webhooks already; remove one", MaxWebhooks)

const (
	// lockHooks has those wait for each other who make webhooks of one tenant.
	lockHooks     = `/* tidegate: lock webhooks */ SELECT pg_advisory_xact_lock(hashtextextended('tidegate.webhooks ' || $1, 0))`
	countWebhooks = `/* tidegate: count webhooks */ SELECT count(*) FROM tidegate.webhooks WHERE tenant = $1`
	insertWebhook = `/* tidegate: insert webhook */
INSERT INTO tidegate.webhooks (id, tenant, name, url, secret, events, private) VALUES ($1, $2, $3, $4, $5, $6, $7)`
)

// CreateWebhook makes a webhook as it is given but for its id and times, and returns
// the secret that signs what it is told beside: that is shown once. A repeated call gets
// what the first one made. ErrWebhooksFull says that its tenant has too many.
func (s *Store) CreateWebhook(ctx context.Context, hook jobs.Webhook, once Once) (jobs.Webhook, jobs.Secret, error) {
	id := uuid.Must(uuid.NewV7()) // fails only if the system has no randomness
	made, secret := fmt.Sprintf("we_%x", id[:]), newWebhookSecret()
	err := Transact(ctx, s.pool, func(tx pgx.Tx) (err error) {
		made, err = once.Do(ctx, tx, hook.Tenant, func() (string, error) {
			if _, err := tx.Exec(ctx, lockHooks, hook.Tenant); err != nil {
				return "", err
			}
			var there int
			if err := tx.QueryRow(ctx, countWebhooks, hook.Tenant).Scan(&there); err != nil {
				return "", err
			}
			if there >= MaxWebhooks {
				return "", ErrWebhooksFull
			}
			_, err := tx.Exec(ctx, insertWebhook, made, hook.Tenant, hook.Name, hook.URL.Reveal(), secret, hook.Events, hook.Private)
			return made, err
		})
		return err
	})
	if err != nil {
		return jobs.Webhook{}, "", fmt.Errorf("creating a webhook: %w", err)
	}
	hook, secrets, err := s.Webhook(ctx, made)
	if err != nil {
		return jobs.Webhook{}, "", err
	}
	return hook, shownSecret(secrets[0]), nil
}

func newWebhookSecret() []byte {
	secret := make([]byte, webhookSecretBytes)
	_, _ = rand.Read(secret) // never fails
	return secret
}

func shownSecret(secret []byte) jobs.Secret {
	return jobs.Secret(webhookSecretPrefix + base64.StdEncoding.EncodeToString(secret))
}

const (
	webhookFields = `id, tenant, name, url, events, private, created_at, updated_at, disabled_at, disabled_why, delivered_at, failed_at, failing_since, gave_up_at, fault`
	listWebhooks  = `/* tidegate: webhooks */ SELECT ` + webhookFields + ` FROM tidegate.webhooks WHERE $1 = '' OR tenant = $1 ORDER BY tenant, id`
	pageWebhooks  = `/* tidegate: webhooks of a tenant */ SELECT ` + webhookFields + ` FROM tidegate.webhooks WHERE tenant = $1`
	webhookByID   = `/* tidegate: webhook */
SELECT ` + webhookFields + `, secret, CASE WHEN old_until > now() THEN old_secret END FROM tidegate.webhooks WHERE id = $1`
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
	return s.webhooks(ctx, listWebhooks, tenant)
}

// WebhooksOf lists a page of a tenant's webhooks.
func (s *Store) WebhooksOf(ctx context.Context, tenant string, page Page) ([]jobs.Webhook, error) {
	return s.webhooks(ctx, pageWebhooks+page.within(), tenant, page.After, page.Limit)
}

func (s *Store) webhooks(ctx context.Context, query string, args ...any) ([]jobs.Webhook, error) {
	rows, err := s.pool.Query(ctx, query, args...)
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

// Webhook reads one webhook, and the secrets that sign what it is told, the newest
// first. It returns ErrNotFound if there is none.
func (s *Store) Webhook(ctx context.Context, id string) (hook jobs.Webhook, secrets [][]byte, err error) {
	var secret, old []byte
	fields, fill := webhookRow(&hook, &secret, &old)
	if err := s.pool.QueryRow(ctx, webhookByID, id).Scan(fields...); err != nil {
		return jobs.Webhook{}, nil, fmt.Errorf("reading webhook %s: %w", id, noRows(err))
	}
	fill()
	if secrets = [][]byte{secret}; old != nil {
		secrets = append(secrets, old)
	}
	return hook, secrets, nil
}

const (
	removeWebhook = `/* tidegate: remove webhook */ DELETE FROM tidegate.webhooks WHERE id = $1 AND ($2 = '' OR tenant = $2)`
	enableWebhook = `/* tidegate: enable webhook */
UPDATE tidegate.webhooks SET disabled_at = NULL, disabled_why = NULL, failing_since = NULL, gave_up_at = NULL, fault = NULL, updated_at = now()
WHERE id = $1`
	changeWebhook = `/* tidegate: change webhook */
UPDATE tidegate.webhooks SET name = $3, url = $4, events = $5, private = $6,
	updated_at = CASE WHEN (name, url, events) IS DISTINCT FROM ($3, $4, $5) THEN now() ELSE updated_at END
WHERE id = $1 AND ($2 = '' OR tenant = $2)`
	rotateWebhook = `/* tidegate: rotate webhook */
UPDATE tidegate.webhooks SET old_secret = CASE WHEN $4::interval > '0' THEN secret END, old_until = CASE WHEN $4::interval > '0' THEN now() + $4::interval END,
	secret = $3, updated_at = now()
WHERE id = $1 AND ($2 = '' OR tenant = $2)`
)

// ChangeWebhook writes the name, the URL, the events of a webhook, and where it may lead.
// It returns ErrNotFound if its tenant has none with this id.
func (s *Store) ChangeWebhook(ctx context.Context, hook *jobs.Webhook) error {
	return s.onWebhook(ctx, "changing", changeWebhook, hook.ID, hook.Tenant, hook.Name, hook.URL.Reveal(), hook.Events, hook.Private)
}

// RotateWebhook gives a webhook of a tenant, or of any where that is empty, another
// secret, and returns it: it is shown this once. The one of before signs beside it for
// as long as keep says. It returns ErrNotFound if there is none.
func (s *Store) RotateWebhook(ctx context.Context, id, tenant string, keep time.Duration) (jobs.Secret, error) {
	secret := newWebhookSecret()
	return shownSecret(secret), s.onWebhook(ctx, "giving another secret to", rotateWebhook, id, tenant, secret, keep)
}

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
