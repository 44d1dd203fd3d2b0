package jobs

import (
	"cmp"
	"fmt"
)

// ResultSubject is where the result of a request comes on NATS; batchID is empty where
// it has none.
func ResultSubject(tenant, route, batchID, requestID string) string {
	return fmt.Sprintf("tidegate.v1.%s.results.%s.%s.%s", tenant, route, cmp.Or(batchID, "-"), requestID)
}
