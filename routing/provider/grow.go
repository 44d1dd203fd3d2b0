package provider

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
)

// A text in a tree of deltas grows; its bytes are not copied for each piece.
type growing struct{ text []byte }

// MarshalJSON writes the text.
func (g *growing) MarshalJSON() ([]byte, error) { return marshal(string(g.text)) }

// saidOnce are members whose text comes whole, and in some streams again and again:
// they are replaced where others are added to.
var saidOnce = map[string]bool{
	"role": true, "id": true, "type": true, "name": true, "index": true, "format": true, "object": true, "status": true, "call_id": true,
}

// joined is a text with its next piece, or in its place where it is said once.
func joined(text, piece []byte, once bool) []byte {
	if !once {
		return append(text, piece...)
	}
	if len(piece) == 0 {
		return text
	}
	return append(text[:0], piece...)
}

// treeOf reads JSON as it is grown: its texts can be added to, and its numbers keep
// their spelling.
func treeOf(raw []byte) any {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var tree any
	_ = decoder.Decode(&tree) // a cursor has checked it
	return growable(tree)
}

func growable(tree any) any {
	switch t := tree.(type) {
	case string:
		return &growing{[]byte(t)}
	case map[string]any:
		for name, value := range t {
			t[name] = growable(value)
		}
	case []any:
		for i, value := range t {
			t[i] = growable(value)
		}
	}
	return tree
}

// grow adds a delta to what has come of a value before. Elements of a list that have
// an index are the same one where it is; calls without an index are new where they
// have an id, and else go on with the last.
func grow(old, delta any, calls bool) any {
	switch d := delta.(type) {
	case nil:
		return old
	case *growing:
		if o, ok := old.(*growing); ok {
			o.text = append(o.text, d.text...)
			return o
		}
	case map[string]any:
		o, ok := old.(map[string]any)
		if !ok {
			return d
		}
		for name, value := range d {
			o[name] = growMember(name, o[name], value, calls)
		}
		return o
	case []any:
		o, _ := old.([]any)
		for _, element := range d {
			at := sameElement(o, element, calls)
			if at < 0 {
				o = append(o, element)
				continue
			}
			o[at] = grow(o[at], element, calls)
		}
		return o
	}
	return delta
}

func growMember(name string, old, delta any, calls bool) any {
	was, _ := old.(*growing)
	is, _ := delta.(*growing)
	if was != nil && is != nil {
		was.text = joined(was.text, is.text, saidOnce[name])
		return was
	}
	return grow(old, delta, calls)
}

// mostIndexed is up to how many elements one is looked for by its index: a list of
// more is no answer, and looking would take for ever.
const mostIndexed = 1 << 10

// sameElement is where the element that a delta goes on with stands; -1: it is new.
func sameElement(list []any, delta any, calls bool) int {
	d, ok := delta.(map[string]any)
	if !ok {
		return -1
	}
	if index, ok := d["index"].(json.Number); ok {
		if len(list) > mostIndexed {
			return -1
		}
		for i, one := range slices.Backward(list) {
			o, _ := one.(map[string]any)
			if at, _ := o["index"].(json.Number); at != index {
				continue
			}
			if calls && anotherCall(o, d) {
				return -1
			}
			return i
		}
		return -1
	}
	if id, _ := d["id"].(*growing); !calls || id != nil && len(id.text) > 0 {
		return -1
	}
	return len(list) - 1
}

// anotherCall tells whether a delta begins a call of its own although the one before
// has the same index: some number all of them 0. It has another id, and a name; an
// id alone is a new one in each piece at some.
func anotherCall(before, delta map[string]any) bool {
	said := func(of map[string]any, name string) string {
		text, _ := of[name].(*growing)
		if text == nil {
			return ""
		}
		return string(text.text)
	}
	was, is := said(before, "id"), said(delta, "id")
	function, _ := delta["function"].(map[string]any)
	return was != "" && is != "" && was != is && said(function, "name") != ""
}

// addText adds a piece of text to content that is a list of parts: to its last part
// if that is a text.
func addText(list []any, piece []byte) []any {
	if len(list) > 0 {
		last, _ := list[len(list)-1].(map[string]any)
		kind, _ := last["type"].(*growing)
		if text, ok := last["text"].(*growing); ok && kind != nil && string(kind.text) == "text" {
			text.text = append(text.text, piece...)
			return list
		}
	}
	return append(list, map[string]any{"type": &growing{[]byte("text")}, "text": &growing{bytes.Clone(piece)}})
}

// inOrder are the elements of a list in the order of their index, and without it:
// outside of a stream their place says as much.
func inOrder(list []any) []any {
	index := func(element any) int64 {
		e, _ := element.(map[string]any)
		number, _ := e["index"].(json.Number)
		n, _ := number.Int64() // none is 0
		return n
	}
	slices.SortStableFunc(list, func(a, b any) int { return cmp.Compare(index(a), index(b)) })
	for _, element := range list {
		if e, ok := element.(map[string]any); ok {
			delete(e, "index")
		}
	}
	return list
}

// halfAtEnd is the length of the escape that a text in JSON ends with, where that is
// the first half of a character; zero: it is none.
func halfAtEnd(raw []byte) int {
	const size = len(`\ud83d`)
	at := len(raw) - size
	if at < 0 || raw[at] != '\\' || raw[at+1] != 'u' || raw[at+2]|0x20 != 'd' || !bytes.ContainsRune([]byte("89abAB"), rune(raw[at+3])) {
		return 0
	}
	slashes := at - len(bytes.TrimRight(raw[:at], `\`))
	if slashes%2 == 1 { // the backslash is itself escaped
		return 0
	}
	return size
}
