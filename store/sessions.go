package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// sessionBytes are the random bytes of a session.
const sessionBytes = 32

const (
	openSession = `/* tidegate: open session */ INSERT INTO tidegate.sessions (hash, key_id, expires_at) VALUES ($1, $2, now() + $3::interval)`
	sessionKey  = `/* tidegate: session key */
SELECT ` + keyFields + `, k.hash FROM tidegate.keys k WHERE k.id = (SELECT key_id FROM tidegate.sessions WHERE hash = $1 AND expires_at > now())
	AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())`
	closeSession = `/* tidegate: close session */ DELETE FROM tidegate.sessions WHERE hash = $1`
)

// OpenSession begins a session of a key, which lasts for a time at most, and returns the
// words that it is known by: Postgres keeps a hash of them.
func (s *Store) OpenSession(ctx context.Context, key jobs.Key, lasts time.Duration) (string, error) {
	random := make([]byte, sessionBytes)
	_, _ = rand.Read(random) // never fails
	token := base64.RawURLEncoding.EncodeToString(random)
	if _, err := s.pool.Exec(ctx, openSession, hashOf(token), key.ID, lasts); err != nil {
		return "", fmt.Errorf("opening a session: %w", err)
	}
	return token, nil
}

// Session finds the key of a session. It returns ErrNotFound unless there is such a
// session, and it and its key are good.
func (s *Store) Session(ctx context.Context, token string) (jobs.Key, error) {
	var hash []byte
	key, err := scanKey(s.pool.QueryRow(ctx, sessionKey, hashOf(token)), &hash)
	if errors.Is(err, pgx.ErrNoRows) {
		return jobs.Key{}, ErrNotFound
	}
	if err != nil {
		return jobs.Key{}, fmt.Errorf("reading a session: %w", err)
	}
	return key, nil
}

// CloseSession ends a session, if there is one.
func (s *Store) CloseSession(ctx context.Context, token string) error {
	if _, err := s.pool.Exec(ctx, closeSession, hashOf(token)); err != nil {
		return fmt.Errorf("closing a session: %w", err)
	}
	return nil
}

func hashOf(token string) []byte {
	hash := sha256.Sum256([]byte(token))
	return hash[:]
}
