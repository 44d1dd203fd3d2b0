package main

import (
	"testing"

	"tidegate/jobs"
)

func BenchmarkWorld(b *testing.B) {
	days := syntheticDays(2, 1)
	for b.Loop() {
		newWorld(&days[0], load{requests: 2000, share: 0.9, within: 24 * slot * 4}, jobs.WhenOpenPrice, "ordered", 1).run()
	}
}
