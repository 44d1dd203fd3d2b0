package app

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"tidegate/store"
)

// waitingShown bounds the tenants that status shows to a person, of all routes.
const waitingShown = 20

// waitingView is what waits of a tenant on a route with fair admission.
type waitingView struct {
	Tenant   string    `json:"tenant"`
	Requests int       `json:"requests"`
	Why      string    `json:"why,omitempty"` // empty: for its turn
	Until    time.Time `json:"until,omitzero"`
	More     bool      `json:"more,omitempty"` // there are more: where very many wait, not all are counted
}

func viewWaiting(s *store.Status, route string) []waitingView {
	views := []waitingView{} // in JSON a list, also when it is empty
	for _, w := range s.Waiting {
		if w.Route == route {
			views = append(views, waitingView{Tenant: w.Tenant, Requests: w.Requests, Why: w.Reason, Until: w.Until, More: w.More})
		}
	}
	return views
}

// writeWaiting writes a table of the tenants that wait, those with the most first,
// if there are any.
func writeWaiting(w io.Writer, now time.Time, routes []routeView) {
	shown, left := 0, 0
	for _, route := range routes {
		for _, one := range route.WaitingBy {
			if shown == waitingShown {
				left++
				continue
			}
			if shown == 0 {
				fmt.Fprintln(w, "\nWAITING ON\tTENANT\tREQUESTS\tUNTIL\tWHY")
			}
			shown++
			more := ""
			if one.More {
				more = " or more"
			}
			fmt.Fprintf(w, "%s\t%s\t%d%s\t%s\t%s\n", route.Route, one.Tenant, one.Requests, more, untilText(now, one.Until), cmp.Or(shorten(one.Why, 120), "-"))
		}
	}
	if left > 0 {
		fmt.Fprintf(w, "%d more are in --json\n", left)
	}
}

// forGood is how far off a time is that stands for none: somebody has to act before.
const forGood = 300 * 24 * time.Hour

// untilText says until when somebody waits at the latest.
func untilText(now, until time.Time) string {
	switch left := max(until.Sub(now), 0).Round(time.Second); {
	case until.IsZero():
		return "its turn"
	case left > forGood:
		return "that changes"
	default:
		return "in " + left.String()
	}
}
