package simulator

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

const (
	// maxRead is how much of a document is read: what matters stands early, and
	// a document of many megabytes must not cost seconds.
	maxRead = 64 << 10
	// usualSentences is the length of a summary when nobody says.
	usualSentences = 3
	// echoed is how much of a document echo repeats.
	echoed = 64
)

// A reader writes extractive summaries: the sentences of the document whose
// words the document uses most, in their own order. It is deterministic, and
// safe for concurrent use.
type reader struct{ scratch sync.Pool } // of *reading

// A reading is the memory of one summary.
type reading struct {
	text      []byte // the prose, one paragraph a line, blanks collapsed
	sentences []sentence
	words     vocabulary
	picked    []int
}

// A sentence is a part of a reading's text.
type sentence struct {
	start, end int
	place      int  // within its paragraph, from 0
	whole      bool // it ends as sentences do
	leans      bool // it needs the one before it
	said       int  // where its words begin in the vocabulary
	score      float64
}

// summarise returns one to three sentences, or as many as the instruction
// allows. It is not whole when not even one sentence fitted into the token
// limit, so that one had to be cut.
func (r *reader) summarise(q question) (text string, whole bool) {
	instruction, document := separate(q.document)
	work, _ := r.scratch.Get().(*reading)
	if work == nil {
		work = new(reading)
	}
	defer r.scratch.Put(work)
	work.read(document)
	if len(work.sentences) == 0 {
		return fit("There is no text to summarise.", q.maxTokens)
	}
	work.score()
	wanted := sentencesWanted(instruction)
	if wanted == 0 {
		wanted = sentencesWanted(q.instruction)
	}
	if wanted == 0 {
		wanted = usualSentences
	}
	// A third of a short document is a summary; all of it is a copy.
	wanted = min(wanted, (len(work.sentences)+2)/3)
	return work.pick(wanted, q.maxTokens)
}

// pick takes the best sentences that fit, and puts them back in order.
func (w *reading) pick(wanted, maxTokens int) (text string, whole bool) {
	w.picked = w.picked[:0]
	for i := range w.sentences {
		w.picked = append(w.picked, i)
	}
	slices.SortStableFunc(w.picked, func(a, b int) int {
		switch {
		case w.sentences[a].score > w.sentences[b].score:
			return -1
		case w.sentences[a].score < w.sentences[b].score:
			return 1
		}
		return 0
	})
	left, taken := math.MaxInt, 0
	if maxTokens > 0 {
		left = 4 * maxTokens // in bytes: see tokens
	}
	best := w.picked[0]
	for _, i := range w.picked {
		size := w.sentences[i].end - w.sentences[i].start + 1
		if taken < wanted && size-1 <= left {
			w.picked[taken] = i
			taken++
			left -= size
		}
	}
	if taken == 0 {
		return fit(w.spoken(best), maxTokens)
	}
	w.picked = w.picked[:taken]
	slices.Sort(w.picked)
	parts := make([]string, 0, usualSentences)
	for _, i := range w.picked {
		parts = append(parts, w.spoken(i))
	}
	return strings.Join(parts, " "), true
}

// spoken is a sentence as it stands alone: "Package zip provides …" is said of
// what the reader has in hand, so it becomes "Provides …".
func (w *reading) spoken(i int) string {
	text := string(w.text[w.sentences[i].start:w.sentences[i].end])
	rest, found := strings.CutPrefix(text, "Package ")
	if !found {
		return text
	}
	_, rest, _ = strings.Cut(rest, " ")
	verb, _, _ := strings.Cut(rest, " ")
	isVerb := strings.HasSuffix(verb, "s") && verb[0] >= 'a' && verb[0] <= 'z'
	if !isVerb || verb == "is" || verb == "was" || verb == "has" || verb == "does" {
		return text // "Package foo is …" needs its subject
	}
	return string(unicode.ToUpper(rune(rest[0]))) + rest[1:]
}

// fit cuts a text to the limit, between words if it can.
func fit(text string, maxTokens int) (string, bool) {
	if maxTokens <= 0 || tokens(text) <= maxTokens {
		return text, true
	}
	most := 4 * maxTokens
	if blank := strings.LastIndexByte(text[:most+1], ' '); blank > 0 {
		return strings.Clone(text[:blank]), false
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return strings.Clone(text[:most]), false
}

// echo is the answer of Config.Plain.
func echo(document string) string {
	begins := document[:min(echoed, len(document))]
	for len(begins) > 0 && !utf8.ValidString(begins) {
		begins = begins[:len(begins)-1]
	}
	return fmt.Sprintf("A document of %d bytes, which begins with: %s", len(document), begins)
}
