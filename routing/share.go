package routing

import "tidegate/jobs"

// shareOf is what of a target's rate is a worker's, as the fleet has it.
func shareOf(fleet *jobs.Fleet, worker, target string) paceShare {
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

func sharesOf(demand map[string]int) map[string]float64 { // until merged
	out := map[string]float64{}
	for w := range demand {
		out[w] = 1 / float64(len(demand))
	}
	return out
}
