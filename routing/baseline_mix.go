package routing

import "math"

// What is asked may change, and any target answers other requests in another way: that is
// a change of the mix, and of no target. So a change counts only if it shows among
// requests of the same kind, too.

const (
	// comparedWith is how many answers are kept to compare the last ones with.
	comparedWith = 256
	// frequent is how often a value of a feature stands among these at least for answers
	// to be compared with those that have it, too. Rarer values stand together, as long as
	// they are not more than so many times as many of late as before.
	frequent = 8
	rareMore = 2
	// rareMost is the part of the answers before of which as many must be rare ones for
	// one more to be no news.
	rareMost = 4
	// commonPart is the part of them that must have a value for it to count beside others.
	commonPart = 10
	// leastMatched is how many of the last answers must be comparable.
	leastMatched = 10
	// Within a kind a change has to show by so much evidence, and by so much of the step
	// that makes it one: some answers fewer tell of it.
	withinShares, withinNumbers = 8, 3.5
	withinStep                  = 0.7
	// ofAllKinds is as how many answers what is known of all counts for the spread of few.
	ofAllKinds = 4
)

// A heard answer is one that is kept: what was asked, and its signals.
type heard struct {
	kind   kind
	values [signals]float32 // NaN: not known
}

// heard is an answer as it is kept, of a target that answers with a family of models as
// a rule.
func (s *reply) heard(family string) heard {
	h := unheard(&s.kind)
	h.values[signalRefusal], h.values[signalGarbled] = bit(s.refuses), bit(s.garbled)
	h.values[signalLength] = float32(math.Log1p(float64(s.tokens)))
	if s.family != "" {
		h.values[signalStranger] = bit(family != "" && s.family != family)
	}
	if s.speed > 0 {
		h.values[signalSpeed] = float32(math.Log(s.speed))
	}
	if s.echo >= 0 {
		h.values[signalEcho] = float32(s.echo)
	}
	return h
}

// unheard is an answer of which nothing is known yet.
func unheard(asked *kind) heard {
	h := heard{kind: *asked}
	for s := range h.values {
		h.values[s] = float32(math.NaN())
	}
	return h
}

func bit(is bool) float32 {
	if is {
		return 1
	}
	return 0
}

// answers are those that a change is looked at by: the last ones, and others before
// them. Requires external locking.
type answers struct {
	last, past     []heard
	lastAt, pastAt int // the oldest of each
	frozen         bool
}

func (a *answers) push(h heard) {
	if len(a.last) < lately {
		a.last = append(a.last, h)
		return
	}
	if !a.frozen {
		a.learn(a.last[a.lastAt])
	}
	a.last[a.lastAt] = h
	a.lastAt = (a.lastAt + 1) % lately
}

func (a *answers) learn(h heard) {
	if len(a.past) < comparedWith {
		a.past = append(a.past, h)
		return
	}
	a.past[a.pastAt] = h
	a.pastAt = (a.pastAt + 1) % comparedWith
}

func (a *answers) forget() { a.last, a.lastAt = a.last[:0], 0 }

// stands tells whether a change of a signal shows by each feature of the requests, and by
// all together: the last answers are compared with those before that were asked alike.
// Who was not asked alike before says nothing. Another batch of the same prompts is no
// other kind; but where neither the beginning nor the end of a prompt is known, its batch
// is all that tells what it is.
func (a *answers) stands(s signal, up bool) bool {
	together := mix{answers: a, signal: s}
	for f := range features {
		one := mix{answers: a, signal: s}
		if one.by(f, &together.prompt); !one.stands(up) {
			return false
		}
		together.join(&one, f)
	}
	together.count()
	return together.stands(up)
}

// known tells whether answers to requests of a kind were heard before, so that one can
// be told from them. Where little was heard, nobody can say.
func (a *answers) known(k *kind) bool {
	if len(a.past) < learned {
		return true
	}
	for f := range features {
		if f == featureBatch {
			continue
		}
		one := mix{answers: a, signal: signalLength}
		if one.by(f, nil); one.of(k[f]).n < frequent && rareMost*one.rare.n < one.all.n {
			return false
		}
	}
	return true
}

// A mix is the kept answers by the values of a feature.
type mix struct {
	*answers
	signal signal
	values [mixedMost]uint32 // of each: those before, then the last ones
	prompt [mixedMost]bool   // its prompt begins or ends as those before did
	table  [2 * mixedMost]stratum
	rare   stratum
	all    stratum
}

// mixedMost is how many answers are kept at most.
const mixedMost = comparedWith + lately

// A stratum is what was heard before with one value, and how many of the last have it, of
// those of which the signal is known.
type stratum struct {
	value       uint32
	used        bool
	n, lately   int
	sum, square float64
}

// heard is a kept answer, and whether it is of the last ones.
func (m *mix) heard(i int) (h *heard, late bool) {
	if i < len(m.past) {
		return &m.past[i], false
	}
	return &m.last[i-len(m.past)], true
}

func (m *mix) n() int { return len(m.past) + len(m.last) }

// by takes the values of one feature: of the batch, only where the prompt is not known.
func (m *mix) by(f feature, known *[mixedMost]bool) {
	for i := range m.n() {
		if h, _ := m.heard(i); f != featureBatch || !known[i] {
			m.values[i] = h.kind[f]
		}
	}
	m.count()
}

// join adds the values of another feature to these, as far as many have them: others would
// take apart what belongs together.
func (m *mix) join(other *mix, f feature) {
	for i := range m.n() {
		value := other.values[i]
		one := other.of(value)
		if commonPart*one.n < len(m.past) && one.lately < frequent {
			value = 0
		}
		m.values[i] = (m.values[i]^value)*16777619 + uint32(f)
		m.prompt[i] = m.prompt[i] || featureHead <= f && f <= featureEnd && one.n >= frequent
	}
}

// count sorts the answers by their values.
func (m *mix) count() {
	for i := range m.n() {
		h, late := m.heard(i)
		x := float64(h.values[m.signal])
		if math.IsNaN(x) {
			continue
		}
		one := m.of(m.values[i])
		one.value, one.used = m.values[i], true
		one.add(x, late)
		m.all.add(x, late)
	}
	for i := range m.table {
		if one := &m.table[i]; one.used && one.n < frequent && one.lately < frequent {
			m.rare.n, m.rare.lately = m.rare.n+one.n, m.rare.lately+one.lately
			m.rare.sum, m.rare.square = m.rare.sum+one.sum, m.rare.square+one.square
		}
	}
}

func (s *stratum) add(x float64, late bool) {
	if late {
		s.lately++
		return
	}
	s.n++
	s.sum += x
	s.square += x * x
}

// of finds the stratum of a value.
func (m *mix) of(value uint32) *stratum {
	at := value % uint32(len(m.table))
	for m.table[at].used && m.table[at].value != value {
		at = (at + 1) % uint32(len(m.table))
	}
	return &m.table[at]
}

// beside is the stratum that one of the last answers is compared with; nil: there is
// none, or its signal is not known.
func (m *mix) beside(i int) (x float64, beside *stratum) {
	h, _ := m.heard(i)
	if x = float64(h.values[m.signal]); math.IsNaN(x) {
		return 0, nil
	}
	one := m.of(m.values[i])
	if one.n < frequent && one.lately < frequent {
		if one = &m.rare; one.lately*m.all.n > rareMore*one.n*m.all.lately {
			return 0, nil // many are of kinds that are new
		}
	}
	if one.n < frequent {
		return 0, nil
	}
	return x, one
}

func (m *mix) stands(up bool) bool {
	if int(m.signal) < shares {
		return m.shareStands()
	}
	return m.numberStands(up)
}

func (m *mix) shareStands() bool {
	n, is, was := 0.0, 0.0, 0.0
	for i := len(m.past); i < m.n(); i++ {
		if x, beside := m.beside(i); beside != nil {
			n++
			is += x
			was += (beside.sum + 0.5) / float64(beside.n+1)
		}
	}
	if n < leastMatched {
		return false
	}
	is, was = is/n, was/n
	return is >= was+withinStep*shareStep && n*divergence(is, was) >= withinShares
}

func (m *mix) numberStands(up bool) bool {
	n, off, score, spare := 0.0, 0.0, 0.0, 0.0
	for i := len(m.past); i < m.n(); i++ {
		x, beside := m.beside(i)
		if beside == nil {
			continue
		}
		mean, spread := m.usual(beside)
		n++
		off += x - mean
		score += min(max((x-mean)/spread, -outlier), outlier)
		spare += float64(beside.lately) / float64(beside.n) // how far off the mean may be itself
	}
	if n < leastMatched {
		return false
	}
	if !up {
		off, score = -off, -score
	}
	return off/n >= withinStep*numberSteps[m.signal] && score/math.Sqrt(n+spare) >= withinNumbers
}

// usual is the mean of a stratum, and its spread, for which what is known of all counts
// for a little.
func (m *mix) usual(beside *stratum) (mean, spread float64) {
	n, all := float64(beside.n), float64(m.all.n)
	mean = beside.sum / n
	variance := max(beside.square-n*mean*mean, 0)
	average := m.all.sum / all
	variance += ofAllKinds * max(m.all.square/all-average*average, 0)
	return mean, max(math.Sqrt(variance/(n+ofAllKinds)), leastSpread[m.signal])
}
