package routing

import "tidegate/jobs"

// paceShareOf is what of a target's rate is a worker's, as the fleet has it.
func paceShareOf(fleet *jobs.Fleet, worker, target string) paceShare {
	demand := map[string]int{worker: 0}
	share := paceShare{LastGood: fleet.LastGood[target]}
	for i := range fleet.Peers {
		peer := &fleet.Peers[i]
		if peer.Dead {
			continue
		}
		demand[peer.Worker] = peer.Demand[target]
		share.Announced = max(share.Announced, peer.Announced[target])
	}
	share.Workers = len(demand)
	share.Share = sharesOf(demand)[worker]
	return share
}
