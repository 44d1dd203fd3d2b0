package expect

import (
	"errors"
	"regexp"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"tidegate/jobs"
)

const (
	// patternsAtMost bounds all regular expressions of one schema together, in
	// instructions.
	patternsAtMost = 20_000
	// patternWork bounds what matching costs in one judgement, in instructions times
	// bytes of text: two seconds or three, at worst.
	patternWork = 50_000_000
)

// A pattern is a regular expression of a schema. What it costs is counted by the
// judgement that asks it.
type pattern struct {
	*regexp.Regexp
	schema *schema
	size   int
}

// MatchString counts what it costs before it matches.
func (p *pattern) MatchString(text string) bool {
	if p.schema.work -= p.size * len(text); p.schema.work < 0 {
		panic(tooLong{})
	}
	return p.Regexp.MatchString(text)
}

// pattern compiles a regular expression of the schema.
func (s *schema) pattern(text string) (jsonschema.Regexp, error) {
	compiled, size, err := jobs.CompilePattern(text)
	if err != nil {
		return nil, err
	}
	if s.root == nil { // else it is of an answer, and nobody keeps it
		if s.patterns += size; s.patterns > patternsAtMost {
			return nil, errors.New("its patterns are too large together: repeat less")
		}
	}
	return &pattern{compiled, s, size}, nil
}
