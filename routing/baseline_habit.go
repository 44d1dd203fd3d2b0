package routing

import "math"

const (
	// lately is how many answers are the last ones.
	lately = 32
	// leastLately is how few of them are judged, after a change.
	leastLately = 16
	// learned is how many answers make a habit.
	learned = 100
	// remembered is how many of them it rests on at most.
	remembered = 500

	// shareEvidence is how unlikely a share must be to be a change, as the negative
	// natural logarithm, and shareStep how much more it must be than it was.
	shareEvidence = 16
	shareStep     = 0.25
	// numberEvidence is how many standard errors a mean must be off.
	numberEvidence = 6
	// otherQuestions is how many of them the questions may be off.
	otherQuestions = 2.5
	// outlier is how many deviations of one answer count at most.
	outlier = 3
)

// numberSteps is by how much the mean of a number must be off to be a change: half
// as many tokens again, a sixth of the answer, and four times the speed: that depends on
// how busy a provider is, and we.
var numberSteps = map[signal]float64{signalLength: 0.405, signalEcho: 0.15, signalSpeed: 1.386}

// leastSpread is what answers of a target may differ by at least.
var leastSpread = map[signal]float64{signalLength: 0.1, signalEcho: 0.03, signalSpeed: 0.1, signalQuestion: 0.05}

// habitOfShare is how often something is so: of many answers, and of the last ones.
type habitOfShare struct {
	n      int     // answers in the slow memory, at most remembered
	slow   float64 // the share among them
	last   uint32  // a bit for each of the last answers, the latest lowest
	filled int     // of these bits
	frozen bool
}

func (h *habitOfShare) push(is bool) {
	if h.filled == lately {
		h.learn(h.last>>(lately-1) == 1)
	} else {
		h.filled++
	}
	h.last <<= 1
	if is {
		h.last |= 1
	}
}

func (h *habitOfShare) learn(is bool) {
	if h.frozen {
		return
	}
	h.n = min(h.n+1, remembered)
	x := 0.0
	if is {
		x = 1
	}
	h.slow += (x - h.slow) / float64(h.n)
}

// now is the share among the last answers.
func (h *habitOfShare) now() float64 {
	n := 0
	for last := h.last; last != 0; last &= last - 1 {
		n++
	}
	return float64(n) / float64(max(h.filled, 1))
}

// usual is the share that the habit may well be: what was seen, and what few answers
// do not tell.
func (h *habitOfShare) usual() float64 {
	n := float64(max(h.n, 1))
	return min(h.slow+2*math.Sqrt(h.slow*(1-h.slow)/n)+2/n, 1)
}

// changed tells whether the last answers are bad more often than by chance: the
// chance of as many is below e to the power of minus shareEvidence (Chernoff).
func (h *habitOfShare) changed() bool {
	if h.n < learned || h.filled < leastLately || h.last == 0 {
		return false
	}
	usual, now := h.usual(), h.now()
	if now < usual+shareStep {
		return false
	}
	return float64(h.filled)*divergence(now, usual) >= shareEvidence
}

// divergence is that of Kullback and Leibler, of a share from another one.
func divergence(p, q float64) float64 {
	d := 0.0
	if p > 0 {
		d += p * math.Log(p/q)
	}
	if p < 1 {
		d += (1 - p) * math.Log((1-p)/(1-q))
	}
	return d
}

func (h *habitOfShare) forget() { h.last, h.filled = 0, 0 }

// habitOfNumber is what a number is like: of many answers, and of the last ones.
type habitOfNumber struct {
	slow           int // answers in the slow memory, at most remembered
	mean, variance float64
	last           [lately]float32
	at, filled     int
	frozen         bool
}

func (h *habitOfNumber) push(x float64) {
	if h.filled == lately {
		h.learn(float64(h.last[h.at]))
	} else {
		h.filled++
	}
	h.last[h.at] = float32(x)
	h.at = (h.at + 1) % lately
}

func (h *habitOfNumber) learn(x float64) {
	if h.frozen {
		return
	}
	h.slow = min(h.slow+1, remembered)
	weight := 1 / float64(h.slow)
	off := x - h.mean
	h.mean += weight * off
	h.variance = (1 - weight) * (h.variance + weight*off*off)
}

// now is the mean of the last answers.
func (h *habitOfNumber) now() float64 {
	sum := 0.0
	for i := range h.filled {
		sum += float64(h.last[(h.at-1-i+lately)%lately])
	}
	return sum / float64(max(h.filled, 1))
}

func (h *habitOfNumber) spread(s signal) float64 {
	return max(math.Sqrt(h.variance), leastSpread[s])
}

// score is how many standard errors the last answers are off, outliers cut.
func (h *habitOfNumber) score(s signal) float64 {
	spread, sum := h.spread(s), 0.0
	for i := range h.filled {
		sum += min(max((float64(h.last[(h.at-1-i+lately)%lately])-h.mean)/spread, -outlier), outlier)
	}
	n := float64(max(h.filled, 1))
	return sum / math.Sqrt(n) / math.Sqrt(1+n/float64(max(h.slow, 1)))
}

// changed tells whether the last answers are others than by chance, and by how much
// it takes to matter. That a target has learned to say more in the words of the
// question is no harm.
func (h *habitOfNumber) changed(s signal) bool {
	if h.slow < learned || h.filled < leastLately {
		return false
	}
	off := h.now() - h.mean
	if math.Abs(off) < numberSteps[s] || s == signalEcho && off > 0 {
		return false
	}
	return math.Abs(h.score(s)) >= numberEvidence
}

func (h *habitOfNumber) forget() { h.at, h.filled = 0, 0 }
