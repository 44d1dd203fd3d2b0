package app

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
)

func TestDoctorJudgesKeys(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	ago := func(days int) time.Time { return now.AddDate(0, 0, -days) }
	key := func(change func(*jobs.Key)) jobs.Key {
		k := jobs.Key{ID: "5f0c", Tenant: "acme", CreatedAt: ago(200), UsedAt: ago(1)}
		change(&k)
		return k
	}
	good := key(func(*jobs.Key) {})
	const again, leave = "make another with `tidegate keys create --tenant acme`, and then `tidegate keys revoke 5f0c`", "if nobody needs it: `tidegate keys revoke 5f0c`"
	for name, c := range map[string]struct {
		keys []jobs.Key
		want []finding
	}{
		"good": {[]jobs.Key{good, key(func(k *jobs.Key) { k.RevokedAt = ago(3) }), key(func(k *jobs.Key) { k.ExpiresAt = ago(-30) })}, []finding{
			{"keys", levelOK, "2 keys are good, 1 revoked", ""},
		}},
		"expired": {[]jobs.Key{good, key(func(k *jobs.Key) { k.ExpiresAt, k.Name = now, "nightly" })}, []finding{
			{"keys", levelWarning, "5f0c of acme (nightly) expired on 2026-11-29, and lets nobody in", again},
		}},
		"soon": {[]jobs.Key{key(func(k *jobs.Key) { k.ExpiresAt = ago(-6) })}, []finding{
			{"keys", levelWarning, "5f0c of acme expires on 2026-12-05 12:00:00Z", again},
		}},
		"unused": {[]jobs.Key{key(func(k *jobs.Key) { k.UsedAt = time.Time{} }), key(func(k *jobs.Key) { k.UsedAt = ago(90) })}, []finding{
			{"keys", levelWarning, "5f0c of acme was made on 2026-05-13, and never used", leave},
			{"keys", levelWarning, "5f0c of acme was last used on 2026-08-31", leave},
		}},
		"new": {[]jobs.Key{key(func(k *jobs.Key) { k.UsedAt, k.CreatedAt = time.Time{}, ago(2) })}, []finding{
			{"keys", levelOK, "1 key is good, 0 revoked", ""},
		}},
		"none is good": {[]jobs.Key{key(func(k *jobs.Key) { k.RevokedAt = ago(3) }), key(func(k *jobs.Key) { k.ExpiresAt = ago(3) })}, []finding{
			{"keys", levelWarning, "5f0c of acme expired on 2026-11-26, and lets nobody in", again},
			{"keys", levelWarning, "none of 2 keys is good, 1 of them revoked: nobody is let in over HTTP", "make one with `tidegate keys create --tenant NAME`"},
		}},
	} {
		e := &examination{}
		e.judgeKeys("keys", c.keys, now)
		if diff := cmp.Diff(c.want, e.findings); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
