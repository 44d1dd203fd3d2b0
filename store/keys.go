package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// A key in full is "tg_", 16 hexadecimal digits that name it, "_", and 43 letters that
// are its secret: 256 random bits.
const (
	keyPrefix      = "tg_"
	keyIDBytes     = 8
	keySecretBytes = 32
)

const insertKey = `/* tidegate: insert key */
INSERT INTO tidegate.keys (id, tenant, name, hash, scopes, expires_at) VALUES ($1, $2, $3, $4, $5, $6) RETURNING created_at`

// CreateKey makes a key as it is given but for its id and times, and returns it in
// full beside: that is shown once, and nobody can find it again.
func (s *Store) CreateKey(ctx context.Context, key jobs.Key) (jobs.Key, string, error) {
	random := make([]byte, keyIDBytes+keySecretBytes)
	_, _ = rand.Read(random) // never fails
	key.ID = hex.EncodeToString(random[:keyIDBytes])
	secret := base64.RawURLEncoding.EncodeToString(random[keyIDBytes:])
	hash := sha256.Sum256([]byte(secret))
	scopes := make([]string, len(key.Scopes))
	for i, scope := range key.Scopes {
		scopes[i] = string(scope)
	}
	if err := s.pool.QueryRow(ctx, insertKey, key.ID, key.Tenant, key.Name, hash[:], scopes, orNullTime(key.ExpiresAt)).Scan(&key.CreatedAt); err != nil {
		return jobs.Key{}, "", fmt.Errorf("creating a key: %w", err)
	}
	return key, keyPrefix + key.ID + "_" + secret, nil
}

const (
	keyFields = `id, tenant, name, scopes, created_at, expires_at, revoked_at, used_at`
	goodKey   = `/* tidegate: good key */
SELECT ` + keyFields + `, hash FROM tidegate.keys WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())`
	useKey = `/* tidegate: use key */
UPDATE tidegate.keys SET used_at = now() WHERE id = $1 AND (used_at IS NULL OR used_at < now() - interval '1 minute')`
	listKeys  = `/* tidegate: keys */ SELECT ` + keyFields + `, hash FROM tidegate.keys WHERE $1 = '' OR tenant = $1 ORDER BY created_at, id`
	revokeKey = `/* tidegate: revoke key */ UPDATE tidegate.keys SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1`
	haveKeys  = `/* tidegate: have keys */ SELECT EXISTS (SELECT FROM tidegate.keys)`
)

// Unlock finds the key that is given in full. It returns ErrNotFound unless there is
// such a key, and it is good; how long it takes says nothing of its secret.
func (s *Store) Unlock(ctx context.Context, whole string) (jobs.Key, error) {
	id, secret, found := strings.Cut(strings.TrimPrefix(whole, keyPrefix), "_")
	if !found || !strings.HasPrefix(whole, keyPrefix) || len(id) != 2*keyIDBytes || strings.Trim(id, "0123456789abcdef") != "" {
		return jobs.Key{}, ErrNotFound
	}
	var hash []byte
	key, err := scanKey(s.pool.QueryRow(ctx, goodKey, id), &hash)
	if errors.Is(err, pgx.ErrNoRows) {
		return jobs.Key{}, ErrNotFound
	}
	if err != nil {
		return jobs.Key{}, fmt.Errorf("reading a key: %w", err)
	}
	given := sha256.Sum256([]byte(secret))
	if subtle.ConstantTimeCompare(given[:], hash) != 1 {
		return jobs.Key{}, ErrNotFound
	}
	if _, err := s.pool.Exec(ctx, useKey, id); err != nil {
		return jobs.Key{}, fmt.Errorf("reading a key: %w", err)
	}
	return key, nil
}

func scanKey(row pgx.Row, hash *[]byte) (jobs.Key, error) {
	var k jobs.Key
	var scopes []string
	var expires, revoked, used *time.Time
	err := row.Scan(&k.ID, &k.Tenant, &k.Name, &scopes, &k.CreatedAt, &expires, &revoked, &used, hash)
	for _, scope := range scopes {
		k.Scopes = append(k.Scopes, jobs.KeyScope(scope))
	}
	k.ExpiresAt, k.RevokedAt, k.UsedAt = orZero(expires), orZero(revoked), orZero(used)
	return k, err
}

// Keys lists the keys of a tenant, revoked ones too; empty: of all.
func (s *Store) Keys(ctx context.Context, tenant string) ([]jobs.Key, error) {
	rows, err := s.pool.Query(ctx, listKeys, tenant)
	if err != nil {
		return nil, fmt.Errorf("listing keys: %w", err)
	}
	keys, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (jobs.Key, error) {
		var hash []byte
		return scanKey(row, &hash)
	})
	if err != nil {
		return nil, fmt.Errorf("listing keys: %w", err)
	}
	return keys, nil
}

// RevokeKey has a key let nobody in any more. It returns ErrNotFound if there is none.
func (s *Store) RevokeKey(ctx context.Context, id string) error {
	done, err := s.pool.Exec(ctx, revokeKey, id)
	if err == nil && done.RowsAffected() == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("revoking key %s: %w", id, err)
	}
	return nil
}

// HasKeys tells whether a key was ever made: from then on nobody comes in without.
func (s *Store) HasKeys(ctx context.Context) (has bool, err error) {
	if err := s.pool.QueryRow(ctx, haveKeys).Scan(&has); err != nil {
		return false, fmt.Errorf("looking for keys: %w", err)
	}
	return has, nil
}
