package app

import "testing"

// River has two connections for each route, however many there are, and leaves
// the others to the batches that came as files, the webhooks and the rest of the
// worker.
func TestWorkerConnsGrowWithTheRoutes(t *testing.T) {
	t.Parallel()
	for routes, want := range map[int]int{1: 28, 5: 36, 40: 106} {
		if got := workerConns(routes); got != want {
			t.Errorf("%d routes: %d connections, not %d", routes, got, want)
		}
	}
}
