package app

import (
	"strings"
	"time"

	"tidegate/cmd/app/config"
)

// reprice takes the configuration that is in effect once more, on the day from which
// the table has another price for one of its targets.
func (r *reloader) reprice(now time.Time) {
	if r.take == nil || r.next.IsZero() || now.Before(r.next) {
		return
	}
	var changed []string
	for i := range r.running.Targets {
		t := &r.running.Targets[i]
		was, is := r.running.Pricing(t, r.next.Add(-time.Nanosecond)), r.running.Pricing(t, now)
		if was.Price != is.Price {
			changed = append(changed, t.Name+": "+config.SayPrice(is.Price))
		}
	}
	r.next = r.running.NextPrice(now)
	r.take(r.running)
	r.log.Info().Strs("changed", changed).Msg("other prices hold from today: " + strings.Join(changed, "; "))
}
