package simulator

import (
	"math"
	"strings"
)

const (
	slots    = 1 << 12
	maxWords = slots * 3 / 4 // distinct; what comes after counts as seen once
)

// stopWords say nothing about what a text is about.
var stopWords = stopTable(`a about above after again all also although always am an and another any are as at be because been
	before being below between both but by can cannot could did do does doing done down during each either else enough etc even ever
	every few first for from further get gets given had has have having he hence her here him his how however if in instead into is it
	its itself just least less like made make makes many may might more most much must my need needs neither never new no nor not now of
	off often on once one only or other others otherwise our out over own per rather same see set she should since so some still such
	than that the their them then there therefore these they this those though three through thus to too two under unless until up upon
	us use used uses using usually very was way we well were what when where whether which while who whom whose why will with within
	without would yet you your`)

// leaning words begin a sentence that cannot stand without the one before it.
var leaning = stopTable(`also and another as because but consequently finally for furthermore hence however instead it its
	moreover nevertheless note otherwise see similarly so such that then there therefore these they this those thus unlike`)

func stopTable(list string) map[uint32]bool {
	table := make(map[uint32]bool)
	for word := range strings.FieldsSeq(list) {
		hash := wordSeed
		for i := range len(word) {
			hash = addByte(hash, word[i])
		}
		table[hash] = true
	}
	return table
}

// FNV-1a, 32 bits.
const wordSeed uint32 = 2166136261

func addByte(hash uint32, b byte) uint32 { return (hash ^ uint32(b)) * 16777619 }

// A vocabulary counts words by their hash, in a table of its own: a Go map would
// be most of the cost of a summary.
type vocabulary struct {
	table [slots]struct {
		hash  uint32
		count uint16 // zero: free
		stop  bool
	}
	used int
	said []uint16 // the words of the text in order, as slots
}

func (v *vocabulary) reset() {
	clear(v.table[:])
	v.used, v.said = 0, v.said[:0]
}

// add counts a word and returns its slot.
func (v *vocabulary) add(hash uint32) uint16 {
	i := hash % slots
	for ; v.table[i].count > 0; i = (i + 1) % slots {
		if v.table[i].hash == hash {
			if v.table[i].count < math.MaxUint16 {
				v.table[i].count++
			}
			return uint16(i)
		}
	}
	if v.used < maxWords {
		v.used++
		v.table[i].hash, v.table[i].count, v.table[i].stop = hash, 1, stopWords[hash]
	}
	return uint16(i)
}

func isWordByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
}

// score weighs every sentence: how often the document uses its words, on
// average; more for what stands early; less for what cannot stand alone.
func (w *reading) score() {
	w.words.reset()
	for i := range w.sentences {
		s := &w.sentences[i]
		s.said = len(w.words.said)
		s.leans = leaning[w.count(s)]
	}
	for i := range w.sentences {
		end := len(w.words.said)
		if i+1 < len(w.sentences) {
			end = w.sentences[i+1].said
		}
		w.sentences[i].score = w.weigh(i, w.words.said[w.sentences[i].said:end])
	}
}

// weigh has its numbers from reading summaries of the Go standard library.
func (w *reading) weigh(i int, said []uint16) float64 {
	s := w.sentences[i]
	sum, content := 0.0, 0
	for _, slot := range said {
		if word := w.words.table[slot]; !word.stop {
			sum += math.Sqrt(float64(word.count)) // or one word would rule a long text
			content++
		}
	}
	score := sum / float64(content+4)
	score *= 1 + 1.5/(1+float64(i))
	if s.place == 0 {
		score *= 1.15
	}
	switch last := w.text[s.end-1]; {
	case last == ':':
		score *= 0.1 // announces what was left out
	case !s.whole:
		score *= 0.3 // a heading, a label
	}
	if s.leans {
		score *= 0.4
	}
	if len(said) < 4 || len(said) > 45 {
		score *= 0.5
	}
	return score
}

// count adds the words of a sentence, and returns the hash of its first.
func (w *reading) count(s *sentence) (first uint32) {
	hash, length := wordSeed, 0
	end := func() {
		if length == 0 {
			return
		}
		if first == 0 {
			first = hash
		}
		if length > 1 {
			w.words.said = append(w.words.said, w.words.add(hash))
		}
		hash, length = wordSeed, 0
	}
	for _, b := range w.text[s.start:s.end] {
		switch {
		case b >= 'A' && b <= 'Z':
			b += 'a' - 'A'
		case b >= 0x80 || isWordByte(b) || b == '\'':
		default:
			end()
			continue
		}
		hash = addByte(hash, b)
		length++
	}
	end()
	return first
}
