package app

import (
	"fmt"
	"math"
	"time"

	"tidegate/routing/replay"
)

// metricWords are the metrics as people read them.
var metricWords = map[replay.Metric]string{
	replay.Success: "answered", replay.Mean: "completion, mean", replay.P50: "completion, p50", replay.P95: "completion, p95", replay.P99: "completion, p99",
	replay.Cost: "cost of 1,000 requests", replay.Calls: "calls for a request", replay.Reroutes: "re-routed of 1,000", replay.Waited: "waited, mean",
	replay.WaitedLong: "waited over 1 s", replay.DeadlinesMet: "deadlines met", replay.Tripped: "circuits opened a week",
}

// shownMetrics are those that people are shown, in order: what failed is what was not
// answered.
func shownMetrics() (shown []replay.Metric) {
	for _, m := range replay.Metrics() {
		if metricWords[m] != "" {
			shown = append(shown, m)
		}
	}
	return shown
}

// metricText is a figure of a metric, with its unit.
func metricText(m replay.Metric, x float64) string {
	switch m {
	case replay.Success, replay.Failure, replay.WaitedLong, replay.DeadlinesMet:
		return percentText(x)
	case replay.Mean, replay.P50, replay.P95, replay.P99, replay.Waited:
		return secondsText(x)
	case replay.Cost:
		return usdText(x)
	case replay.Calls:
		return fmt.Sprintf("%.3f", x)
	default:
		return fmt.Sprintf("%.1f", x)
	}
}

// changeText is how far a figure is from another one.
func changeText(m replay.Metric, x float64) string {
	switch {
	case m.Relative():
		return fmt.Sprintf("%+.1f%%", 100*x)
	case m == replay.Success || m == replay.WaitedLong || m == replay.DeadlinesMet:
		return fmt.Sprintf("%+.2f points", 100*x)
	case m == replay.Waited && math.Abs(x) < 1:
		return fmt.Sprintf("%+.0f ms", 1000*x)
	case m == replay.Waited:
		return fmt.Sprintf("%+.1f s", x)
	default:
		return fmt.Sprintf("%+.1f", x)
	}
}

// percentText is a share. What is not all, and not nothing, is not rounded to it.
func percentText(x float64) string {
	switch {
	case x > 0.9999 && x < 1:
		return fmt.Sprintf("%.4f%%", math.Min(100*x, 99.9999))
	case x > 0 && x < 0.0001:
		return fmt.Sprintf("%.4f%%", math.Max(100*x, 0.0001))
	}
	return fmt.Sprintf("%.2f%%", 100*x)
}

func secondsText(x float64) string {
	switch {
	case x < 1:
		return fmt.Sprintf("%.0f ms", 1000*x)
	case x < 10:
		return fmt.Sprintf("%.2f s", x)
	case x < 120:
		return fmt.Sprintf("%.1f s", x)
	}
	return time.Duration(x * float64(time.Second)).Round(time.Second).String()
}

// usdText is an amount that may be small.
func usdText(x float64) string {
	if x != 0 && math.Abs(x) < 1 {
		return fmt.Sprintf("$%.4f", x)
	}
	return fmt.Sprintf("$%.2f", x)
}

// rangeText is an estimate, with between what it may well be.
func rangeText(m replay.Metric, r replay.Range) string {
	return fmt.Sprintf("%s (%s to %s)", metricText(m, r.At), metricText(m, r.Low), metricText(m, r.High))
}
