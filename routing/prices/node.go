package prices

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
)

// maxDepth bounds how deep a file may be nested.
const maxDepth = 32

// A kind is what a piece of JSON is, as messages call it.
type kind string

const (
	object kind = "an object"
	list   kind = "a list"
	text   kind = "a text"
	number kind = "a number"
	flag   kind = "true or false"
	null   kind = "null"
)

// A node is a piece of JSON that knows its line. Of numbers it keeps what was
// written, so that nothing is rounded.
type node struct {
	kind    kind
	line    int
	said    string // of a text, a number or a flag
	members []member
	items   []*node
}

type member struct {
	key   string
	line  int
	value *node
}

// get is the last member of that name; nil: there is none, or it is null.
func (n *node) get(key string) *node {
	for i := len(n.members) - 1; i >= 0; i-- {
		if n.members[i].key == key && n.members[i].value.kind != null {
			return n.members[i].value
		}
	}
	return nil
}

// A parser reads JSON into nodes.
type parser struct {
	tokens *json.Decoder
	breaks []int // where lines end
}

// parse reads one piece of JSON, and nothing after it.
func parse(data []byte) (*node, *Fault) {
	p := parser{tokens: json.NewDecoder(bytes.NewReader(data))}
	p.tokens.UseNumber()
	for i, c := range data {
		if c == '\n' {
			p.breaks = append(p.breaks, i)
		}
	}
	root, err := p.value(0)
	if err == nil {
		if _, err = p.tokens.Token(); errors.Is(err, io.EOF) {
			return root, nil
		}
		if err == nil {
			err = errors.New("something stands behind its end")
		}
	}
	at := p.line()
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		at = p.lineOf(offending(data, int(syntax.Offset), int(p.tokens.InputOffset())))
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		at, err = len(p.breaks)+1, errors.New("it ends too early")
	}
	return nil, &Fault{Line: at, Text: fmt.Sprintf("this is not JSON: %v", err)}
}

// offending is where the character stands that an error is about. An error between two
// tokens has the end of the last one instead.
func offending(data []byte, said, last int) int {
	if said != last {
		return said - 1
	}
	rest := bytes.TrimLeft(data[last:], " \t\r\n")
	return len(data) - len(rest)
}

func (p *parser) line() int { return p.lineOf(int(p.tokens.InputOffset())) }

func (p *parser) lineOf(offset int) int { return sort.SearchInts(p.breaks, offset) + 1 }

func (p *parser) value(depth int) (*node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("it is nested deeper than %d", maxDepth)
	}
	token, err := p.tokens.Token()
	if err != nil {
		return nil, err
	}
	n := &node{line: p.line()}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return n, p.object(n, depth)
		}
		return n, p.list(n, depth)
	case string:
		n.kind, n.said = text, t
	case json.Number:
		n.kind, n.said = number, t.String()
	case bool:
		n.kind, n.said = flag, fmt.Sprint(t)
	default:
		n.kind = null
	}
	return n, nil
}

func (p *parser) object(n *node, depth int) error {
	n.kind = object
	for p.tokens.More() {
		key, err := p.tokens.Token()
		if err != nil {
			return err
		}
		line := p.line()
		value, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		n.members = append(n.members, member{fmt.Sprint(key), line, value})
	}
	_, err := p.tokens.Token()
	return err
}

func (p *parser) list(n *node, depth int) error {
	n.kind = list
	for p.tokens.More() {
		item, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		n.items = append(n.items, item)
	}
	_, err := p.tokens.Token()
	return err
}
