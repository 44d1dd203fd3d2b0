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
}

func viewWaiting(s *store.Status, route string) []waitingView {
	views := []waitingView{} // in JSON a list, also when it is empty
	for _, w := range s.Waiting {
		if w.Route == route {
			views = append(views, waitingView{Tenant: w.Tenant, Requests: w.Requests, Why: w.Reason, Until: w.Until})
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
			until := "its turn"
			if !one.Until.IsZero() {
				until = "in " + max(one.Until.Sub(now), 0).Round(time.Second).String()
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", route.Route, one.Tenant, one.Requests, until, cmp.Or(shorten(one.Why, 120), "-"))
		}
	}
	if left > 0 {
		fmt.Fprintf(w, "%d more are in --json\n", left)
	}
}
