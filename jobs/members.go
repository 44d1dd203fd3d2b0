package jobs

import (
	"bytes"
	"encoding/json"
	"iter"
)

const jsonSpace = " \t\r\n"

// members yields the names and the values of a JSON object in their order, and
// nothing of any other value. The text must be valid JSON already: checking it
// is what costs, and is done once; this hops from quote to quote, and copies
// only a name that has escapes.
func members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		rest := bytes.TrimLeft(object, jsonSpace)
		if len(rest) == 0 || rest[0] != '{' {
			return
		}
		for {
			rest = bytes.TrimLeft(rest[1:], jsonSpace) // behind a brace or a comma
			if rest[0] == '}' {
				return
			}
			end := stringEnd(rest)
			name := plain(rest[:end])
			rest = bytes.TrimLeft(rest[end:], jsonSpace)
			rest = bytes.TrimLeft(rest[1:], jsonSpace) // behind the colon
			end = valueEnd(rest)
			if !yield(name, rest[:end]) {
				return
			}
			if rest = bytes.TrimLeft(rest[end:], jsonSpace); rest[0] == '}' {
				return
			}
		}
	}
}

// valueEnd is where the value of a member ends that data begins with.
func valueEnd(data []byte) int {
	switch data[0] {
	case '"':
		return stringEnd(data)
	case '{', '[':
		return bracketEnd(data)
	default: // a number or a word, and the object goes on behind it
		return bytes.IndexAny(data, ",}"+jsonSpace)
	}
}

// bracketEnd is where the object or the list ends that data begins with.
func bracketEnd(data []byte) int {
	for at, depth := 0, 0; ; at++ {
		switch data[at] {
		case '"':
			at += stringEnd(data[at:]) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return at + 1
			}
		}
	}
}

// stringEnd is where the string ends that data begins with.
func stringEnd(data []byte) int {
	for at := 1; ; {
		at += bytes.IndexByte(data[at:], '"')
		backslashes := 0
		for data[at-1-backslashes] == '\\' {
			backslashes++
		}
		at++
		if backslashes%2 == 0 {
			return at
		}
	}
}

// plain is what a JSON string says.
func plain(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	var text string
	_ = json.Unmarshal(quoted, &text) // it is valid
	return []byte(text)
}
