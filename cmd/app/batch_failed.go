package app

import (
	"fmt"
	"strings"

	"tidegate/jobs"
)

// faultsShown is how many faults of a file a message names.
const faultsShown = 3

// batchFailed says why a batch has no results and never will have; nil: it may have
// some.
func batchFailed(b *jobs.Batch) error {
	if b.State != jobs.BatchFailed || b.Order == nil {
		return nil
	}
	var said []string
	for i, fault := range b.Order.Faults {
		if i == faultsShown {
			said = append(said, fmt.Sprintf("and %d more", len(b.Order.Faults)-i))
			break
		}
		said = append(said, faultText(fault))
	}
	return fmt.Errorf("batch %s has failed, and none of its lines was enqueued: %s", b.ID, strings.Join(said, "; "))
}

// faultText is a fault as an error of a line is written elsewhere.
func faultText(f jobs.BatchFault) string {
	text := f.Message
	if f.Param != "" {
		text = f.Param + ": " + text
	}
	if f.Line > 0 {
		text = fmt.Sprintf("line %d: %s", f.Line, text)
	}
	return text
}
