package worker

import "tidegate/jobs"

// fairly chooses whose requests go next, by start-time fair queueing. The clock of
// a route counts work, in tokens by weight. A tenant's next request starts where its
// last one reaches to, or now, whichever is later, and who starts first goes first:
//
//	clock ─────┬──────────────────────────────────────────>
//	  acme  ███████▒▒▒▒▒▒▒                weight 1, long prompts
//	  small    ██▒▒                       it begins now: its idle time is no credit
//	  umbra █████▒▒▒▒▒                    weight 2: the same work reaches half as far
//	           └ the clock stands where the last one began that was chosen
//
// So of tenants that have work all the time each gets its share of the tokens, but
// for one request of each, however many wait and however long they are. It ends where
// a tenant's turn would come of whom no more is known.
func fairly(heads jobs.Heads, atMost int, weight func(tenant string) float64) jobs.Admitted {
	chosen := jobs.Admitted{Clock: heads.Clock, Finish: map[string]float64{}}
	next := make([]int, len(heads.Tenants)) // of each: its next request
	for len(chosen.Requests) < atMost {
		first, start := -1, 0.0
		for i := range heads.Tenants {
			t := &heads.Tenants[i]
			if next[i] == len(t.Requests) && !t.More {
				continue
			}
			if at := max(t.Finish, chosen.Clock); first < 0 || at < start {
				first, start = i, at
			}
		}
		if first < 0 {
			break
		}
		t := &heads.Tenants[first]
		if next[first] == len(t.Requests) {
			break
		}
		request := t.Requests[next[first]]
		next[first]++
		chosen.Requests = append(chosen.Requests, request.RequestID)
		chosen.Clock, t.Finish = start, start+request.Work/weight(t.Tenant)
		chosen.Finish[t.Tenant] = t.Finish
	}
	return chosen
}
