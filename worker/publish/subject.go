package publish

import (
	"cmp"
	"fmt"
	"strings"

	"tidegate/jobs"
)

// StreamName is the JetStream stream that holds every event.
const StreamName = "TIDEGATE"

// StreamSubjects lists what the stream listens to: all events, and nothing else below
// tidegate.v1, since the stream answers who sends it something.
func StreamSubjects() []string {
	return []string{
		"tidegate.v1.*.results.*.*.*", "tidegate.v1.*.batches.*.*", "tidegate.v1.circuits.*.*", "tidegate.v1.routes.*.*",
		"tidegate.v1.budgets.tenant.*.*", "tidegate.v1.budgets.route.*.*", "tidegate.v1.budgets.batch.*.*",
	}
}

// everything is what streams of earlier versions listen to.
const everything = "tidegate.v1.>"

// DoorSubject is where requests are sent that are to be enqueued; the star is the
// tenant.
const DoorSubject = "tidegate.v1.*.enqueue"

// ResultSubject is where a result goes.
func ResultSubject(tenant, route, batchID, requestID string) string {
	return jobs.ResultSubject(tenant, route, batchID, requestID)
}

// ResultFilter is the subject that the results of a tenant, a route and a batch
// match; what is empty matches all.
func ResultFilter(tenant, route, batchID string) string {
	const any = "*"
	return fmt.Sprintf("tidegate.v1.%s.results.%s.%s.*", cmp.Or(tenant, any), cmp.Or(route, any), cmp.Or(batchID, any))
}

// BatchSubject is where a batch goes that reached a state.
func BatchSubject(tenant, batchID string, state jobs.BatchState) string {
	return fmt.Sprintf("tidegate.v1.%s.batches.%s.%s", tenant, batchID, state)
}

// CircuitSubject is where a circuit goes that opened or closed.
func CircuitSubject(target string, state jobs.CircuitState) string {
	return fmt.Sprintf("tidegate.v1.circuits.%s.%s", target, state)
}

// RouteSubject is where a route goes that was paused or resumed.
func RouteSubject(route string, state RouteState) string {
	return fmt.Sprintf("tidegate.v1.routes.%s.%s", route, state)
}

// Filters for all events of a kind. A tenant may have the name of a kind: what they
// match then is told apart by its length.
const (
	CircuitFilter = "tidegate.v1.circuits.*.*"
	BudgetFilter  = "tidegate.v1.budgets.*.*.*"
)

// BatchFilter is the subject that the events of a tenant's batch match; an empty batch
// matches all.
func BatchFilter(tenant, batchID string) string {
	return fmt.Sprintf("tidegate.v1.%s.batches.%s.*", tenant, cmp.Or(batchID, "*"))
}

// RouteFilter is the subject that the events of a route match; an empty one matches
// all.
func RouteFilter(route string) string {
	return fmt.Sprintf("tidegate.v1.routes.%s.*", cmp.Or(route, "*"))
}

// overlap tells whether some subject matches both of two patterns.
func overlap(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		if as[i] == ">" || bs[i] == ">" {
			return true
		}
		if as[i] != bs[i] && as[i] != "*" && bs[i] != "*" {
			return false
		}
	}
	return len(as) == len(bs)
}
