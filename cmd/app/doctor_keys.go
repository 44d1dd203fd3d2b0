package app

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/jobs"
	"tidegate/store"
)

const (
	// keyEndsSoon is when the end of a key is near, and keyUnused how long one is not
	// used that nobody seems to need.
	keyEndsSoon = 7 * 24 * time.Hour
	keyUnused   = 90 * 24 * time.Hour
)

// checkKeys looks who may come in over HTTP: keys that let nobody in, or soon will
// not, those that nobody uses, and none where others are to come in.
func (e *examination) checkKeys(ctx context.Context, pool *pgxpool.Pool) {
	const about = "keys"
	keys, err := store.New(pool).Keys(ctx, "")
	switch {
	case err != nil:
		e.wrong(about, "the user needs to read the schema tidegate", "%v", err)
		return
	case len(keys) > 0:
		e.judgeKeys(about, keys, time.Now())
	case exposed(e.config.Listen):
		e.wrong(about, "make one with `tidegate keys create --tenant NAME`, or have `listen:` be 127.0.0.1:8080",
			"there is none, and %s lets other machines in: `tidegate serve` refuses to start", e.config.Listen)
	default:
		e.ok(about, "there is none: who comes from the server's own machine is let in, and nobody else")
	}
}

// judgeKeys says of each key what is not as it should be.
func (e *examination) judgeKeys(about string, keys []jobs.Key, now time.Time) {
	good, revoked, odd := 0, 0, 0
	for i := range keys {
		k := &keys[i]
		if !k.RevokedAt.IsZero() { // as somebody wanted it
			revoked++
			continue
		}
		remedy, found := keyFault(k, now)
		if found != "" {
			odd++
			e.warn(about, remedy, "%s %s", nameKey(k), found)
		}
		if k.ExpiresAt.IsZero() || now.Before(k.ExpiresAt) {
			good++
		}
	}
	switch {
	case good == 0:
		e.warn(about, "make one with `tidegate keys create --tenant NAME`", "none of %s is good, %d of them revoked: nobody is let in over HTTP", counted(len(keys), "key"), revoked)
	case odd == 0:
		e.ok(about, "%s good, %d revoked", together(good, "key", "is", "are"), revoked)
	}
}

// keyFault is what is found of a key that is not revoked; empty: nothing.
func keyFault(k *jobs.Key, now time.Time) (remedy, found string) {
	again := fmt.Sprintf("make another with `tidegate keys create --tenant %s`, and then `tidegate keys revoke %s`", k.Tenant, k.ID)
	leave := fmt.Sprintf("if nobody needs it: `tidegate keys revoke %s`", k.ID)
	used := k.UsedAt
	if used.IsZero() {
		used = k.CreatedAt
	}
	switch {
	case k.ExpiresAt.IsZero():
	case !now.Before(k.ExpiresAt):
		return again, "expired on " + k.ExpiresAt.UTC().Format(time.DateOnly) + ", and lets nobody in"
	case k.ExpiresAt.Sub(now) < keyEndsSoon:
		return again, "expires on " + k.ExpiresAt.UTC().Format(time.DateTime+"Z")
	}
	switch {
	case now.Sub(used) < keyUnused:
		return "", ""
	case k.UsedAt.IsZero():
		return leave, "was made on " + k.CreatedAt.UTC().Format(time.DateOnly) + ", and never used"
	default:
		return leave, "was last used on " + k.UsedAt.UTC().Format(time.DateOnly)
	}
}

// nameKey is a key as people know it.
func nameKey(k *jobs.Key) string {
	if k.Name == "" {
		return fmt.Sprintf("%s of %s", k.ID, k.Tenant)
	}
	return fmt.Sprintf("%s of %s (%s)", k.ID, k.Tenant, k.Name)
}
