package provider

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A fieldError says why a request cannot be sent to a target: a field of its body
// has no counterpart in the dialect, or is not what it should be.
type fieldError struct{ field, text string }

func (e *fieldError) Error() string { return e.field + ": " + e.text }

func wrong(field, format string, args ...any) error {
	return &fieldError{field, fmt.Sprintf(format, args...)}
}

// fields are the members of a JSON object that nobody has read yet. What is left
// in the end is refused by its name.
type fields struct {
	path string // of the object in the body, with a dot at its end; empty: it is the body
	left map[string]json.RawMessage
}

// readFields opens an object. path names it in the body.
func readFields(path string, object json.RawMessage) (*fields, error) {
	f := &fields{left: map[string]json.RawMessage{}}
	if path != "" {
		f.path = path + "."
	}
	if err := json.Unmarshal(object, &f.left); err != nil || f.left == nil {
		if path == "" {
			path = "body"
		}
		return nil, wrong(path, "must be a JSON object")
	}
	return f, nil
}

// take reads a member into a pointer, and tells whether it is there: null is not.
func (f *fields) take(name string, into any) (found bool, err error) {
	value, found := f.left[name]
	delete(f.left, name)
	if !found || string(value) == "null" {
		return false, nil
	}
	if json.Unmarshal(value, into) != nil {
		return false, wrong(f.path+name, "must be %s", kindOf(into))
	}
	return true, nil
}

// kindOf names what a pointer takes.
func kindOf(into any) string {
	switch into.(type) {
	case *string, **string:
		return "a string"
	case *bool, **bool:
		return "true or false"
	case *int, **int, *int64, **int64:
		return "a whole number"
	case *float64, **float64:
		return "a number"
	case *[]string:
		return "a list of strings"
	case *[]json.RawMessage:
		return "a list"
	default:
		return "an object"
	}
}

// takeAll reads members, by name, and stops at the first that is wrong.
func (f *fields) takeAll(into map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(into)) {
		if _, err := f.take(name, into[name]); err != nil {
			return err
		}
	}
	return nil
}

// ignore leaves members out that change nothing of an answer.
func (f *fields) ignore(names ...string) {
	for _, name := range names {
		delete(f.left, name)
	}
}

// unless leaves a member out that has a value which says nothing, as JSON: null
// always does.
func (f *fields) unless(name string, neutral ...string) {
	value, found := f.left[name]
	if !found {
		return
	}
	var compact bytes.Buffer
	if json.Compact(&compact, value) == nil && (compact.String() == "null" || slices.Contains(neutral, compact.String())) {
		delete(f.left, name)
	}
}

// rest refuses what is left.
func (f *fields) rest() error {
	var names []string
	for name, value := range f.left {
		if string(value) != "null" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return wrong(f.path+cmp.Or(names[0], `""`), "this dialect has nothing like it%s", others(names[1:]))
}

func others(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return ", nor like " + strings.Join(names, ", ")
}
