package app

import "testing"

// River has two connections for each route, however many there are, and leaves
// the others to the batches that came as files and the rest of the worker.
func TestWorkerConnsGrowWithTheRoutes(t *testing.T) {
	t.Parallel()
	for routes, want := range map[int]int{1: 24, 5: 32, 40: 102} {
		if got := workerConns(routes); got != want {
			t.Errorf("%d routes: %d connections, not %d", routes, got, want)
		}
	}
}
