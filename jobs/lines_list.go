package jobs

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"time"
)

// ReadList reads requests from a JSON list of objects, each of which says what a line
// does, in the same way as ReadLines: the first of the list is line 1. The text must
// be UTF-8 and valid JSON.
func ReadList(list []byte, opts LineOptions) iter.Seq2[Request, error] {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return func(yield func(Request, error) bool) {
		seen := customIDs{seed: maphash.MakeSeed(), lines: map[uint64]int{}}
		number := 0
		for one := range elements(list) {
			number++
			request, err := readElement(one, &opts, seen, number)
			if err != nil {
				request, err = Request{}, lineError(number, err)
			} else if opts.Reached != nil {
				opts.Reached(number)
			}
			if !yield(request, err) {
				return
			}
		}
	}
}

func readElement(one []byte, opts *LineOptions, seen customIDs, number int) (Request, error) {
	if len(one) > MaxLineBytes {
		return Request{}, fmt.Errorf("%d bytes, at most %d: split the document into smaller requests", len(one), MaxLineBytes)
	}
	return readLine(one, opts, seen, number)
}

// SplitMany finds the parts of {"jobs": […], "batch": {…}}, of which the second may
// be left out. They are parts of the text, which must be UTF-8; the rest of it is
// checked to be JSON.
func SplitMany(text []byte) (list, batch []byte, err error) {
	text = bytes.TrimSpace(text)
	if err := checkJSON(text); err != nil {
		return nil, nil, &LineError{Code: CodeNotJSON, Err: err}
	}
	if text[0] != '{' {
		return nil, nil, &LineError{Code: CodeNotJSON, Err: errors.New(`must be a JSON object {"jobs": […]}`)}
	}
	for name, value := range members(text) {
		into := &list
		switch string(name) {
		case "jobs":
		case "batch":
			into = &batch
		default:
			return nil, nil, &LineError{Code: CodeBadLine, Err: fmt.Errorf("%.80q is neither jobs nor batch", name)}
		}
		if *into != nil {
			return nil, nil, &LineError{Field: string(name), Code: CodeBadLine, Err: errors.New("stands twice; leave one of them out")}
		}
		*into = value
	}
	if list == nil {
		return nil, nil, &LineError{Field: "jobs", Code: CodeMissing, Err: errors.New("is missing; it must be a list of requests")}
	}
	if list[0] != '[' {
		return nil, nil, &LineError{Field: "jobs", Code: CodeBadLine, Err: errors.New("must be a list of requests")}
	}
	return list, batch, nil
}

// elements yields the elements of a JSON list in their order. The text must be valid.
func elements(list []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		rest := bytes.TrimLeft(list[1:], jsonSpace)
		for rest[0] != ']' {
			end := elementEnd(rest)
			if !yield(rest[:end]) {
				return
			}
			if rest = bytes.TrimLeft(rest[end:], jsonSpace); rest[0] == ',' {
				rest = bytes.TrimLeft(rest[1:], jsonSpace)
			}
		}
	}
}

// elementEnd is where the element ends that data begins with.
func elementEnd(data []byte) int {
	switch data[0] {
	case '"':
		return stringEnd(data)
	case '{', '[':
		return bracketEnd(data)
	default: // a number or a word, and the list goes on behind it
		return bytes.IndexAny(data, ",]"+jsonSpace)
	}
}
