package jobs

import (
	"fmt"
	"regexp"
	"regexp/syntax"
)

// MaxPatternSize bounds a regular expression, in instructions of its program: each
// costs memory as long as it is kept, and time for each byte of a text. Some bytes
// that repeat something make thousands of them.
const MaxPatternSize = 4000

// CompilePattern compiles a regular expression of RE2, unless it is too large, and
// says about how many instructions it has: each may be looked at for each byte of a
// text.
func CompilePattern(text string) (compiled *regexp.Regexp, size int, err error) {
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, 0, fmt.Errorf("%w; the syntax is that of RE2, without look-around and back-references", err)
	}
	if size = patternSize(parsed); size > MaxPatternSize {
		return nil, 0, fmt.Errorf("it is too large: with all repetitions it has %d parts, at most %d; repeat less, as in .* for .{0,999}", size, MaxPatternSize)
	}
	compiled, err = regexp.Compile(text)
	return compiled, size, err
}

// patternSize counts the parts of an expression, each as often as it is repeated.
// Nested repetitions are bounded by the parser.
func patternSize(of *syntax.Regexp) int {
	size := max(1, len(of.Rune))
	if of.Op == syntax.OpCharClass {
		size = 1 + len(of.Rune)/64
	}
	for _, part := range of.Sub {
		size += patternSize(part)
	}
	if of.Op == syntax.OpRepeat {
		size *= max(of.Min, of.Max, 1)
	}
	return size
}
