package routing

import (
	"bytes"

	"tidegate/jobs"
)

// A feature is something that is cheap to tell of a request and that its answer may
// hang on, whoever gives it.
type feature int

// The features.
const (
	featureTenant feature = iota
	featureBound          // of the answer, in tokens
	featureForms          // tools, a form of the answer, how many answers
	featureHead           // how the prompt begins: its first bytes, …
	featureOpens          // … its first clause, …
	featureBegin          // … and more bytes
	featureTail           // how it ends, likewise
	featureCloses
	featureEnd
	featureBatch // which matters where all these tell nothing
	features
)

const (
	shortPart  = 8   // bytes of a head and a tail: "You are " begins many prompts
	longPart   = 64  // of a beginning and an end
	clauseMost = 256 // of a clause
	formLooked = 256 // of the definition of a form
)

// A kind is what a request is like: a hash of each of its features.
type kind [features]uint32

// kindOf is what a request is like. It reads the body once, hopping from quote to
// quote.
func kindOf(r *jobs.Request) kind {
	reader := promptReader{data: r.Body}
	reader.of = r.Endpoint
	reader.body()
	first, last := reader.first, reader.last
	return kind{
		featureTenant: shortHash(0, []byte(r.Tenant)), featureBatch: shortHash(0, []byte(r.BatchID)),
		featureBound: uint32(reader.output), featureForms: reader.forms + uint32(reader.choices),
		featureHead: shortHash(0, first[:min(len(first), shortPart)]), featureOpens: shortHash(0, firstClause(first)),
		featureBegin: shortHash(0, first[:min(len(first), longPart)]),
		featureTail:  shortHash(0, last[max(len(last)-shortPart, 0):]), featureCloses: shortHash(0, lastClause(last)),
		featureEnd: shortHash(0, last[max(len(last)-longPart, 0):]),
	}
}

// clauseEnds end a clause; a backslash is that of a line that ends.
const clauseEnds = `.:!?\`

// firstClause is how a text begins up to where something ends.
func firstClause(text []byte) []byte {
	text = text[:min(len(text), clauseMost)]
	if end := bytes.IndexAny(text, clauseEnds); end >= 0 {
		return text[:end]
	}
	return text
}

// lastClause is the last thing that a text says.
func lastClause(text []byte) []byte {
	text = bytes.TrimRight(text[max(len(text)-clauseMost, 0):], clauseEnds+" ")
	return text[bytes.LastIndexAny(text, clauseEnds)+1:]
}

// shortHash is FNV-1a, going on from another one; zero: from the start.
func shortHash(from uint32, text []byte) uint32 {
	h := from
	if h == 0 {
		h = 2166136261
	}
	for _, c := range text {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}
