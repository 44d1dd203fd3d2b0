package bench

import "time"

// The schedule of DESIGN: the wait after a failed probe is a share of the outage
// so far, within bounds, give or take a tenth.
const (
	probeShare  = 0.05
	probeLeast  = time.Second
	probeMost   = time.Minute
	probeJitter = 0.1
)

// ProbeWait is the longest wait for the next probe after so long an outage.
func ProbeWait(outage time.Duration) time.Duration {
	return time.Duration((1 + probeJitter) * float64(probeWait(outage)))
}

func probeWait(outage time.Duration) time.Duration {
	return min(max(time.Duration(probeShare*float64(outage)), probeLeast), probeMost)
}

// MostProbes is how many probes one fleet makes within an outage that it noticed
// at once, if every wait is as short as it may be.
func MostProbes(outage time.Duration) (n int) {
	for at := probeLeast; at < outage; n++ {
		at += time.Duration((1 - probeJitter) * float64(probeWait(at)))
	}
	return n
}
