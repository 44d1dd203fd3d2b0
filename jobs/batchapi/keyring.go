package batchapi

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"tidegate/jobs"
	"tidegate/store"
)

const (
	// keyLasts is how long a key that was good is taken for good: a key that is
	// revoked lets nobody in after that.
	keyLasts = 3 * time.Second
	// looksWithin is how long Postgres may take to say who may come in, and what there is
	// to choose from.
	looksWithin = 5 * time.Second
	// mostKeys bounds how many are remembered.
	mostKeys = 10_000
)

// A keyring lets in who has a key. As long as no key was ever made, it lets in who
// comes from this machine, and nobody else. Safe for concurrent use.
type keyring struct {
	store *store.Store
	now   func() time.Time

	mu    sync.Mutex
	good  map[string]goodKey // by the key in full
	open  bool               // there is no key
	asked time.Time          // when that was last looked up
}

type goodKey struct {
	key   jobs.Key
	until time.Time
}

func newKeyring(from *store.Store, now func() time.Time) *keyring {
	return &keyring{store: from, now: now, good: map[string]goodKey{}}
}

// everything is what whoever comes from this machine may do while there is no key.
var everything = jobs.Key{Tenant: jobs.DefaultTenant, Scopes: jobs.KeyScopes()}

// admit finds the key of a request, if it is good for a scope.
func (k *keyring) admit(r *http.Request, scope jobs.KeyScope) (jobs.Key, error) {
	ctx, cancel := context.WithTimeout(r.Context(), looksWithin)
	defer cancel()
	open, err := k.isOpen(ctx)
	switch {
	case err != nil:
		return jobs.Key{}, err
	case open:
		return everything, checkLocal(r)
	}
	if len(r.Header.Values("Authorization")) > 1 {
		return jobs.Key{}, unauthorized("invalid_api_key", "Authorization: stands more than once; whose request it is must be clear to everybody on its way")
	}
	given, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !found {
		return jobs.Key{}, unauthorized("missing_api_key", "no API key: send it as Authorization: Bearer tg_…; `tidegate keys create` makes one")
	}
	key, err := k.unlock(ctx, strings.TrimSpace(given))
	if errors.Is(err, store.ErrNotFound) {
		return jobs.Key{}, unauthorized("invalid_api_key", "the API key is not known, or no longer good")
	}
	if err != nil {
		return jobs.Key{}, err
	}
	if !slices.Contains(key.Scopes, scope) {
		return jobs.Key{}, &apiError{
			status: http.StatusForbidden, kind: invalidRequest, code: "insufficient_scope",
			message: "the API key " + key.ID + " lacks the scope " + string(scope) + ", which this needs",
		}
	}
	return key, nil
}

func unauthorized(code, message string) *apiError {
	return &apiError{status: http.StatusUnauthorized, kind: "authentication_error", code: code, message: message, header: http.Header{"Www-Authenticate": {"Bearer"}}}
}

func (k *keyring) unlock(ctx context.Context, whole string) (jobs.Key, error) {
	now := k.now()
	k.mu.Lock()
	known, ok := k.good[whole]
	k.mu.Unlock()
	if ok && now.Before(known.until) {
		return known.key, nil
	}
	key, err := k.store.Unlock(ctx, whole)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		delete(k.good, whole)
		return jobs.Key{}, err
	}
	if len(k.good) >= mostKeys {
		clear(k.good)
	}
	k.good[whole] = goodKey{key, now.Add(keyLasts)}
	return key, nil
}

// isOpen tells whether there is no key. Once there was one, there always is.
func (k *keyring) isOpen(ctx context.Context) (bool, error) {
	now := k.now()
	k.mu.Lock()
	fresh := !k.asked.IsZero() && (!k.open || now.Before(k.asked.Add(keyLasts)))
	open := k.open
	k.mu.Unlock()
	if fresh {
		return open, nil
	}
	has, err := k.store.HasKeys(ctx)
	if err != nil {
		return false, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.open, k.asked = !has, now
	return k.open, nil
}

// checkLocal refuses what does not come from this machine, as far as a request tells:
// what came through a proxy here, and what a page of another site has a browser here ask
// for.
func checkLocal(r *http.Request) error {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return unauthorized("missing_api_key", "without API keys only this machine is let in; `tidegate keys create` makes one")
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return unauthorized("missing_api_key", "without API keys nobody is let in through a proxy: it comes from this machine, and who is behind it does not")
		}
	}
	named := r.Host
	if only, _, err := net.SplitHostPort(named); err == nil {
		named = only
	}
	if ip := net.ParseIP(strings.Trim(named, "[]")); named != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return unauthorized("missing_api_key", "without API keys the server answers as localhost only")
	}
	if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host {
		return unauthorized("missing_api_key", "without API keys no page of another site is let in")
	}
	return nil
}
